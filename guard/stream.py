"""The stream machine: text in, text out, runs of protected works held and withheld. No I/O, clock or environment.

Text flows until a run of `hold_after` letters is seen; from there on it is held. If the run breaks short of the
threshold, what was held leaves unchanged; if it gets there, the action applies from the hold point to the run's end.
Every decision is taken at a letter's position in the text, never at the end of a delta, so the concatenated output
doesn't depend on how the text was cut. Positions count code points and letters from the text's beginning.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from guard.index.file import Index
from guard.index.kernels import CODE_POINTS, FRESH, LETTERS
from guard.match import Match, Run, RunTracker
from guard.policy import Action, Policy

# Full leet makes half of the letters digits; tables and lists of years have nearly nothing else.
MOSTLY_DIGITS: Final = 2 / 3


class Release(NamedTuple):
    """The next piece of the model's text, unchanged."""

    text: str


class Withhold(NamedTuple):
    """The next `code_points` of the model's text don't leave; `marker` stands in, empty but for a match's first."""

    code_points: int
    marker: str


class Redact(NamedTuple):
    """A withheld match has ended."""

    match: Match


class Block(NamedTuple):
    """Nothing more leaves: the rest of the text, held text included, is withheld."""

    match: Match


Event = Release | Withhold | Redact | Block


class State(enum.Enum):
    FLOWING = enum.auto()
    HOLDING = enum.auto()
    WITHHOLDING = enum.auto()


class StreamGuard:
    """Guards one channel. `feed` takes any text, `close` tells that no more comes; both return what to do, in order.
    Streams that share an index share its scanner, so they belong to one thread.
    """

    __slots__ = (
        "_first_letter",
        "_frontier",
        "_limits",
        "_match",
        "_out",
        "_pending",
        "_policy",
        "_runs",
        "_scan",
        "_scanner",
        "_seen",
        "_state",
        "_withheld_letters",
        "blocked",
    )

    def __init__(self, index: Index, policy: Policy) -> None:
        self._scanner = index.scanner
        self._policy = policy
        self._limits = policy.limits(index.recipe)
        self._scan = index.scanner.start()
        self._runs = RunTracker(index.recipe)
        self._state = State.FLOWING
        self._pending = ""  # text that has neither left nor been withheld
        self._frontier = 0  # code point at which it begins
        self._seen = 0  # letters before the delta at hand
        self._withheld_letters = 0  # the letters before this one are withheld, in WITHHOLDING
        self._match: Match | None = None  # withheld, reported once text flows again
        self._first_letter = 0  # of that match
        self._out: list[Event] = []
        self.blocked = False

    @property
    def holding(self) -> bool:
        """Has text arrived that neither left nor was withheld?"""
        return bool(self._pending)

    def feed(self, delta: str) -> tuple[Event, ...]:
        if len(delta) > self._scanner.MAX_CODE_POINTS:
            size = self._scanner.MAX_CODE_POINTS
            return tuple(event for at in range(0, len(delta), size) for event in self.feed(delta[at : at + size]))
        if self.blocked or not delta:
            return ()
        found = self._scanner.scan(delta, self._scan)
        if not found and not self._runs and self._match is None:
            return (Release(delta),)
        self._follow(delta, self._scanner.hits[:found].tolist())
        return self._taken()

    def close(self) -> tuple[Event, ...]:
        """The text has ended: runs end with it, and what is held below the threshold leaves."""
        if not self.blocked:
            self._release_to(self._frontier + len(self._pending))
            self._report()
            self._runs.clear()
            self._state = State.FLOWING
        return self._taken()

    def _taken(self) -> tuple[Event, ...]:
        events = tuple(self._out)
        self._out.clear()
        return events

    def _follow(self, delta: str, hits: list[list[int]]) -> None:
        """Take every decision that a delta brings, in the order of the letters."""
        letters, end = int(self._scan[LETTERS]), int(self._scan[CODE_POINTS])
        self._seen = letters - int(self._scan[FRESH])
        if self._state is State.FLOWING:
            self._frontier = end - len(delta)
        self._pending += delta
        for gram_end, start, boundary in hits:
            self._end_runs(gram_end - 1)
            if not self.blocked:
                self._hit(gram_end, start, boundary)
            if self.blocked:
                return
        self._end_runs(letters)
        self._reach(letters, end)
        if self._state is State.FLOWING and not self.blocked:
            self._release_to(end)

    def _place(self, letter: int) -> int:
        """Code point of a letter of the delta at hand."""
        return int(self._scanner.positions[letter - self._seen])

    def _reach(self, letters: int, place: int) -> None:
        """So many letters, and all code points before `place`, have arrived: keep what is held bounded."""
        bound = self._policy.max_held
        if self._state is State.HOLDING and place - self._frontier > bound:
            held = min((run for run in self._runs if run.boundaries), key=lambda run: run.boundaries[0])
            self._act(held, self._frontier + bound + 1)
        if self._state is State.WITHHOLDING and not self.blocked:
            last = min(letters, self._withheld_letters) - 1
            if last >= self._seen:
                self._withhold_to(self._place(last) + 1)
            # Code points without letters wait for the letter that tells whether the run goes on.
            self._withhold_to(self._frontier + (place - self._frontier) // (bound + 1) * (bound + 1))

    def _end_runs(self, letters: int) -> None:
        """End the runs that no hit continued, up to so many letters."""
        while self._runs and not self.blocked:
            run = self._runs.first_to_end()
            end = self._runs.end_of(run)
            if end > letters:
                return
            self._reach(end - 1, self._place(end - 1))
            if self.blocked:
                return
            self._runs.end(run)
            if self._state is not State.WITHHOLDING or not any(other.acted for other in self._runs):
                self._resume()

    def _resume(self) -> None:
        """Text flows again up to the point from which another run holds it, if one does."""
        points = [run.boundaries[0] for run in self._runs if run.boundaries]
        if points:
            self._state = State.HOLDING
            self._release_to(min(points))
        else:
            self._state = State.FLOWING

    def _hit(self, gram_end: int, start: int, boundary: int) -> None:
        self._reach(gram_end - 1, self._place(gram_end - 1))
        if self.blocked:
            return
        run = self._runs.hit(gram_end, start)
        if run.acted:
            self._extend(run)
            return
        if run.letters >= self._limits.hold_after:
            run.boundaries.append(boundary)
            if self._state is State.FLOWING:
                self._state = State.HOLDING
                self._release_to(boundary)
        if run.letters >= self._limits.act_at:
            behind = self._place(gram_end - 1) + 1
            if self._mostly_digits(run, behind):
                run.slide(self._runs.stride)
                self._resume()
            else:
                self._act(run, behind)

    def _mostly_digits(self, run: Run, behind: int) -> bool:
        if self._state is State.WITHHOLDING:
            return False
        held = self._pending[max(0, run.boundaries[0] - self._frontier) : behind - self._frontier]
        letters = self._limits.act_at - self._limits.hold_after
        # ASCII digits alone are sure to be letters of the run; others, such as ❶, could be strewn in to shield it.
        return sum("0" <= char <= "9" for char in held) > MOSTLY_DIGITS * letters

    def _act(self, run: Run, behind: int) -> None:
        """The action applies to all that is held, up to the code point `behind`."""
        run.acted = True
        if self._policy.action is Action.BLOCK:
            self._out.append(Block(Match(run.start, behind, run.letters)))
            self.blocked, self._pending = True, ""
            self._runs.clear()
            return
        marker = ""
        if self._match is None:  # else nothing has left since the last one ended, and it goes on
            self._match, self._first_letter = Match(run.start, self._frontier, 0), run.first
            marker = self._policy.marker
        self._state = State.WITHHOLDING
        self._extend(run)
        self._withhold_to(behind, marker)

    def _extend(self, run: Run) -> None:
        """The match at hand takes in a run as it is now, and the letters by which it may be longer."""
        assert self._match is not None
        self._first_letter = min(self._first_letter, run.first)
        letters = max(self._match.letters, run.last - self._first_letter)
        self._match = Match(min(self._match.start, run.start), self._match.end, letters)
        self._withheld_letters = max(self._withheld_letters, self._runs.end_of(run) - 1)

    def _withhold_to(self, place: int, marker: str = "") -> None:
        count = place - self._frontier
        if count > 0:
            assert self._match is not None
            self._out.append(Withhold(count, marker))
            self._pending, self._frontier = self._pending[count:], place
            self._match = Match(self._match.start, place, self._match.letters)

    def _release_to(self, place: int) -> None:
        count = place - self._frontier
        if count > 0:
            self._report()
            self._out.append(Release(self._pending[:count]))
            self._pending, self._frontier = self._pending[count:], place

    def _report(self) -> None:
        if self._match is not None:
            self._out.append(Redact(self._match))
            self._match = None
