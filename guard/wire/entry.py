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
    def undecided(self) -> list[Slot]:
        return [slot for slot in self.found.slots if slot.waiting]

    def sent(self) -> bytes:
        """What of it may leave now: the bytes it came as if nothing was touched, nothing if nothing is left."""
        slots = self.found.slots
        if not self.split and not self.edited and all(slot.kept == slot.text for slot in slots):
            return self.raw
        if self.split:
            for holder, name in self.found.names:
                holder[name] = None
            if "usage" in self.event:
                self.event["usage"] = None
        if slots and not any(slot.kept for slot in slots) and (self.split or not self.found.carries):
            return b""
        for slot in slots:
            slot.holder[slot.name], slot.kept = slot.kept, ""
        return self.prefix + sse(self.event)
