"""Upstream: the way to the inference server. Takes, makes, retires and retries connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from guard.errors import UpstreamError
from guard.upstream.address import Address
from guard.upstream.connection import Connection
from guard.upstream.faults import UpstreamBusy, UpstreamTimeout, UpstreamUnreachable
from guard.upstream.request import request_head
from guard.upstream.response import Response

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""What may be sent twice (RFC 9110 §9.2.1)."""


class Upstream:
    """One inference server, for one event loop.

    A connection idle for `idle_seconds` is closed, not reused: servers close theirs after a while (vLLM after 5 s), and
    a request that crosses with that is lost. A request isn't queued here when `max_connections` are open, but refused.
    There is no limit to how long an answer may take: a model may think for minutes. Leave with `Response.abort()`,
    or by cancelling `request()`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_seconds: float = 10.0,
        idle_seconds: float = 3.0,
        max_connections: int = 4096,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`base_url` may have a path, which is put before every target. `tls`: instead of the system's certificates.

        Raises ConfigError.
        """
        self.address = Address.parse(base_url)
        self._tls = (tls or ssl.create_default_context()) if self.address.tls else None
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle_seconds = idle_seconds
        self._max_connections = max_connections
        self._connecting = 0
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # in the order of idle_since; an ordered set
        self._sweep: asyncio.TimerHandle | None = None
        self._all_lost: asyncio.Future[None] | None = None

    async def request(
        self, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes = b""
    ) -> Response:
        """Send a request and wait for the head of its answer.

        `headers` without `host`, `content-length`, `transfer-encoding` and `connection`: those are set here.
        Raises UpstreamUnreachable, UpstreamTimeout, UpstreamBusy, UpstreamError.
        """
        head = request_head(self.address, method, target, headers, len(body))
        connection = self._take_idle()
        if connection is not None:
            try:
                return await self._exchange(connection, method, head, body)
            except _ClosedBefore:
                pass  # by the upstream, while the connection was idle
        return await self._exchange(await self._connect(), method, head, body)

    async def close(self) -> None:
        """Close every connection; exchanges under way are aborted."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if self._open:
            self._all_lost = asyncio.get_running_loop().create_future()
            for connection in list(self._open):
                connection.abort()
            await self._all_lost

    async def _exchange(self, connection: Connection, method: str, head: bytes, body: bytes) -> Response:
        reused = connection.exchanges > 0
        response = connection.exchange(head, body, head_only=method == "HEAD")
        try:
            await response.head()
        except UpstreamError as error:
            if reused and response.untouched and (method in SAFE_METHODS or not connection.request_arrived):
                raise _ClosedBefore from error
            raise
        except asyncio.CancelledError:
            response.abort()
            raise
        return response

    async def _connect(self) -> Connection:
        if len(self._open) + self._connecting >= self._max_connections:
            raise UpstreamBusy(f"All {self._max_connections} connections to the upstream are in use")
        loop = asyncio.get_running_loop()
        address = self.address
        self._connecting += 1
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), address.host, address.port, ssl=self._tls
                )
        except TimeoutError as error:
            limit = f"{self._connect_timeout_seconds:g} s"
            raise UpstreamTimeout(f"No connection to the upstream at {address} within {limit}: is it up?") from error
        except OSError as error:
            raise UpstreamUnreachable(f"Can't connect to the upstream at {address}: {error}. Is it up?") from error
        finally:
            self._connecting -= 1
        if not connection.lost:  # in the meantime
            self._open.add(connection)
        return connection

    # For connections

    def released(self, connection: Connection) -> None:
        """A connection is free again."""
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle[connection] = None
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_seconds, self._close_expired)

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        if self._all_lost is not None and not self._all_lost.done() and not self._open:
            self._all_lost.set_result(None)

    # Idle connections

    def _take_idle(self) -> Connection | None:
        """The one used last, so that the others may expire."""
        if not self._idle:
            return None
        connection, _ = self._idle.popitem()
        expires = connection.idle_since + self._idle_seconds
        if expires > asyncio.get_running_loop().time() and not connection.is_closing():
            return connection
        connection.abort()
        return None

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = next(iter(self._idle))
            expires = connection.idle_since + self._idle_seconds
            if expires > loop.time():
                self._sweep = loop.call_at(expires, self._close_expired)
                return
            del self._idle[connection]
            connection.abort()
        self._sweep = None


class _ClosedBefore(UpstreamError):
    """A reused connection had been closed before the request reached the upstream."""
