"""`indexer build`: files and folders in, an index out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tqdm import tqdm

from guard.policy import Policy
from indexer.build import DEFAULT_RATE, BuildError, BuildOptions, build_index
from indexer.commands.arguments import positive, rate, text_encoding
from indexer.gather import Gathered, gather
from indexer.pool import cores
from indexer.report import summary

# Plain bytes for which another process pays: its start, and what it sends back, cost as much as reading hundreds of MB.
EFFORT_A_PROCESS: Final = 512 * 2**20

DESCRIPTION: Final = """\
Build an index of protected works. Each file is a work: plain text, Markdown, HTML, EPUB, PDF and source code; in JSON
lines and Parquet files each row with a 'text' is one. A folder stands for the files in it and below, hidden ones left
out. `.gz` is unpacked. The index keeps hashes and the works' records, no text.
"""

EPILOG: Final = """\
the manifest: JSON lines, each with a 'path' (relative to the manifest's folder) or a 'text', and any of 'id', 'title',
'author', 'rights_holder', 'licence', 'status' (default: protected) and 'source'. Its works come first, in its order.
A WORK file that a line names is described by that line and not taken again; one that no line names is a work of its
own. A line for a file of rows gives what its rows don't say; without an id of its own, a row's id is the file's, a
colon and the row's number.

ids: without a manifest, a work's id is its path counted from the folder that holds the argument it came with
(`indexer build /srv/library` gives `library/a/b.txt`), its title the file's name without suffix.

encodings: text is UTF-8 unless a byte order mark, or an HTML page's own declaration, says otherwise; --encoding
overrides all of these. EPUB, PDF and Parquet files name their own. What can't be decoded is refused, never guessed.

status: recorded for later rules; every work in an index is guarded.

exit status: 0 all works built, 3 some refused (the others are built), 2 nothing built or an error. An index that was in
DIR before stays whole until the new one is complete.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("works", metavar="WORK", nargs="*", type=Path, help="a file or folder; optional with --manifest")
    add("--out", metavar="DIR", required=True, type=Path, help="the index's folder, made if need be")
    add("--manifest", metavar="FILE", type=Path, help="JSON lines that describe works (see below)")
    add(
        "--jobs",
        metavar="N",
        type=positive,
        help="processes (default: up to one a core, one for less than 512 MB of plain text)",
    )
    add("--encoding", metavar="NAME", type=text_encoding, help="of text, Markdown, HTML, code and JSON lines")
    add(
        "--false-positive-rate",
        metavar="P",
        type=rate,
        default=DEFAULT_RATE,
        help="share of foreign grams taken for indexed ones; lower costs size (default: %(default)s)",
    )
    add(
        "--threshold",
        metavar="LETTERS",
        type=positive,
        default=Policy().threshold,
        help="the policy's, to name the works too short for it (default: %(default)s)",
    )
    add("--strict", action="store_true", help="stop at the first refused work: exit status 2, nothing written")


def run(args: argparse.Namespace) -> int:
    if not args.works and args.manifest is None:
        raise BuildError("no works: name files or folders, or a --manifest")
    found = gather(args.works, args.manifest, args.out)
    options = BuildOptions(
        jobs=args.jobs or min(cores(), 1 + found.effort // EFFORT_A_PROCESS),
        encoding=args.encoding,
        false_positive_rate=args.false_positive_rate,
        strict=args.strict,
    )
    with _progress(found) as progress:
        report = build_index(found.sources, args.out, options, progress)
    print(summary(report, args.out, options.recipe, args.threshold, found.hidden))
    if not report.works:
        return 2
    return 3 if report.refusals else 0


@contextmanager
def _progress(found: Gathered) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal; nothing in a log."""
    with tqdm(
        total=found.size, unit="B", unit_scale=True, desc="reading", leave=False, disable=not sys.stderr.isatty()
    ) as bar:
        yield bar.update
