"""An answer under guard, sans I/O: what the upstream sends goes in, what the client may have comes out.

Events whose text may leave at once leave as the bytes they came as. The others wait until their text is decided, each
field for itself, and leave as they came too, but for one that was split at a hold point or lost text to a redaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from guard.errors import WireError
from guard.match import Match
from guard.stream import Event, StreamGuard
from guard.wire.channel import Channel, ChannelKey, Slot
from guard.wire.dialect import FILTERED, NOT_CHECKED, Dialect, block_reason
from guard.wire.inspect import Inspection, Inspector, Names
from guard.wire.sse import SseEvent, SseSplitter
from guard.wire.strict_json import parse
from guard.wire.twin import Twin

DONE: Final = b"data: [DONE]\n\n"
MAX_TWINS: Final = 16
ERROR_WITHHELD: Final = orjson.dumps(
    {"error": {"message": "The server's error message was withheld by the guard.", "type": "server_error", "code": 500}}
)


@dataclass(slots=True, eq=False)
class _Entry:
    """An event that waits. `split`: a part of it has left, with all that it carries besides text."""

    raw: bytes
    prefix: bytes
    event: dict[str, Any]
    found: Inspection
    edited: bool
    split: bool = False


class Answer:
    """One answer. `expected`: its number of choices. After `stopped` nothing more comes out: every choice is over, at
    least one by a block, and the upstream need not go on.
    """

    __slots__ = (
        "_begun",
        "_channels",
        "_dialect",
        "_entries",
        "_envelope",
        "_expected",
        "_inspector",
        "_names",
        "_new_guard",
        "_over",
        "_splitter",
        "_twins",
        "blocked",
        "events",
        "stopped",
        "withheld_fields",
    )

    def __init__(
        self,
        dialect: Dialect,
        new_guard: Callable[[], StreamGuard],
        expected: int,
        envelope: Mapping[str, Any],
        *,
        whole: bool,
    ) -> None:
        self._dialect = dialect
        self._new_guard = new_guard
        self._expected = expected
        self._envelope = dict(envelope)
        self._splitter = SseSplitter()
        self._channels: dict[ChannelKey, Channel] = {}
        self._entries: list[_Entry] = []
        self._twins: list[Twin] = []
        self._over: set[ChannelKey] = set()
        self._begun: set[int] = set()
        self._names = Names(new_guard())
        shape = dialect.answer_shape if whole else dialect.chunk_shape
        self._inspector = Inspector(shape, self._names, self._over.__contains__)
        self.blocked: set[ChannelKey] = set()
        self.stopped = False
        self.events = 0
        self.withheld_fields: list[str] = []

    @property
    def holding(self) -> bool:
        return bool(self._entries)

    @property
    def matches(self) -> list[Match]:
        """Matches that were acted on, those that ended in a block included."""
        found = [match for channel in self._channels.values() for match in channel.matches]
        return found + [channel.blocked for channel in self._channels.values() if channel.blocked]

    # A stream of server-sent events.

    def feed(self, piece: bytes) -> bytes:
        """What may leave now. Raises WireError if the piece can't be understood: then `fail` ends the answer."""
        if not self.stopped and self._splitter.idle:
            for twin in self._twins:
                text = twin.text(piece)
                if text is not None:
                    self.events += 1
                    checked = twin.channel.check(text) if text else None
                    if checked is None:
                        return piece
                    return self._guarded(SseEvent(piece, None, b""), orjson.loads(piece[6:]), checked)
        events = self._splitter.feed(piece)
        if len(events) == 1:
            return self._event(events[0])
        return b"".join([self._event(event) for event in events])

    def close(self) -> bytes:
        """The upstream has ended: what is held below the threshold leaves."""
        out = b"".join([self._event(event) for event in self._splitter.close()])
        return out if self.stopped else out + self._end_all()

    def break_off(self) -> bytes:
        """The upstream has died: what is held below the threshold leaves, half an event doesn't."""
        return b"" if self.stopped else self._end_all()

    def fail(self) -> bytes:
        """The check itself has failed: nothing that is held leaves, every open choice ends as a block."""
        if self.stopped:
            return b""
        self._entries.clear()
        out = b""
        for index in range(self._expected):
            if ("choices", index) not in self._over:
                out += self._block_chunk(index, NOT_CHECKED)
        self.stopped = True
        return out + DONE

    def _event(self, event: SseEvent) -> bytes:
        if self.stopped:
            return b""
        self.events += 1
        if event.rest and not self._names.passes(event.rest.decode(errors="replace")):
            self.withheld_fields.append("comment")
            return b""
        if event.data is None:
            return event.raw
        if event.data == b"[DONE]":
            return self._end_all() + event.raw
        parsed = parse(event.data)
        if type(parsed) is dict and parsed.get("error") is not None:
            return self._end_all() + (
                event.raw if self.names_pass("\n".join(strings_of(parsed))) else b"data: " + ERROR_WITHHELD + b"\n\n"
            )
        return self._guarded(event, parsed)

    def names_pass(self, text: str) -> bool:
        """May a text that isn't the model's, such as an error message, leave as it is?"""
        return self._names.passes(text)

    def _guarded(self, event: SseEvent, parsed: Any, checked: tuple[Event, ...] | None = None) -> bytes:
        edited = bool(self.blocked) and self._drop_blocked(parsed)
        if edited and not parsed["choices"] and not parsed.get("usage"):
            return b""
        found = self._inspect(parsed)
        edited = edited or bool(found.withheld)
        clean = True
        for slot in found.slots:
            clean = self._channel(slot).feed(slot, checked) and clean
        if clean and not edited and not self._entries:
            self._end_choices(found.ended)
            self._learn(event, found)
            return event.raw + self._stop_if_over()
        prefix = event.rest + b"\n" if event.rest else b""
        entry = _Entry(event.raw, prefix, parsed, found, edited)
        self._entries.append(entry)
        blocked = self._newly_blocked(entry)
        self._end_choices([*found.ended, *blocked])
        out = self._settled()
        for choice in blocked:
            out += self._block_chunk(int(choice[1]), FILTERED)
        return out + self._stop_if_over()

    def _stop_if_over(self) -> bytes:
        self.stopped = bool(self.blocked) and len(self._over) >= self._expected
        return DONE if self.stopped else b""

    def _learn(self, event: SseEvent, found: Inspection) -> None:
        if len(found.slots) == 1 and not found.carries and not event.rest and len(self._twins) < MAX_TWINS:
            slot = found.slots[0]
            if not slot.is_json and (twin := Twin.of(event.raw, slot, self._channels[slot.key])):
                self._twins.append(twin)

    def _inspect(self, parsed: Any) -> Inspection:
        found = self._inspector.inspect(parsed)
        self.withheld_fields += found.withheld
        if not self._begun and isinstance(parsed.get("id"), str):
            self._envelope.update({name: parsed[name] for name in self._envelope if name in parsed})
        for choice in parsed.get("choices") or ():
            self._begun.add(choice.get("index", 0))
        return found

    def _channel(self, slot: Slot) -> Channel:
        channel = self._channels.get(slot.key)
        if channel is None:
            channel = self._channels[slot.key] = Channel(self._new_guard(), is_json=slot.is_json)
        return channel

    def _drop_blocked(self, parsed: Any) -> bool:
        """Take the choices that are blocked out of an event; True if there were any."""
        choices = parsed.get("choices") if type(parsed) is dict else None
        if type(choices) is not list:
            raise WireError("an event of the upstream has no list of choices")
        kept = [
            each for each in choices if type(each) is not dict or ("choices", each.get("index")) not in self.blocked
        ]
        dropped = len(kept) < len(choices)
        if dropped:
            parsed["choices"] = kept
        return dropped

    def _newly_blocked(self, entry: _Entry) -> list[ChannelKey]:
        """Choices that this event got blocked. If the event ends one of them, it does so as a block."""
        blocked = {slot.choice for slot in entry.found.slots if self._channels[slot.key].blocked} - self.blocked
        self.blocked |= blocked
        for choice in entry.event.get("choices") or ():
            if ("choices", choice.get("index")) in blocked and choice.get("finish_reason") is not None:
                choice["finish_reason"] = None
                entry.edited = True
        return sorted(blocked, key=str)

    def _end_choices(self, choices: list[ChannelKey]) -> None:
        if choices:
            self._twins.clear()
        for choice in choices:
            self._over.add(choice)
            for key, channel in self._channels.items():
                if key[:2] == choice:
                    channel.close()

    def _end_all(self) -> bytes:
        for channel in self._channels.values():
            channel.close()
        return self._settled()

    def _settled(self) -> bytes:
        """Everything in the waiting events that is decided, in their order."""
        out, waiting = b"", []
        for entry in self._entries:
            undecided = [slot for slot in entry.found.slots if slot.waiting]
            if undecided:
                held = any(self._channels[slot.key].holding for slot in undecided)
                if held and any(slot.kept for slot in entry.found.slots):
                    out += self._sent(entry)
                    entry.split = True
                waiting.append(entry)
            else:
                out += self._sent(entry)
        self._entries = waiting
        return out

    def _sent(self, entry: _Entry) -> bytes:
        slots = entry.found.slots
        if not entry.split and not entry.edited and all(slot.kept == slot.text for slot in slots):
            return entry.raw
        if entry.split:
            for holder, name in entry.found.names:
                holder[name] = None
            if "usage" in entry.event:
                entry.event["usage"] = None
        if slots and not any(slot.kept for slot in slots) and (entry.split or not entry.found.carries):
            return b""
        for slot in slots:
            slot.holder[slot.name], slot.kept = slot.kept, ""
        return entry.prefix + b"data: " + orjson.dumps(entry.event) + b"\n\n"

    def _block_chunk(self, index: int, results: Mapping[str, Any]) -> bytes:
        begun = index in self._begun
        chunk = self._dialect.block_chunk(self._envelope, index, begun=begun, results=results)
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    # A whole answer in one piece.

    def body(self, raw: bytes) -> bytes:
        """The answer as the client may have it, the very bytes if nothing is withheld. Raises WireError."""
        parsed = parse(raw)
        found = self._inspect(parsed)
        for slot in found.slots:
            channel = self._channel(slot)
            channel.feed(slot)
            channel.close()
            if channel.blocked:
                self.blocked.add(slot.choice)
        if not found.withheld and all(slot.kept == slot.text for slot in found.slots):
            return raw
        for slot in found.slots:
            slot.holder[slot.name] = slot.kept
        for place, choice in enumerate(parsed.get("choices") or ()):
            if ("choices", choice.get("index", place)) in self.blocked:
                choice.update(block_reason(FILTERED))
        return orjson.dumps(parsed)

    def failed_body(self) -> bytes:
        """A whole answer as a block, for when the check itself fails."""
        return orjson.dumps(self._dialect.block_answer(self._envelope, self._expected, NOT_CHECKED))


def strings_of(value: Any) -> list[str]:
    """All strings in a JSON value, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, part in value.items() for text in (key, *strings_of(part))]
    if isinstance(value, list):
        return [text for part in value for text in strings_of(part)]
    return []
