"""The few words of ASGI that the guard and its reverse proxy share: types, whole bodies in, JSON errors out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import orjson

from guard.errors import GuardError

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

DEFAULT_MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""Prompts with pictures run to many megabytes."""


class BodyTooLarge(GuardError):
    """A request's body is longer than the limit, `limit_bytes`. To be answered with a 413."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the request's body is longer than {limit_bytes:,} bytes")
        self.limit_bytes = limit_bytes


class ClientLeft(GuardError):
    """The client closed its connection before its request was complete: there is nobody to answer."""


async def read_body(scope: Scope, receive: Receive, limit_bytes: int) -> bytes:
    """The whole body of a request. A body that declares itself too long is refused before it is read.

    Raises BodyTooLarge, ClientLeft.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    pieces: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        length += len(piece)
        if length > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


async def send_error(
    send: Send, status: int, *, message: str, kind: str, code: str, parameter: str | None = None
) -> None:
    """Answer with an error as OpenAI's clients read it; `kind` goes into its field `type`, `parameter` into `param`."""
    body = orjson.dumps({"error": {"message": message, "type": kind, "param": parameter, "code": code}})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_too_large(send: Send, error: BodyTooLarge) -> None:
    """The 413 for a body over the limit."""
    message = f"The request's body is too long: at most {error.limit_bytes} bytes are taken."
    await send_error(send, 413, message=message, kind="invalid_request_error", code="request_too_large")
