"""A reverse proxy to the inference server, as a pure ASGI app. It checks nothing: GuardMiddleware goes around it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import quote

from guard.asgi import (
    DEFAULT_MAX_BODY_BYTES,
    BodyTooLarge,
    ClientLeft,
    Headers,
    Receive,
    Scope,
    Send,
    read_body,
    send_error,
    send_too_large,
)
from guard.errors import UpstreamError
from guard.upstream import Response, Upstream, UpstreamBusy, UpstreamTimeout, UpstreamUnreachable

logger = logging.getLogger(__name__)

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer trailers"
    b" transfer-encoding upgrade".split()
)
"""Headers about one connection, not about the message (RFC 9110 §7.6.1), with their old names."""

NOT_FORWARDED = HOP_BY_HOP | {b"host", b"content-length", b"expect", b"accept-encoding"}
"""Of a request: set anew, or answered by the server in front (`expect`)."""

FAULTS = (
    (UpstreamTimeout, 504, "upstream_timeout", "The inference server didn't accept a connection in time."),
    (UpstreamUnreachable, 502, "upstream_unreachable", "The inference server can't be reached."),
    (UpstreamBusy, 503, "upstream_busy", "Too many requests are under way."),
    (UpstreamError, 502, "upstream_failed", "The inference server broke off before it answered."),
)
"""What a client is told when there is no answer: never an address, that is in the log."""


class ReverseProxy:
    """Forwards each request to `upstream`, and each piece of the answer as it arrives, as one `http.response.body`.

    When the client leaves, the exchange with the upstream is aborted at once, also while nothing is written: it
    watches `receive()`. An app around it that wants the upstream aborted lets `receive()` return `http.disconnect`, or
    `send()` raise.

    Raises UpstreamError where the upstream fails after `http.response.start` was sent: the app around it decides how
    the answer ends; a server ends it by closing the connection. A fault before that is answered here: 502, 503, 504.
    """

    def __init__(self, upstream: Upstream | str, *, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES) -> None:
        """Raises ConfigError where `upstream` is a string that is no URL of a server."""
        self.upstream = Upstream(upstream) if isinstance(upstream, str) else upstream
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._relay(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})  # before an accept: a 403
            case other:
                raise ValueError(f"unknown ASGI scope {other!r}")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.upstream.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = self.upstream.request(
                scope["method"],
                _target(scope),
                [*_kept(scope["headers"], NOT_FORWARDED), (b"accept-encoding", b"identity")],
                await read_body(scope, receive, self._max_body_bytes),  # no name here: it would live as long as we do
            )
        except ClientLeft:
            return
        except BodyTooLarge as error:
            await send_too_large(send, error)
            return
        asking = asyncio.create_task(request)
        leaving = asyncio.create_task(_client_leaves(receive))
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                leaving.result()
                return
            try:
                response = asking.result()
            except UpstreamError as error:
                await _send_fault(scope, send, error)
            else:
                await _answer(response, leaving, send)
        finally:
            asking.cancel()
            leaving.cancel()
            await asyncio.gather(asking, leaving, return_exceptions=True)
            if not asking.cancelled() and asking.exception() is None:
                asking.result().abort()


async def _answer(response: Response, leaving: asyncio.Task[None], send: Send) -> None:
    leaving.add_done_callback(lambda _: response.abort())
    await send(
        {"type": "http.response.start", "status": response.status, "headers": _kept(response.headers, HOP_BY_HOP)}
    )
    try:
        while piece := await response.read():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except UpstreamError:
        if not leaving.done():
            raise
        leaving.result()
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_fault(scope: Scope, send: Send, error: UpstreamError) -> None:
    logger.warning("%s %s: %s", scope["method"], scope["path"], error)
    status, code, message = next(fault[1:] for fault in FAULTS if isinstance(error, fault[0]))
    await send_error(send, status, message=message, kind="server_error", code=code)


def _target(scope: Scope) -> bytes:
    """Path and query as the client wrote them."""
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path


def _kept(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> Headers:
    """Headers that pass: neither in `dropped` nor named in a `Connection` header."""
    headers = list(headers)
    for name, value in headers:
        if name == b"connection":
            dropped |= {token.strip().lower() for token in value.split(b",")}
    return [pair for pair in headers if pair[0] not in dropped]
