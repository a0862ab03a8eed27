"""The slow, exact judge of what leaked. Shares no code with the guard: own fold, suffix automaton for runs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

LEET = dict(zip("01l3457@$", "oiieastas", strict=True))  # l, I and 1 are one letter


def oracle_fold(text: str) -> tuple[str, list[int]]:
    """Letters of a text and the index of the code point of each. Knows accents, case, leet and full-width forms."""
    letters, places = [], []
    for place, char in enumerate(text):
        for part in unicodedata.normalize("NFKD", char).casefold():
            part = LEET.get(part, part)
            if part.isalnum():
                letters.append(part)
                places.append(place)
    return "".join(letters), places


class SuffixAutomaton:
    """All substrings of the works' letters (Blumer et al. 1985). Works are kept apart by a letter that no text has."""

    def __init__(self, works: Iterable[str]) -> None:
        self.next: list[dict[str, int]] = [{}]
        self.link = [-1]
        self.length = [0]
        last = 0
        for number, work in enumerate(works):
            for letter in [*oracle_fold(work)[0], f"<end of {number}>"]:
                last = self._extend(last, letter)

    def _extend(self, last: int, letter: str) -> int:
        new = self._state({}, self.length[last] + 1)
        state = last
        while state >= 0 and letter not in self.next[state]:
            self.next[state][letter] = new
            state = self.link[state]
        if state >= 0:
            target = self.next[state][letter]
            if self.length[target] != self.length[state] + 1:
                clone = self._state(dict(self.next[target]), self.length[state] + 1)
                self.link[clone] = self.link[target]
                self.link[target] = clone
                while state >= 0 and self.next[state].get(letter) == target:
                    self.next[state][letter] = clone
                    state = self.link[state]
                target = clone
            self.link[new] = target
        else:
            self.link[new] = 0
        return new

    def _state(self, following: dict[str, int], length: int) -> int:
        self.next.append(following)
        self.link.append(0)
        self.length.append(length)
        return len(self.length) - 1

    def longest_ending(self, letters: str) -> list[int]:
        """For each position, how many letters up to and with it stand in one work, word for word."""
        state, length, out = 0, 0, []
        for letter in letters:
            while state and letter not in self.next[state]:
                state = self.link[state]
                length = self.length[state]
            if letter in self.next[state]:
                state, length = self.next[state][letter], length + 1
            else:
                length = 0
            out.append(length)
        return out


@dataclass(frozen=True)
class Occurrence:
    """Letters `first` up to `last` of a text stand in a work and can't be extended on either side."""

    first: int
    last: int

    @property
    def letters(self) -> int:
        return self.last - self.first


class Oracle:
    def __init__(self, works: Iterable[str]) -> None:
        self.automaton = SuffixAutomaton(works)

    def runs(self, text: str, least: int) -> list[Occurrence]:
        """Maximal verbatim runs of at least so many letters."""
        letters = oracle_fold(text)[0]
        lengths = [*self.automaton.longest_ending(letters), 0]
        return [
            Occurrence(end + 1 - length, end + 1)
            for end, length in enumerate(lengths[:-1])
            if length >= least and lengths[end + 1] != length + 1
        ]

    def worst_leak(self, text: str, released: list[bool], threshold: int) -> int:
        """The most letters that left of any run of the threshold's length; `released` says it for each code point."""
        places = oracle_fold(text)[1]
        return max(
            (sum(released[place] for place in places[run.first : run.last]) for run in self.runs(text, threshold)),
            default=0,
        )


class LargeOracle:
    """The same judgement for works of megabytes, for which the automaton is too big: every run of at least SEED letters
    is found from a table of all substrings of that length, and followed letter by letter along its diagonal.
    """

    SEED = 40

    def __init__(self, works: Iterable[str]) -> None:
        self.works = [oracle_fold(work)[0] for work in works]
        self.places: dict[str, list[tuple[int, int]]] = {}
        for number, letters in enumerate(self.works):
            for start in range(len(letters) - self.SEED + 1):
                self.places.setdefault(letters[start : start + self.SEED], []).append((number, start))

    def runs(self, text: str, least: int) -> list[Occurrence]:
        """Runs of at least so many letters (SEED or more), none inside another."""
        letters = oracle_fold(text)[0]
        ends: dict[tuple[int, int], int] = {}  # (work, offset of the text in it) → where the run along it ends
        found = set()
        for start in range(len(letters) - self.SEED + 1):
            for number, place in self.places.get(letters[start : start + self.SEED], ()):
                diagonal = (number, place - start)
                if ends.get(diagonal, 0) > start:
                    continue
                work, end = self.works[number], start + self.SEED
                while (
                    end < len(letters) and end - start + place < len(work) and letters[end] == work[end - start + place]
                ):
                    end += 1
                ends[diagonal] = end
                if end - start >= least:
                    found.add((start, end))
        outer = [run for run in found if not any(o[0] <= run[0] and run[1] <= o[1] and o != run for o in found)]
        return [Occurrence(start, end) for start, end in sorted(outer)]
