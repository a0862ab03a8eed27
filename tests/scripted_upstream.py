"""An upstream that does exactly what a test's script says, over a real socket, in a thread with a loop of its own.

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n", b"ok")

    with ScriptedUpstream(script) as upstream:
        ... upstream.url, upstream.requests

The script runs once for each connection; when it returns, the connection is closed (FIN).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def answer(body: bytes, *headers: bytes) -> bytes:
    """A whole answer with a Content-Length."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *headers, b"", body])


@contextlib.contextmanager
def never_accepting() -> Iterator[int]:
    """The port of a listener whose queue is full: whoever connects to it waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):
            each = waiting.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        yield int(full.getsockname()[1])


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value, of several the first; None where there is none. Names in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Peer:
    """The upstream's end of one connection. `number` counts connections from 0."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[ReceivedRequest]
    ) -> None:
        self.number = number
        self.sent_bytes = 0
        self._reader = reader
        self._writer = writer
        self._requests = requests

    async def request(self) -> ReceivedRequest:
        """The next request, whole. Raises asyncio.IncompleteReadError when the connection ends instead."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        method, target, _ = lines[0].split(" ")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        length = next((int(value) for name, value in headers if name == "content-length"), 0)
        received = ReceivedRequest(method, target, headers, await self._reader.readexactly(length))
        self._requests.append(received)
        return received

    async def part(self, length: int) -> bytes:
        """Some bytes of a request; the rest is left unread."""
        return await self._reader.readexactly(length)

    async def send(self, *pieces: bytes, pause_seconds: float = 0.0) -> None:
        """Write piece by piece, each with its own pause before it. Waits while the other side doesn't read."""
        for piece in pieces:
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
            self._writer.write(piece)
            await self._writer.drain()
            self.sent_bytes += len(piece)

    async def left(self) -> float:
        """Wait until the other side closes; when that was, as time.monotonic()."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        return time.monotonic()

    def reset(self) -> None:
        """Close with a RST, dropping what wasn't sent."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Close with a FIN."""
        self._writer.close()


Script = Callable[[Peer], Awaitable[None]]
Ending = Callable[[Peer], None]
"""`Peer.close` or `Peer.reset`."""


class ScriptedUpstream:
    """A context manager. `peers` and `requests` in the order they came, over all connections."""

    def __init__(self, script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[ReceivedRequest] = []
        self.peers: list[Peer] = []
        self._script = script
        self._tls = tls
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=self._family)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._failures: list[AssertionError] = []
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._stop = asyncio.Event()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()
        if error is None and self._failures:
            raise self._failures[0]  # an assertion inside a script

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener, ssl=self._tls)
        await self._stop.wait()
        server.close()
        running = asyncio.all_tasks() - {asyncio.current_task()}  # connections being accepted, too
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0.001)  # transports close

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(len(self.peers), reader, writer, self.requests)
        self.peers.append(peer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the other side left
            try:
                await self._script(peer)
            except AssertionError as failure:
                self._failures.append(failure)
        if self._stop.is_set():
            writer.transport.abort()
        else:
            writer.close()
