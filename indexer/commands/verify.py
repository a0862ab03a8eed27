"""`indexer verify`: is an index whole, and does it find given texts again?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from guard.errors import IndexFormatError
from guard.index.file import Index, open_index
from indexer.batches import pieces
from indexer.commands.arguments import text_encoding
from indexer.gather import gather
from indexer.measure import letters_of
from indexer.pieces import Text
from indexer.report import counted
from indexer.sources import Refusal
from indexer.verify import Found, find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check an index's digests and, for each text given, that it is found again: whole, or as a part of an indexed "
        "work. Exit status 0 if all is well, 1 if the index is missing or damaged or a text isn't found, 2 on an error."
    )
    parser.add_argument("index", metavar="DIR", type=Path, help="the index's folder")
    parser.add_argument("--works", metavar="PATH", nargs="+", type=Path, default=[], help="as WORK in build")
    parser.add_argument("--encoding", metavar="NAME", type=text_encoding, help="as in build")


def run(args: argparse.Namespace) -> int:
    try:
        index = open_index(args.index)
    except IndexFormatError as error:
        print(f"indexer: {error}", file=sys.stderr)
        return 1
    print(f"{args.index}: whole ({counted(len(index.works), 'work')}, all digests right)")
    status = 0
    for piece in pieces(gather(args.works).sources, args.encoding):
        for text in piece.texts():
            status = max(status, _report(index, text))
    return status


def _report(index: Index, text: Text | Refusal) -> int:
    if isinstance(text, Refusal):
        print(f"indexer: {text}", file=sys.stderr)
        return 2
    found = find(index, letters_of(text.text))
    print(f"{text.source}: {_in_words(found)}")
    return 0 if found.whole else 1


def _in_words(found: Found) -> str:
    if found.whole:
        return f"found ({counted(found.letters, 'letter')})"
    if found.letters < found.gram_letters:
        return f"not found: {counted(found.letters, 'letter')}, fewer than the {found.gram_letters} of a gram"
    return f"not found: {100 * found.share:.1f} % of its {counted(found.letters, 'letter')}"
