"""What leaked, found without any of the product's code: exact, slow, and easy to check by eye."""

from __future__ import annotations

from dataclasses import dataclass

THRESHOLD = 128
RELEASED_AT_MOST = 40
MARKER = "[…]"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Where a run of the work stands in a text, in letters."""

    start: int
    end: int


def letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def runs(text: str, work: str, least: int) -> list[Occurrence]:
    """Every maximal stretch of `text` that stands verbatim in `work` and has `least` letters or more."""
    found: list[Occurrence] = []
    start = end = 0
    folded, source = letters(text), letters(work)
    while start < len(folded):
        end = max(end, start)
        while end < len(folded) and folded[start : end + 1] in source:
            end += 1
        if end - start >= least and (not found or end > found[-1].end):
            found.append(Occurrence(start, end))
        start += 1
    return found


def longest_run(text: str, work: str) -> int:
    return max((run.end - run.start for run in runs(text, work, 1)), default=0)


def released(unguarded: str, guarded: str, work: str) -> list[int]:
    """How many letters of each long run of the unguarded answer stand in the guarded one.

    The guarded answer must be the unguarded one with stretches cut out. Where a piece fits at several places the
    first one counts, which can only make a leak look larger.
    """
    source = letters(unguarded)
    pieces = [letters(piece) for piece in guarded.split(MARKER)]
    kept: list[Occurrence] = []
    cursor = 0
    for number, piece in enumerate(pieces):
        at = source.find(piece, cursor) if number else 0
        if at < 0 or not source.startswith(piece, at):
            raise AssertionError(f"not a part of the unguarded answer: {piece!r}")
        kept.append(Occurrence(at, at + len(piece)))
        cursor = at + len(piece)
    return [
        sum(max(0, min(run.end, part.end) - max(run.start, part.start)) for part in kept)
        for run in runs(unguarded, work, THRESHOLD)
    ]
