"""`indexer info`: what an index holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from guard.index.file import Index, open_index
from indexer.build import index_bytes
from indexer.report import design_in_words, in_bytes, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show what an index holds. All its digests are checked on the way."
    parser.add_argument("index", metavar="DIR", type=Path, help="the index's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--works", action="store_true", help="list the works' records too")


def run(args: argparse.Namespace) -> int:
    index = open_index(args.index)
    facts = facts_of(index)
    if args.json:
        works = {"work_records": [work.to_json() for work in index.works]} if args.works else {}
        print(json.dumps({**facts, **works}, ensure_ascii=False, indent=1))
        return 0
    recipe = index.recipe
    rows = [
        ("works", f"{facts['works']:,}"),
        ("letters", f"{facts['letters']:,}"),
        ("grams", f"{facts['grams']:,}"),
        ("index size", in_bytes(facts["size_bytes"])),
        ("recipe", f"{recipe.gram_letters} letters a gram, every {recipe.stride}th, fold {recipe.fold_digest}"),
        ("filter", f"{design_in_words(index.bloom.design)}, for {index.bloom.design.keys:,} grams"),
        ("digest", index.digest),
    ]
    print("\n".join([str(args.index), *table(rows)]))
    if args.works:
        print("\n".join(_record(index)))
    return 0


def facts_of(index: Index) -> dict[str, Any]:
    return {
        "works": len(index.works),
        "letters": sum(work.letters for work in index.works),
        "grams": sum(work.grams for work in index.works),
        "size_bytes": index_bytes(index.directory),
        "recipe": index.recipe.to_json(),
        "bloom": index.bloom.design.to_json(),
        "digest": index.digest,
    }


def _record(index: Index) -> list[str]:
    """A line for each work: id, letters, status, then what else is known."""
    width = max((len(work.id) for work in index.works), default=0)
    lines = []
    for work in index.works:
        fields = (work.title, work.author, work.rights_holder, work.licence, work.source)
        known = "; ".join(part for part in fields if part)
        lines.append(f"  {work.id:<{width}}  {work.letters:>11,} letters  {work.status}  {known}".rstrip())
    return lines
