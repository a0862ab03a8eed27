"""An answer under guard, sans I/O: what the upstream sends goes in, what the client may have comes out.

Events whose text may leave at once leave as the bytes they came as. The others wait until their text is decided, each
field for itself, and leave as they came too, but for one that was split at a hold point or lost text to a redaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from guard.match import Match
from guard.stream import Event, StreamGuard
from guard.wire.channel import Channel, ChannelKey, Slot
from guard.wire.choices import Choices, choices_of, take_out
from guard.wire.dialect import FILTERED, NOT_CHECKED, Dialect, block_reason
from guard.wire.emit import DONE, ERROR_WITHHELD, dumps, sse
from guard.wire.entry import Entry
from guard.wire.inspect import Inspection, Inspector, Names
from guard.wire.sse import SseEvent, SseSplitter
from guard.wire.strict_json import parse, strings_of
from guard.wire.twin import Twin

MAX_TWINS: Final = 16


class Answer:
    """One answer. `expected`: its number of choices. After `stopped` nothing more comes out: every choice is over, at
    least one by a block, and the upstream need not go on.
    """

    __slots__ = (
        "_changed",
        "_channels",
        "_choices",
        "_dialect",
        "_done",
        "_entries",
        "_envelope",
        "_inspector",
        "_names",
        "_new_guard",
        "_splitter",
        "_twins",
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
        self._envelope = dict(envelope)
        self._choices = Choices(expected)
        self._splitter = SseSplitter()
        self._channels: dict[ChannelKey, Channel] = {}
        self._changed: list[Slot] = []  # slots on whose text the channels decided something
        self._entries: dict[int, Entry] = {}  # events that wait, by their order
        self._twins: list[Twin] = []
        self._names = Names(new_guard())
        shape = dialect.answer_shape if whole else dialect.chunk_shape
        self._inspector = Inspector(shape, self._names, self._choices.is_over)
        self._done = False  # the upstream said [DONE]: what comes after it isn't part of the answer
        self.stopped = False
        self.events = 0
        self.withheld_fields: list[str] = []

    @property
    def holding(self) -> bool:
        return bool(self._entries)

    @property
    def blocked(self) -> bool:
        return bool(self._choices.blocked)

    @property
    def matches(self) -> list[Match]:
        """Matches that were acted on, those that ended in a block included."""
        found = [match for channel in self._channels.values() for match in channel.matches]
        return found + [channel.blocked for channel in self._channels.values() if channel.blocked]

    # A stream of server-sent events.

    def feed(self, piece: bytes) -> bytes:
        """What may leave now. Raises WireError if the piece can't be understood: then `fail` ends the answer."""
        if self._splitter.idle:
            for twin in self._twins:
                text = twin.text(piece)
                if text is not None:
                    self.events += 1
                    checked = twin.channel.check(text) if text else None
                    if checked is None:
                        return piece
                    return self._guarded(SseEvent(piece, None, b""), parse(piece[6:]), checked)
        return b"".join([self._event(event) for event in self._splitter.feed(piece)])

    def close(self) -> bytes:
        """The upstream has ended: what is held below the threshold leaves."""
        out = b""
        for event in self._splitter.close():  # at most one, without its blank line; whatever follows it needs one
            ended = event._replace(raw=event.raw + b"\n\n")
            out = self._event(ended) + self._end_all()
            if out.endswith(ended.raw):
                out = out[:-2]
        return out + self._end_all()

    def break_off(self) -> bytes:
        """The upstream has died: what is held below the threshold leaves, half an event doesn't."""
        return self._end_all()

    def fail(self) -> bytes:
        """The check itself has failed: nothing that is held leaves, every choice that has no end yet gets a block."""
        if self.stopped or self._done:
            return b""
        self._entries.clear()
        untold = [] if self._choices.closed else self._choices.untold
        out = b"".join([self._block_chunk(choice, NOT_CHECKED) for choice in untold])
        self._choices.closed = self.stopped = True
        self._twins.clear()
        return out + DONE

    def names_pass(self, text: str) -> bool:
        """May a text that isn't the model's, such as an error message, leave as it is?"""
        return self._names.passes("text", text)

    def _event(self, event: SseEvent) -> bytes:
        if self.stopped or self._done:
            return event.raw if self._done and not event.raw.strip() else b""
        self.events += 1
        if event.rest and not self._names.passes("comment", event.rest.decode(errors="replace")):
            self.withheld_fields.append("comment")
            if event.data is None:
                return b""
            raw = b"".join(b"data: %b\n" % line for line in event.data.split(b"\n")) + b"\n"
            event = SseEvent(raw, event.data, b"")
        data = event.data.strip() if event.data is not None else b""
        if not data:
            return event.raw
        if data == b"[DONE]":
            self._done = True
            return self._end_all() + event.raw
        parsed = parse(data)
        if type(parsed) is dict and parsed.get("error") and "choices" not in parsed:
            out = self._end_all()
            self._choices.closed = True  # an error ends the answer: no text comes after it
            return out + (event.raw if self.names_pass("\n".join(strings_of(parsed))) else sse(ERROR_WITHHELD))
        return self._guarded(event, parsed)

    def _guarded(self, event: SseEvent, parsed: Any, checked: tuple[Event, ...] | None = None) -> bytes:
        dropped = self.blocked and self._drop_blocked(parsed)
        if dropped and not parsed["choices"] and not parsed.get("usage"):
            return b""
        found = self._inspected(parsed)
        edited = dropped or bool(found.withheld)
        clean = True
        for slot in found.slots:
            clean = self._channel(slot).feed(slot, checked) and clean
        if clean and not edited and not (found.ended and self._entries):
            self._end_choices(found.ended)
            self._choices.told.update(found.ended)
            self._learn(event, found)
            return event.raw + self._stop_if_over()
        prefix = event.rest + b"\n" if event.rest else b""
        entry = self._entries[self.events] = Entry(self.events, event.raw, prefix, parsed, found, edited)
        for slot in found.slots:
            slot.entry = self.events
        blocked = self._newly_blocked(entry)
        self._end_choices(found.ended)
        out = self._settled(entry) + b"".join([self._block_chunk(choice, FILTERED) for choice in blocked])
        self._choices.told.update(blocked)
        return out + self._stop_if_over()

    def _stop_if_over(self) -> bytes:
        self.stopped = self._choices.may_stop
        return DONE if self.stopped else b""

    def _learn(self, event: SseEvent, found: Inspection) -> None:
        if len(found.slots) == 1 and not found.carries and len(self._twins) < MAX_TWINS:
            slot = found.slots[0]
            channel = self._channels[slot.key]
            if channel.is_plain and (twin := Twin.of(event.raw, slot, channel)):
                self._twins.append(twin)

    def _inspected(self, parsed: Any) -> Inspection:
        found = self._inspector.inspect(parsed)
        self.withheld_fields += found.withheld
        if not self._choices.begun:  # the first event tells how a block of this answer looks
            for name, own in self._envelope.items():
                if type(parsed.get(name)) is type(own):
                    self._envelope[name] = parsed[name]
        self._choices.begun.update(choice for choice, _ in choices_of(parsed))
        return found

    def _channel(self, slot: Slot) -> Channel:
        channel = self._channels.get(slot.key)
        if channel is None:
            channel = Channel(self._new_guard(), self._changed, is_json=slot.is_json)
            self._channels[slot.key] = channel
        return channel

    def _drop_blocked(self, parsed: Any) -> bool:
        """Take the choices that are blocked out of an event; True if there were any."""
        choices = parsed.get("choices") if type(parsed) is dict else None
        if type(choices) is not list or not all(type(choice) is dict for choice in choices):
            return False  # for the inspector to judge
        return take_out(parsed, self._choices.blocked)

    def _newly_blocked(self, entry: Entry) -> list[ChannelKey]:
        """Choices that this event got blocked. Nothing more of their other texts leaves either; if the event ends one
        of them, it does so as a block.
        """
        blocked = {slot.choice for slot in entry.found.slots if self._channels[slot.key].blocked}
        for key, channel in self._channels.items():
            if blocked and key[:2] in blocked:
                channel.abandon()
        self._choices.blocked |= blocked
        self._choices.over |= blocked
        for key, choice in choices_of(entry.event):
            if key in blocked and choice.get("finish_reason") is not None:
                choice["finish_reason"] = None
                entry.edited = True
        if blocked:
            self._twins.clear()
        return sorted(blocked, key=lambda choice: choice[1])

    def _end_choices(self, choices: Iterable[ChannelKey]) -> None:
        for choice in choices:
            self._twins.clear()
            self._choices.over.add(choice)
            for key, channel in self._channels.items():
                if key[:2] == choice:
                    channel.close()

    def _end_all(self) -> bytes:
        self._twins.clear()
        for channel in self._channels.values():
            channel.close()
        return b"" if self.stopped else self._settled(None)

    def _settled(self, newest: Entry | None) -> bytes:
        """Everything that is decided in the events that something was decided about, in their order."""
        orders = {slot.entry for slot in self._changed if slot.entry in self._entries}
        if newest is not None:
            orders.add(newest.order)
        self._changed.clear()
        out = []
        for order in sorted(orders):
            entry = self._entries[order]
            entry.edited |= take_out(entry.event, self._choices.blocked & self._choices.told)
            undecided = entry.undecided
            for slot in undecided:
                slot.held = self._channels[slot.key].holding
            if undecided and not entry.part_may_leave:
                continue
            out.append(entry.sent())
            entry.split = True
            self._choices.told.update(set(entry.found.ended) - self._choices.blocked)
            if not undecided:
                del self._entries[order]
        return b"".join(out)

    def _block_chunk(self, choice: ChannelKey, results: Mapping[str, Any]) -> bytes:
        begun = choice in self._choices.begun
        return sse(self._dialect.block_chunk(self._envelope, int(choice[1]), begun=begun, results=results))

    # A whole answer in one piece.

    def body(self, raw: bytes) -> bytes:
        """The answer as the client may have it, the very bytes if nothing is withheld. Raises WireError."""
        parsed = parse(raw)
        found = self._inspected(parsed)
        for slot in found.slots:
            channel = self._channel(slot)
            channel.feed(slot)
            channel.close()
            if channel.blocked:
                self._choices.blocked.add(slot.choice)
        kept = ["".join(slot.kept) for slot in found.slots]
        if not found.withheld and all(text == slot.text for text, slot in zip(kept, found.slots, strict=True)):
            return raw
        for slot, text in zip(found.slots, kept, strict=True):
            slot.holder[slot.name] = text
        for key, choice in choices_of(parsed):
            if key in self._choices.blocked:
                choice.update(block_reason(FILTERED))
        return dumps(parsed)

    def failed_body(self) -> bytes:
        """A whole answer as a block, for when the check itself fails."""
        return dumps(self._dialect.block_answer(self._envelope, len(self._choices.untold), NOT_CHECKED))
