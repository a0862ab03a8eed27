"""What becomes of the choices of one answer: which have begun, are over, were blocked, and know of their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from guard.wire.channel import ChannelKey


def choices_of(event: Mapping[str, Any]) -> Iterator[tuple[ChannelKey, dict[str, Any]]]:
    """The choices in an event that was inspected, each with its key; one without an index counts by its place."""
    for place, choice in enumerate(event.get("choices") or ()):
        yield ("choices", choice.get("index", place)), choice


def take_out(event: dict[str, Any], gone: Set[ChannelKey]) -> bool:
    """Take choices out of an event; True if it had any of them. Those that stay keep their index, written or not."""
    choices = list(choices_of(event))
    kept = [(key, choice) for key, choice in choices if key not in gone]
    if len(kept) == len(choices):
        return False
    for (_, index), choice in kept:
        choice.setdefault("index", index)
    event["choices"] = [choice for _, choice in kept]
    return True


class Choices:
    """`told`: choices whose end has left. `closed`: the whole answer has ended, so that every choice is over."""

    __slots__ = ("_expected", "begun", "blocked", "closed", "over", "told")

    def __init__(self, expected: int) -> None:
        self._expected: set[ChannelKey] = {("choices", index) for index in range(expected)}
        self.begun: set[ChannelKey] = set()
        self.over: set[ChannelKey] = set()
        self.blocked: set[ChannelKey] = set()
        self.told: set[ChannelKey] = set()
        self.closed = False

    def is_over(self, choice: ChannelKey) -> bool:
        return self.closed or choice in self.over

    @property
    def may_stop(self) -> bool:
        """Is every choice over, at least one by a block, so that the upstream need not go on?"""
        return bool(self.blocked) and self.over >= self._expected | self.begun

    @property
    def untold(self) -> list[ChannelKey]:
        return sorted((self._expected | self.begun) - self.told, key=lambda choice: choice[1])
