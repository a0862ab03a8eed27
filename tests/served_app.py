"""An ASGI app behind a real uvicorn in the test's own loop, and a client that sees the wire as it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from uvicorn.server import ServerState

from guard.asgi import App


@contextlib.asynccontextmanager
async def served(app: App) -> AsyncIterator[int]:
    """Yields the port. Not through uvicorn.Server, which takes two tenths of a second to stop."""
    quiet: dict[str, Any] = {"access_log": False, "log_config": None, "ws": "none"}
    config = uvicorn.Config(app, http="httptools", lifespan="on", **quiet)
    config.load()
    lifespan = config.lifespan_class(config)
    await lifespan.startup()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        return config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]

    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        async with asyncio.timeout(2):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.001)
        await lifespan.shutdown()


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str | None:
        """The value, of several the first; None where there is none. Names in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Client:
    """One connection. `async with Client(port) as client`."""

    def __init__(self, port: int, *, receive_buffer_bytes: int | None = None) -> None:
        self._port = port
        self._receive_buffer_bytes = receive_buffer_bytes
        self._head = Head(0, [])

    async def __aenter__(self) -> Self:
        sock = socket.socket()
        if self._receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        self._reader, self._writer = await asyncio.open_connection(sock=sock, limit=65536)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def ask(self, method: str, target: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "host: client.example", *headers]
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def head(self) -> Head:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        self._head = Head(int(lines[0].split(" ")[1]), headers)
        return self._head

    async def chunk(self) -> bytes:
        """One chunk of a chunked body, b"" for the last. Raises asyncio.IncompleteReadError when cut off."""
        length = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
        return (await self._reader.readexactly(length + 2))[:-2]

    async def body(self) -> bytes:
        """All of it, whichever way it is framed."""
        if self._head.header("transfer-encoding") == "chunked":
            pieces = []
            while piece := await self.chunk():
                pieces.append(piece)
            return b"".join(pieces)
        return await self._reader.readexactly(int(self._head.header("content-length") or 0))

    async def json(self) -> Any:
        return json.loads(await self.body())
