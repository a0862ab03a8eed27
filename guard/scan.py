"""`guard scan`: look for runs of indexed works in files, with the same machine that guards streams."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from guard.config import Settings
from guard.errors import ConfigError, GuardError
from guard.index.file import Index, open_index
from guard.match import Match
from guard.policy import Action, Policy
from guard.policy_arguments import add_policy_arguments
from guard.stream import Redact, StreamGuard

DESCRIPTION = """One JSON line per input: source, action ('pass' where nothing is acted on) and spans (start and end in
the input's characters, letters, kind). Exit status: 1 something was found, 0 nothing was, 2 error."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="text files, '-' or none for standard input; .gz is read too",
    )
    parser.add_argument("--index", type=Path, required=True, help=Settings.model_fields["index"].description)
    parser.add_argument("--jsonl", action="store_true", help="each line of the input is a JSON object")
    parser.add_argument(
        "--field", default="text", help="the field of these objects that holds the text (default: text)"
    )
    add_policy_arguments(parser)


def run(args: argparse.Namespace) -> int:
    index = open_index(args.index)
    policy = policy_of(args)
    policy.limits(index.recipe)
    found, failed = False, False
    for file in args.files or [Path("-")]:
        try:
            for source, text in _texts(file, args.field if args.jsonl else None):
                if isinstance(text, GuardError):
                    failed = True
                    print(f"guard scan: {text}", file=sys.stderr)
                    continue
                matches = find_matches(index, policy, text)
                found = found or bool(matches)
                print(json.dumps(_report(source, policy, matches)))  # ASCII: a path needn't be valid Unicode
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            failed = True
            print(f"guard scan: {file}: {error}", file=sys.stderr)
    return 2 if failed else int(found)


def policy_of(args: argparse.Namespace) -> Policy:
    given = {key: getattr(args, key) for key in ("action", "threshold", "hold_after", "marker")}
    given = {key: value for key, value in given.items() if value is not None}
    if "action" in given:
        try:
            given["action"] = Action(given["action"])
        except ValueError:
            raise ConfigError(f"--action {given['action']}: write block or redact") from None
    return Policy(**given)


def find_matches(index: Index, policy: Policy, text: str) -> list[Match]:
    """All runs that the policy would act on, in code points. It redacts, since a block would end at the first."""
    guard = StreamGuard(index, replace(policy, action=Action.REDACT))
    return [event.match for event in (*guard.feed(text), *guard.close()) if isinstance(event, Redact)]


def _report(source: str, policy: Policy, matches: list[Match]) -> dict[str, object]:
    spans = [{"start": m.start, "end": m.end, "letters": m.letters, "kind": m.kind.value} for m in matches]
    return {"source": source, "action": policy.action.value if matches else Action.PASS.value, "spans": spans}


def _texts(file: Path, field: str | None) -> Iterator[tuple[str, str | GuardError]]:
    """Each text with its source, the path, or path:line for JSON lines; an error in place of a line that holds none."""
    with _open(file) as stream:
        if field is None:
            yield str(file), stream.read().decode()
            return
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield f"{file}:{number}", _field_of(line, field, f"{file}:{number}")


def _open(file: Path) -> BinaryIO | gzip.GzipFile:
    if str(file) == "-":
        return open(0, "rb", closefd=False)
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _field_of(line: bytes, field: str, source: str) -> str | GuardError:
    try:
        text = json.loads(line)[field]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ConfigError(f"{source}: no JSON object with the field '{field}': name the right one with --field")
    return text if isinstance(text, str) else ConfigError(f"{source}: the field '{field}' holds no text")
