"""The summary of a build, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from guard.index.bloom import BloomDesign
from guard.index.recipe import Recipe
from guard.index.works import WorkRecord
from indexer.build import BuildReport


def summary(report: BuildReport, out: Path, recipe: Recipe, threshold: int, hidden: int) -> str:
    """Several lines. `threshold`: letters of a run that the guard will act on; `hidden`: files passed over."""
    return "\n".join([*_built(report, out), *_short(report.works, recipe, threshold), *_notes(report, hidden)])


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"


def design_in_words(design: BloomDesign) -> str:
    rate = f"{design.false_positive_rate:.1e}"
    return f"{design.bits_per_key:.1f} bits a gram, {design.probes} probes, false-positive rate {rate}"


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def _built(report: BuildReport, out: Path) -> list[str]:
    if report.design is None:
        return ["nothing was built; an index that was there is untouched"]
    total, each = report.source_bytes / report.seconds, report.source_bytes / max(0.01, report.core_seconds)
    speed = f"{in_bytes(total)}/s, {in_bytes(each)}/s per core ({report.core_seconds:,.1f} core seconds)"
    rows = [
        ("works", f"{len(report.works):,}"),
        ("letters", f"{sum(work.letters for work in report.works):,}"),
        ("grams", f"{sum(work.grams for work in report.works):,}"),
        ("index size", in_bytes(report.index_bytes)),
        ("design", design_in_words(report.design)),
        ("read", f"{in_bytes(report.source_bytes)} in {report.seconds:,.1f} s: {speed}"),
    ]
    return [f"index written to {out}", *table(rows)]


def _short(works: Sequence[WorkRecord], recipe: Recipe, threshold: int) -> Iterator[str]:
    short = [work for work in works if work.letters < threshold]
    if short:
        floor = recipe.shortest_measured(threshold)
        yield (
            f"{counted(len(short), 'work')} shorter than the threshold of {threshold} letters "
            f"(below {floor} letters they can never be acted on):"
        )
        yield from (f"  {work.id} ({counted(work.letters, 'letter')})" for work in short)


def _notes(report: BuildReport, hidden: int) -> Iterator[str]:
    if report.twins:
        yield f"{counted(len(report.twins), 'work')} with the same letters as an earlier one (both are kept):"
        yield from (f"  {twin} = {first}" for twin, first in report.twins)
    if hidden:
        yield f"hidden files and folders passed over (names that begin with a dot): {hidden:,}"
    if report.refusals:
        yield f"{len(report.refusals):,} refused:"
        yield from (f"  {refusal}" for refusal in report.refusals)
