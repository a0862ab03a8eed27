"""A channel: one text-bearing field of one choice, its stream machine, and the pieces of events that wait for it."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from guard.match import Match
from guard.stream import Block, Event, Redact, Release, StreamGuard, Withhold
from guard.wire.arguments import ArgumentsLexer, Atom

ChannelKey = tuple[str | int, ...]

# Long texts are lexed and decided in slices, so that few atoms wait at a time.
SLICE_CODE_POINTS: Final = 4096


@dataclass(slots=True, eq=False)
class Slot:
    """The text of one field in one event. `kept`: what of it may leave and hasn't yet, in pieces; `waiting`: atoms
    undecided, because it is `held` or is half an escape; `entry`: the order of the event, if it waits.
    """

    key: ChannelKey
    holder: dict[str, Any]
    name: str
    text: str
    is_json: bool
    kept: list[str] = field(default_factory=list)
    waiting: int = 0
    entry: int = -1
    held: bool = False

    @property
    def choice(self) -> ChannelKey:
        return self.key[:2]


@dataclass(slots=True)
class _Waiting:
    slot: Slot
    atom: Atom
    done: int = 0  # code points of the atom already decided


class Channel:
    """`is_json`: the text is JSON by its field. Other text is read as JSON if it begins so, as in JSON mode. Slots on
    whose text something is decided are added to `changed`.
    """

    __slots__ = ("_begun", "_changed", "_guard", "_lexer", "_marker", "_queue", "_shut", "blocked", "matches")

    def __init__(self, guard: StreamGuard, changed: list[Slot], *, is_json: bool) -> None:
        self._guard = guard
        self._changed = changed
        self._lexer = ArgumentsLexer() if is_json else None
        self._begun = is_json
        self._queue: deque[_Waiting] = deque()
        self._marker = ""  # of a match whose first piece of text hasn't come yet
        self._shut = False
        self.matches: list[Match] = []
        self.blocked: Match | None = None

    @property
    def holding(self) -> bool:
        """Is text held for what it matches? If not, all that can be waiting is half an escape."""
        return self._guard.holding

    @property
    def is_plain(self) -> bool:
        """Is its text known not to be JSON, so that `check` may be used?"""
        return self._begun and self._lexer is None

    def check(self, text: str) -> tuple[Event, ...] | None:
        """None if all of a plain text may leave at once and none waits before it, else what to do, for `feed`."""
        events = self._guard.feed(text)
        if not self._queue and len(events) == 1 and type(events[0]) is Release and len(events[0].text) == len(text):
            return None
        return events

    def feed(self, slot: Slot, checked: tuple[Event, ...] | None = None) -> bool:
        """Takes the slot's text in; True if all of it may leave at once. `checked`: if its text was checked already."""
        if self._shut:
            return False
        if not self._begun and slot.text.strip():
            self._begun = True
            if slot.text.lstrip()[0] in '{["':
                self._lexer = ArgumentsLexer(escapes_in_text=False)
        if self._lexer is None:
            events = self.check(slot.text) if checked is None else checked
            if events is None:
                slot.kept.append(slot.text)
                return True
            self._take_in(slot, [Atom(slot.text, slot.text)], events)
            return False
        for at in range(0, len(slot.text), SLICE_CODE_POINTS):
            atoms = self._lexer.feed(slot.text[at : at + SLICE_CODE_POINTS])
            self._take_in(slot, atoms, self._guard.feed("".join([atom.decoded for atom in atoms])))
        return False

    def _take_in(self, slot: Slot, atoms: list[Atom], events: tuple[Event, ...]) -> None:
        if not self._shut:
            self._queue.extend(_Waiting(slot, atom) for atom in atoms)
            slot.waiting += len(atoms)
            self._apply(events)

    def close(self) -> None:
        """The text has ended. What is still undecided, such as half an escape, leaves."""
        self._apply(self._guard.close())
        while self._queue and self.blocked is None:
            waiting = self._queue.popleft()
            waiting.slot.kept.append(waiting.atom.raw[waiting.done :])
            waiting.slot.waiting -= 1
            self._changed.append(waiting.slot)

    def abandon(self) -> None:
        """Nothing more of the text leaves, what waits included: its choice was blocked for another text."""
        for waiting in self._queue:
            waiting.slot.waiting -= 1
            self._changed.append(waiting.slot)
        self._queue.clear()
        self._shut = self._guard.blocked = True

    def _apply(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Release(text):
                    self._take(len(text), leaves=True)
                case Withhold(code_points, marker):
                    self._marker += marker
                    self._take(code_points, leaves=False)
                case Redact(match):
                    self.matches.append(match)
                case Block(match):
                    self.blocked = match
                    self.abandon()

    def _take(self, code_points: int, *, leaves: bool) -> None:
        """Decide on the next code points of the queue. Atoms that mean nothing alone go with the one they lead to."""
        while code_points:
            waiting = self._queue[0]
            atom = waiting.atom
            count = min(code_points, len(atom.decoded) - waiting.done)
            parallel = len(atom.raw) == len(atom.decoded)
            raw = atom.raw[waiting.done : waiting.done + count] if parallel else atom.raw
            if kept := raw if leaves or atom.structural else self._marked(atom):
                waiting.slot.kept.append(kept)
            self._changed.append(waiting.slot)
            waiting.done += count
            code_points -= count
            if waiting.done == len(atom.decoded):
                waiting.slot.waiting -= 1
                self._queue.popleft()

    def _marked(self, atom: Atom) -> str:
        marker, self._marker = self._marker, ""
        return json.dumps(marker, ensure_ascii=False)[1:-1] if atom.in_string else marker
