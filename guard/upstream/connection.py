"""One TCP (or TLS) connection to the upstream. It carries one exchange at a time."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol, cast

from guard.upstream.response import Response

SEND_TOGETHER_BYTES = 64 * 1024
"""Head and body leave in one write up to here: one packet, for most requests."""

KEEP_ALIVE_PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""A silent upstream may be thinking or gone with its machine: only the kernel's probes (seconds, count) can tell."""

BYTES_ACKED_OFFSET = 120
"""Of the 64-bit `tcpi_bytes_acked` in Linux's `struct tcp_info`."""


class Owner(Protocol):
    """Whom a connection tells about itself."""

    def released(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Made by the event loop; then `exchange()` as often as `owner.released()` was called."""

    __slots__ = (
        "_acked_before",
        "_owner",
        "_response",
        "_socket",
        "_transport",
        "exchanges",
        "idle_since",
        "lost",
        "request_arrived",
    )

    _transport: asyncio.Transport
    _socket: socket.socket

    def __init__(self, owner: Owner) -> None:
        self.exchanges = 0
        self.idle_since = 0.0
        self.request_arrived = True
        """False once the connection is lost and the last request is known never to have reached the upstream."""
        self.lost = False
        self._owner = owner
        self._response: Response | None = None
        self._acked_before: int | None = None

    def exchange(self, head: bytes, body: bytes, *, head_only: bool) -> Response:
        """Send a request; its answer is awaited with `Response.head()`. Only on a free connection."""
        self._response = response = Response(self, head_only=head_only)
        if self.lost:  # between being made and being used
            response.lost(None)
            return response
        if self.exchanges:
            self._acked_before = _bytes_acked(self._socket)
        self.exchanges += 1
        if len(body) <= SEND_TOGETHER_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        return response

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; what wasn't sent is dropped, and an exchange under way is aborted."""
        response, self._response = self._response, None
        self._transport.abort()
        if response is not None:
            response.abort()

    # For the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket = sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE_PROBES:
            if hasattr(socket, name):  # Linux
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            self._transport.abort()  # bytes that nobody asked for: whose answer would they be?
            return
        response.feed(data)
        if response.ended:
            self._response = None
            if self._transport.get_write_buffer_size():
                self._transport.abort()  # answered before the request was read: the rest has nowhere to go
            elif response.keep_alive and not self._transport.is_closing():
                self._owner.released(self)
            else:
                self._transport.close()

    def eof_received(self) -> None:
        self._note_arrival()
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # there will be no answer: don't wait for a request to be read

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(error, BrokenPipeError):  # a reset that followed a FIN: while writing, the FIN isn't seen
            self._note_arrival()
        self.lost = True
        response, self._response = self._response, None
        if response is not None:
            response.lost(error)
        self._owner.lost(self)

    def _note_arrival(self) -> None:
        """The upstream's FIN is here. It acknowledges what the upstream had received when it closed: if that is none of
        the request, the request was sent into a closed connection. (A reset tells nothing: acknowledgements are late.)
        """
        if self._acked_before is not None:
            self.request_arrived = _bytes_acked(self._socket) != self._acked_before


def _bytes_acked(sock: socket.socket) -> int | None:
    """How many bytes the other side's kernel has acknowledged; None where this system doesn't tell."""
    if not hasattr(socket, "TCP_INFO"):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        acked: int = struct.unpack_from("=Q", info, BYTES_ACKED_OFFSET)[0]
    except (OSError, struct.error):
        return None
    return acked or None
