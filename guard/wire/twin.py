"""Most events of a stream differ from the one before in nothing but the text. Such a twin needs no second walk."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from guard.wire.channel import Channel, Slot
from guard.wire.emit import dumps
from guard.wire.sse import is_plain_event


class Twin(NamedTuple):
    """The bytes around the text of an event that was walked through. What has the same bytes around a JSON string has
    the same fields, and only the string is new: quotes inside of JSON strings are escaped, so no text can reach out.
    """

    before: bytes
    after: bytes
    channel: Channel

    @classmethod
    def of(cls, raw: bytes, slot: Slot, channel: Channel) -> Twin | None:
        """None where the text's place can't be told for certain."""
        field = b'"%s":%s' % (slot.name.encode(), dumps(slot.text))
        at = raw.find(field)
        if at < 0 or raw.find(field, at + 1) >= 0 or not is_plain_event(raw):
            return None
        start = at + len(slot.name) + 3
        return cls(raw[:start], raw[at + len(field) :], channel)

    def text(self, piece: bytes) -> str | None:
        """The text of a piece that is a twin, else None."""
        if not (piece.startswith(self.before) and piece.endswith(self.after)):
            return None
        try:
            value = orjson.loads(piece[len(self.before) : len(piece) - len(self.after)])
        except orjson.JSONDecodeError:
            return None
        return value if type(value) is str else None
