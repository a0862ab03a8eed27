"""From fingerprints found to runs: hits of one work lie a stride apart, so a chain of such hits is a run."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from guard.index.recipe import Recipe


class Kind(enum.StrEnum):
    """As in law: a copy is verbatim or all but; a derivative retells."""

    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Match:
    """A stretch of the model's text, `start` to `end` in its code points, of which `letters` are found in the works."""

    start: int
    end: int
    letters: int
    kind: Kind = Kind.COPY


@dataclass(slots=True, eq=False)
class Run:
    """A live chain of hits: letters `first` to `last` match. It may be up to S-1 letters longer at either end.

    `boundaries`: from the hit at which holding began on, the code point up to which text belongs to each hit; the
    oldest is where text is held from. Empty while the run is too short to hold for.
    """

    first: int
    last: int
    start: int
    boundaries: list[int]
    acted: bool = False

    @property
    def letters(self) -> int:
        return self.last - self.first

    def slide(self, letters: int) -> None:
        """Forget the oldest letters, and hold from the next hit on."""
        self.first += letters
        self.boundaries.pop(0)


class RunTracker:
    """The live runs of one text: at most one for each residue of the letter position modulo S, since a run's hits lie
    S apart. Positions count letters from the text's beginning.
    """

    __slots__ = ("_gram_letters", "_runs", "stride")

    def __init__(self, recipe: Recipe) -> None:
        self._gram_letters = recipe.gram_letters
        self.stride = recipe.stride
        self._runs: list[Run] = []

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def end_of(self, run: Run) -> int:
        """The letter position at which a run ends unless a hit there continues it."""
        return run.last + self.stride

    def first_to_end(self) -> Run:
        return min(self._runs, key=self.end_of)

    def hit(self, end: int, start: int) -> Run:
        """The gram that ends before letter `end` and begins at code point `start` is in the works."""
        for run in self._runs:
            if self.end_of(run) == end:
                run.last = end
                return run
        run = Run(end - self._gram_letters, end, start, [])
        self._runs.append(run)
        return run

    def end(self, run: Run) -> None:
        self._runs.remove(run)

    def clear(self) -> None:
        self._runs.clear()
