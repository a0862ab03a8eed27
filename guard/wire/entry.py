"""An event that waits until all its texts are decided, and how it leaves then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guard.wire.channel import Slot
from guard.wire.emit import sse
from guard.wire.inspect import Inspection


@dataclass(slots=True, eq=False)
class Entry:
    """`order`: its place among the events. `edited`: what it carries was changed already. `split`: a part of it has
    left, with all that it carries besides text.
    """

    order: int
    raw: bytes
    prefix: bytes
    event: dict[str, Any]
    found: Inspection
    edited: bool
    split: bool = False

    @property
    def part_may_leave(self) -> bool:
        """Should what is decided leave before the rest: the start of a text that is held, all of another text, or the
        end of another choice? Half an escape alone is no reason to take an event apart.
        """
        decided = any(slot.kept and (slot.held or not slot.waiting) for slot in self.found.slots)
        return decided or (bool(self.found.ended) and not self.split)

    @property
    def undecided(self) -> list[Slot]:
        return [slot for slot in self.found.slots if slot.waiting]

    def sent(self) -> bytes:
        """What of it may leave now: the bytes it came as if nothing was touched, nothing if nothing is left."""
        slots = self.found.slots
        kept = ["".join(slot.kept) for slot in slots]
        if (
            not self.split
            and not self.edited
            and all(text == slot.text for text, slot in zip(kept, slots, strict=True))
        ):
            return self.raw
        if self.split:
            for holder, name in self.found.names:
                holder[name] = None
            if "usage" in self.event:
                self.event["usage"] = None
        if slots and not any(kept) and (self.split or not self.found.carries):
            return b""
        for slot, text in zip(slots, kept, strict=True):
            slot.holder[slot.name] = text
            slot.kept.clear()
        prefix, self.prefix = self.prefix, b""
        return prefix + sse(self.event)
