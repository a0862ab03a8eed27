"""An upstream for measuring relays: answers every request with an endless stream of vLLM-like chat events.

    python streaming_upstream.py PORT RATE

Each stream sends RATE events a second, each in a write of its own, as one HTTP chunk; streams are spread over time. Raw
protocols: it must cost less than what it measures. The words are ordinary, and in an order that nobody wrote.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import cast

import uvloop

ORDINARY = (
    "the a of and to in is that it was for on as with his they at be this from have or by one had not but what all"
    " were when we there can an your which their said if do will each about how up out them then she many some so"
    " these would other into has more her two like him see time could no make than first been its who now people my"
    " made over did down only way find use may water long little very after words called just where most know garden"
    " window morning letter street evening winter table river paper hand light house"
)
WORDS = ORDINARY.split()
HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENT = (
    'data: {"id":"chatcmpl-%s","object":"chat.completion.chunk","created":1767225600,"model":"tiny",'
    '"choices":[{"index":0,"delta":{"content":" %s"},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n'
)


class Stream(asyncio.Protocol):
    def __init__(self, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._random = random.Random()
        self._id = f"{self._random.getrandbits(128):032x}"
        self._missing: int | None = None
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            self._request += data
            head, separator, body = self._request.partition(b"\r\n\r\n")
            if separator and len(body) >= _content_length(head):
                self._transport.write(HEAD)
                loop = asyncio.get_running_loop()
                self._due = loop.time() + self._random.random() * self._interval
                self._timer = loop.call_at(self._due, self._send)

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _send(self) -> None:
        event = (EVENT % (self._id, self._random.choice(WORDS))).encode()
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self._due += self._interval
        self._timer = asyncio.get_running_loop().call_at(self._due, self._send)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


async def serve(port: int, rate: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stream(1 / rate), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
