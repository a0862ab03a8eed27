"""The manifest: JSON lines, each naming one work by `path` (relative to the manifest's folder) or giving its `text`."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any, Final, TypeGuard

from guard.errors import GuardError, WorkRefused
from guard.index.works import WorkRecord
from indexer.describe import KEYS, described, encodable, kind_of, printable, with_fields
from indexer.readers import stem_of
from indexer.readers.decode import marked_encoding
from indexer.readers.json_lines import parse_line
from indexer.sources import FileSource, InlineSource, Refusal, Source

ALLOWED: Final = frozenset({"path", "text", *KEYS})


class ManifestError(GuardError):
    """The manifest as a whole can't be read."""


def read_manifest(manifest: Path) -> Iterator[tuple[Source, Path | None]]:
    """Each line's source, or its refusal, with the real path of the file that the line names, if it names one: also
    where the line is refused, so that a folder that holds the file doesn't bring it in without its record.

    Texts are checked and left behind: of a manifest of many gigabytes only the records stay in memory.
    Raises ManifestError if the file can't be read.
    """
    shown, offset = printable(str(manifest)), 0
    try:
        with manifest.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1 and (codec := marked_encoding(line)):
                    _only_utf8(codec, shown)
                    offset, line = len(codecs.BOM_UTF8), line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield _source(manifest, f"{shown}:{number}", number, offset, line)
                offset += len(line)
    except OSError as error:
        raise ManifestError(f"{shown}: the manifest can't be read ({error.strerror}): check --manifest") from None


def _only_utf8(codec: str, shown: str) -> None:
    if codec != "utf-8":
        raise ManifestError(f"{shown}: the manifest is in {codec.upper()}: convert it to UTF-8")


def _source(manifest: Path, source: str, number: int, offset: int, line: bytes) -> tuple[Source, Path | None]:
    real: Path | None = None
    try:
        fields = parse_line(line, "utf-8", source, number)
        if _is_path(path := fields.get("path")):
            real = (manifest.parent / path).resolve()
        _check_keys(fields, source)
        if "text" in fields:
            record = _record(fields, source, f"{printable(manifest.name)}:{number}", "")
            return InlineSource(source, manifest, offset, len(line), record), None
        return _file(manifest.parent / fields["path"], source, fields), real
    except WorkRefused as error:
        return Refusal.of(error), real


def _check_keys(fields: dict[str, Any], source: str) -> None:
    if unknown := sorted(fields.keys() - ALLOWED):
        names = ", ".join(map(repr, unknown))
        raise WorkRefused(source, f"unknown key {names}: the keys are {', '.join(('path', 'text', *KEYS))}")
    given: Set[str] = fields.keys() & {"path", "text"}
    if len(given) != 1:
        raise WorkRefused(source, f"needs either 'path' or 'text', and has {'both' if given else 'neither'}")
    (key,) = given
    value = fields[key]
    if not isinstance(value, str):
        raise WorkRefused(source, f"{key!r} must be a string, not {kind_of(value)}")
    if key == "path" and not _is_path(value):
        raise WorkRefused(source, f"'path' {value!r} is no path")


def _is_path(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and "\0" not in value and encodable(value)


def _file(path: Path, source: str, fields: dict[str, Any]) -> Source:
    shown = f"{source} ({printable(str(path))})"
    record = _record(fields, source, os.path.normpath(fields["path"]), stem_of(path))
    try:
        status = path.stat()
    except OSError as error:
        return Refusal.unopened(shown, error)
    if path.is_dir():
        raise WorkRefused(source, f"{path} is a folder: a manifest line names one file")
    if not path.is_file():
        raise WorkRefused(source, f"{path} is not a regular file")
    return FileSource(shown, path, status.st_size, record)


def _record(fields: dict[str, Any], source: str, default_id: str, default_title: str) -> WorkRecord:
    return with_fields(WorkRecord(default_id, default_title), described(fields, source, numbers=False))
