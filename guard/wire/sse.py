"""Server-sent events, split as they arrive (WHATWG HTML §9.2). Each keeps its raw bytes, to leave as it came."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from guard.errors import WireError

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024


class SseEvent(NamedTuple):
    """`raw`: its bytes, line ends included; `data`: the data lines joined, None without any; `rest`: all other lines
    (comments, event names, ids), which could carry text too.
    """

    raw: bytes
    data: bytes | None
    rest: bytes


class SseSplitter:
    """Bytes in, whole events out. Accepts LF, CRLF and CR, cut anywhere."""

    __slots__ = ("_after_cr", "_buffer", "_line_start", "_lines", "_searched", "_started")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._line_start = 0  # of the first line not yet taken, in the buffer
        self._searched = 0  # up to where that line is known not to end
        self._lines: list[bytes] = []  # of the event at hand
        self._after_cr = False  # the last line ended in CR at the buffer's end: an LF that follows belongs to it
        self._started = False

    @property
    def idle(self) -> bool:
        """Is it between two events, so that the next piece begins one?"""
        return not self._buffer and self._started and not self._after_cr

    def feed(self, piece: bytes) -> list[SseEvent]:
        """Raises WireError for an event over 16 MiB."""
        if self.idle and is_plain_event(piece):
            return [SseEvent(piece, piece[6:-2], b"")]
        self._buffer += piece
        if not self._started and self._buffer:
            if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
                return []
            self._started = True
            self._line_start = self._searched = len(_BOM) if self._buffer.startswith(_BOM) else 0
        return self._events()

    def close(self) -> list[SseEvent]:
        """What came without a final blank line. A client that reads line by line would see it, so it is an event."""
        if self._line_start < len(self._buffer):
            self._lines.append(bytes(self._buffer[self._line_start :]))
        raw = bytes(self._buffer)
        self._buffer.clear()
        self._line_start = self._searched = 0
        return [self._event(raw)] if raw else []

    def _events(self) -> list[SseEvent]:
        events: list[SseEvent] = []
        buffer, taken = self._buffer, 0
        start, at = self._line_start, self._searched
        if self._after_cr and start < len(buffer):
            self._after_cr = False
            if buffer[start] == 0x0A:
                start += 1
                if not self._lines:  # leaves at once: the event that it ends has left
                    events.append(SseEvent(bytes(buffer[:start]), None, b""))
                    taken = start
            at = start
        while found := _LINE_END.search(buffer, at):
            line, at = bytes(buffer[start : found.start()]), found.end()
            start = at
            if line:
                self._lines.append(line)
            elif self._lines:
                events.append(self._event(bytes(buffer[taken:at])))
                taken = at
        self._after_cr = start == len(buffer) > 0 and buffer.endswith(b"\r")
        self._line_start, self._searched = start - taken, len(buffer) - taken
        del buffer[:taken]
        if len(buffer) > MAX_EVENT_BYTES:
            raise WireError(f"an event of the upstream is longer than {MAX_EVENT_BYTES:,} bytes")
        return events

    def _event(self, raw: bytes) -> SseEvent:
        data, rest = [], []
        for line in self._lines:
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
            else:
                rest.append(line)
        self._lines = []
        return SseEvent(raw, b"\n".join(data) if data else None, b"\n".join(rest))


def is_plain_event(piece: bytes) -> bool:
    """One event of one data line and nothing else: nearly every piece is."""
    return (
        piece.startswith(b"data: ")
        and piece.endswith(b"\n\n")
        and piece.find(b"\n") == len(piece) - 2
        and b"\r" not in piece
    )
