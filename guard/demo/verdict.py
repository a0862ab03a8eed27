"""What of the works was recited and what of that left: found in the texts themselves, without asking the guard.

The demo has the works at hand, so it looks their letters up, slowly and exactly, in both answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guard.index.fold import fold, fold_with_positions
from guard.index.recipe import DEFAULT_RECIPE
from guard.policy import Policy

PROMISED_LETTERS = 40
_THRESHOLD = Policy().threshold
_SEED = _THRESHOLD // 2  # a run of the threshold's length holds a whole block of this many letters, wherever it begins
_OVERRUN = DEFAULT_RECIPE.stride - 1  # so many letters after a run may be withheld with it


@dataclass(frozen=True, slots=True)
class Recited:
    """A stretch of an answer, code points [start, end), that stands letter for letter in a work."""

    start: int
    end: int
    letters: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`recited`: letters of protected works in the answer without the guard. `left`: for each run of them, the
    stretches still in the answer with the guard, placed in that answer. `faithful`: but for what was withheld, the two
    answers are the same.
    """

    recited: int
    left: tuple[tuple[Recited, ...], ...]
    faithful: bool

    @property
    def letters_left(self) -> int:
        return sum(stretch.letters for run in self.left for stretch in run)

    @property
    def most_of_a_run(self) -> int:
        """Letters that left of the run of which most did."""
        return max((sum(stretch.letters for stretch in run) for run in self.left), default=0)

    @property
    def kept(self) -> bool:
        """Does the answer keep the promise?"""
        return self.faithful and self.most_of_a_run <= PROMISED_LETTERS


def recited_in(text: str, works: Sequence[str]) -> list[Recited]:
    """Every run of the threshold's length or more that the text has in common with a work, in order."""
    letters, positions = fold_with_positions(text)
    said, known = letters.tobytes(), [fold(work).tobytes() for work in works]
    found, at = [], 0
    while at + _SEED <= len(said):
        runs = (run for work in known for run in _runs_around(said, at, work))
        first, behind = max(runs, key=lambda run: run[1] - run[0], default=(at, at))
        if behind - first >= _THRESHOLD:
            found.append(Recited(int(positions[first]), int(positions[behind - 1]) + 1, behind - first))
            at = behind
        else:
            at += _SEED
    return found


def judge(original: str, runs: Sequence[Recited], guarded: str, marker: str, blocked: bool) -> Verdict:
    """Compare an answer with what the guard let through of it: the same text with a marker for every withheld stretch,
    or, if it was blocked, the beginning of it.
    """
    recited = sum(run.letters for run in runs)
    pieces = guarded.split(marker)
    places = _places(original, runs, pieces)
    if places is None or not _ends_well(original, runs, places[-1] + len(pieces[-1]), blocked):
        return Verdict(recited, (), faithful=False)
    left: list[list[Recited]] = [[] for _ in runs]
    for number, (place, piece) in enumerate(zip(places, pieces, strict=True)):
        # from a place in the original to the same place in the guarded answer
        shift = sum(map(len, pieces[:number])) + number * len(marker) - place
        for run, stretches in zip(runs, left, strict=True):
            start, end = max(place, run.start), min(place + len(piece), run.end)
            if start < end:
                stretches.append(Recited(start + shift, end + shift, _letters(original[start:end])))
    return Verdict(recited, tuple(map(tuple, left)), faithful=True)


def _runs_around(said: bytes, at: int, work: bytes) -> Iterator[tuple[int, int]]:
    """Runs that hold the block of letters at `at`, as letters [first, behind): one for each place in the work."""
    place = work.find(said[at : at + _SEED])
    while place >= 0:
        back, on = 0, _SEED
        while back < min(at, place) and said[at - back - 1] == work[place - back - 1]:
            back += 1
        while on < min(len(said) - at, len(work) - place) and said[at + on] == work[place + on]:
            on += 1
        yield at - back, at + on
        place = work.find(said[at : at + _SEED], place + 1)


def _places(original: str, runs: Sequence[Recited], pieces: Sequence[str]) -> list[int] | None:
    """Where in the original the pieces between markers begin; None if they can't be what is left of it."""
    places: list[int] = []
    for number, piece in enumerate(pieces):
        place = 0
        if number:
            broke_off = places[-1] + len(pieces[number - 1])
            run_end = next((run.end for run in runs if run.start <= broke_off <= run.end), len(original))
            place = original.find(piece, run_end) if piece else len(original)
            if place < 0 or _letters(original[run_end:place]) > _OVERRUN:
                return None
        if not original.startswith(piece, place):
            return None
        places.append(place)
    return places


def _ends_well(original: str, runs: Sequence[Recited], end: int, blocked: bool) -> bool:
    """An answer may break off in a run where it was blocked, and nowhere else."""
    if blocked:
        return any(run.start <= end <= run.end for run in runs)
    return _letters(original[end:]) == 0


def _letters(text: str) -> int:
    return int(fold(text).size)
