"""Small ASGI apps that stand in for an inference server inside the process, and a client that calls them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from guard.asgi import App, Message, Receive, Scope, Send


@dataclass
class Got:
    """What a client got. `pieces` are the bodies of the messages, in order; `error`: what the app raised."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    ended: bool = False
    error: BaseException | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: App,
    path: str = "/v1/chat/completions",
    request: Any = None,
    *,
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
    raw: bytes | None = None,
    seconds: float = 20,
) -> Got:
    """One request; the client stays until the answer ends."""
    body = json.dumps({"model": "m"} if request is None else request).encode() if raw is None else raw
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    got = Got()

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not got.status
            got.status, got.headers = message["status"], dict(message.get("headers", ()))
        else:
            assert got.status
            assert not got.ended
            got.pieces.append(message.get("body", b""))
            got.ended = not message.get("more_body", False)

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "query_string": b""}
    try:
        await asyncio.wait_for(app(scope, receive, send), seconds)
    except Exception as error:
        got.error = error
    return got


class Says:
    """Answers every request with these pieces; `requests` holds the bodies, `stopped` whether it was cut off."""

    def __init__(
        self,
        *pieces: bytes,
        kind: bytes = b"text/event-stream",
        status: int = 200,
        headers: Sequence[tuple[bytes, bytes]] = (),
        then: Exception | None = None,
    ) -> None:
        self.pieces = pieces
        self.status = status
        self.headers = [(b"content-type", kind), *headers]
        self.then = then
        self.requests: list[bytes] = []
        self.sent = 0
        self.stopped = False

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.requests.append((await receive())["body"])
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            for piece in self.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            if self.then is not None:
                raise self.then
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            self.stopped = True
            raise
