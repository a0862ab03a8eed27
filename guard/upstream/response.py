"""One answer of the upstream: parsed as it arrives, buffered within bounds, read piece by piece."""

from __future__ import annotations

import asyncio
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from guard.errors import UpstreamError

HEAD_LIMIT_BYTES = 64 * 1024
"""Of one head; also of bytes in a row that bring no body: endless chunk extensions, trailers or 1xx answers."""

PAUSE_ABOVE_BYTES = 64 * 1024
"""What may wait for the reader; one read of the socket more, and no further one is made."""


class Link(Protocol):
    """What a response may do to the connection it comes over."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...


class Response:
    """`status`, `headers` (names in lower case, as they came, repeats kept) and `read()`.

    Written to by one connection (`feed`, `lost`), read by one task. Informational (1xx) answers and trailers are
    dropped. Also the callback object of its parser, hence the `on_…` methods.
    """

    __slots__ = (
        "_error",
        "_framed",
        "_head_bytes",
        "_head_only",
        "_link",
        "_parser",
        "_paused",
        "_pieces",
        "_unproductive_bytes",
        "_waiter",
        "buffered_bytes",
        "ended",
        "headers",
        "keep_alive",
        "status",
        "untouched",
    )

    def __init__(self, link: Link, *, head_only: bool = False) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.ended = False
        """The whole answer has arrived; some of it may still wait for the reader."""
        self.keep_alive = False
        """Once ended: nothing stands against another exchange on this connection."""
        self.untouched = True
        """Not one byte of an answer has been seen."""
        self.buffered_bytes = 0
        self._link: Link | None = link
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._head_only = head_only
        self._head_bytes = 0
        self._unproductive_bytes = 0
        self._framed = False
        self._paused = False
        self._pieces: list[bytes] = []
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # For the reader

    async def head(self) -> None:
        """Wait for status and headers. Raises UpstreamError."""
        while not self.status:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def read(self) -> bytes:
        """The next piece of the body: all that has arrived since the last call. b"" at the end.

        What arrived before a fault is given out first. Raises UpstreamError.
        """
        pieces = self._pieces
        while not pieces:
            if self.ended:
                return b""
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered_bytes = 0
        if self._paused:
            self._paused = False
            if self._link is not None:
                self._link.resume_reading()
        return piece

    def abort(self) -> None:
        """Leave: the upstream sees the connection close at once. A reader gets an UpstreamError. Twice is harmless."""
        if not self.ended:
            self._pieces.clear()
            self._fail("The exchange with the upstream was aborted")

    # For the connection

    def feed(self, data: bytes) -> None:
        """Bytes of the upstream. Afterwards `ended` says whether they completed the answer."""
        self.untouched = False
        before = self.buffered_bytes
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]  # nobody feeds an answer that ended or failed
        except HttpParserUpgrade:
            return self._fail("The upstream switched protocols, which nobody asked for")
        except HttpParserError as error:
            self.keep_alive = False
            if not self.ended:
                return self._fail(f"The upstream's answer is malformed HTTP: {error}")
        if self._head_only and self.status:
            self.ended = True
        if self.ended:
            return self._end()
        if self.buffered_bytes != before:
            self._unproductive_bytes = 0
            if self.buffered_bytes > PAUSE_ABOVE_BYTES and not self._paused and self._link is not None:
                self._paused = True
                self._link.pause_reading()
        else:
            self._unproductive_bytes += len(data)
        if self._unproductive_bytes > HEAD_LIMIT_BYTES or self._head_bytes > HEAD_LIMIT_BYTES:
            return self._fail(f"The upstream's answer has more than {HEAD_LIMIT_BYTES // 1024} KiB of headers in a row")
        return self._wake()

    def lost(self, error: Exception | None) -> None:
        """The connection is gone, cleanly (None) or by a fault of the network."""
        if self.ended or self._error is not None:
            return
        if error is None and self.status and not self._framed:
            self.ended = True
            self._end()
        else:
            how = f"the connection broke ({error})" if error is not None else "the connection was closed"
            self._fail(f"The upstream's answer ended early: {how} {'within its body' if self.status else 'before it'}")

    # For the parser

    def on_message_begin(self) -> None:
        if self.ended:
            self.keep_alive = False  # an answer to nobody follows

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer
        self._head_bytes += len(name) + len(value)
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.ended or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        for name, value in self.headers:
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                # Passed on, its bytes would be unreadable to the check and, without this header, to the client.
                self._error = UpstreamError(
                    f"The upstream's answer is in a transfer coding nobody asked for: {value!r}"
                )
                raise HttpParserError
            self._framed = self._framed or name in (b"transfer-encoding", b"content-length")
        self.status = status

    def on_body(self, body: bytes) -> None:
        if not self.ended:
            self._pieces.append(body)
            self.buffered_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.status and not self.ended and self._parser is not None:
            self.ended = True
            self.keep_alive = self._parser.should_keep_alive()

    def _end(self) -> None:
        if self._paused and self._link is not None:
            self._link.resume_reading()
        self._parser = self._link = None
        self._wake()

    def _fail(self, message: str) -> None:
        if self._error is None:
            self._error = UpstreamError(message)
        link, self._link, self._parser = self._link, None, None
        if link is not None:
            link.abort()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
