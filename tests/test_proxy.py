"""The reverse proxy behind a real uvicorn, in front of an upstream that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import sys
import time
from typing import Any

import pytest
from event_loops import on_each_loop
from scripted_upstream import LAST_CHUNK, STREAM_HEAD, Ending, Peer, ScriptedUpstream, answer, chunk, never_accepting
from served_app import Client, served

from guard.asgi import Message
from guard.errors import ConfigError, UpstreamError
from guard.proxy import ReverseProxy
from guard.upstream import Upstream
from guard.upstream.response import PAUSE_ABOVE_BYTES

ERROR_FIELDS = {"message", "type", "param", "code"}


async def echo(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.send(answer(request.body))


async def keep_silent(peer: Peer) -> None:
    await peer.request()
    await peer.left()


@on_each_loop
async def test_request_and_answer_pass() -> None:
    with ScriptedUpstream(echo) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            for body in (b"", b'{"prompt": "x"}', b"x" * 5_000_000):
                await client.ask("POST", "/v1/a%20b?q=%C3%A9&r", body)
                assert (await client.head()).status == 200
                assert await client.body() == body
        assert {(request.method, request.target) for request in upstream.requests} == {("POST", "/v1/a%20b?q=%C3%A9&r")}
        assert len(upstream.peers) == 1


@on_each_loop
async def test_request_headers() -> None:
    with ScriptedUpstream(echo) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            await client.ask(
                "POST",
                "/",
                b"body",
                "Authorization: Bearer secret",
                "X-Repeated: 1",
                "X-Repeated: 2",
                "Accept-Encoding: gzip, br",
                "Connection: keep-alive, X-Private",
                "X-Private: for this hop only",
                "Keep-Alive: timeout=5",
                "Proxy-Authorization: Basic x",
                "TE: trailers",
                "Trailer: X-Sum",
                "X-Forwarded-For: 192.0.2.1",
            )
            await client.head()
        (request,) = upstream.requests
        assert request.headers == [
            ("host", f"127.0.0.1:{upstream.port}"),
            ("authorization", "Bearer secret"),
            ("x-repeated", "1"),
            ("x-repeated", "2"),
            ("x-forwarded-for", "192.0.2.1"),
            ("accept-encoding", "identity"),
            ("content-length", "4"),
        ]


@on_each_loop
async def test_response_headers() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 418 Teapot\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
            b"Connection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nTrailer: X-Sum\r\n"
            b"Proxy-Authenticate: Basic\r\nX-Request-Id: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;x=y\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
        )

    with ScriptedUpstream(script) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            await client.ask("GET", "/")
            head = await client.head()
            assert head.status == 418
            assert head.headers == [
                ("content-type", "text/plain"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("x-request-id", "é"),
                ("transfer-encoding", "chunked"),
            ]
            assert await client.body() == b"ok"


@on_each_loop
async def test_expect_is_answered_here() -> None:
    with ScriptedUpstream(echo) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            await client.write(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
            assert (await client.head()).status == 100
            await client.write(b"body")
            assert (await client.head()).status == 200
            assert await client.body() == b"body"
        assert upstream.requests[0].header("expect") is None


@on_each_loop
async def test_chunked_request_gets_a_length() -> None:
    with ScriptedUpstream(echo) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            await client.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
            await client.write(chunk(b"one ") + chunk(b"two") + LAST_CHUNK)
            await client.head()
            assert await client.body() == b"one two"
        assert upstream.requests[0].header("content-length") == "7"


@on_each_loop
@pytest.mark.parametrize(
    "answered", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"]
)
async def test_answers_without_body(answered: bytes) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answered)

    with ScriptedUpstream(script) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            for _ in range(2):
                await client.ask("GET", "/")
                assert (await client.head()).status in (204, 304)
        assert len(upstream.peers) == 1


@on_each_loop
async def test_head_request() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n")
        await peer.left()

    with ScriptedUpstream(script) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            for _ in range(2):
                await client.ask("HEAD", "/")
                assert (await client.head()).header("content-length") == "1234"


@on_each_loop
async def test_each_piece_leaves_as_it_comes() -> None:
    events = [b'data: {"n": %d}\n\n' % n for n in range(5)]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        for event in events:
            await peer.send(chunk(event), pause_seconds=0.03)
        await peer.send(chunk(b"a") + chunk(b"b") + LAST_CHUNK, pause_seconds=0.03)

    with ScriptedUpstream(script) as upstream:
        async with served(ReverseProxy(upstream.url)) as port, Client(port) as client:
            await client.ask("POST", "/v1/chat/completions", b"{}")
            assert (await client.head()).header("content-type") == "text/event-stream"
            for event in events:
                assert await client.chunk() == event
            assert await client.chunk() == b"ab"
            assert await client.chunk() == b""


@on_each_loop
async def test_silent_upstream_is_aborted_when_the_client_leaves() -> None:
    """Before the head of the answer, and after it."""
    left: list[float] = []

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request.target == "/streams":
            await peer.send(STREAM_HEAD)
        left.append(await peer.left())

    with ScriptedUpstream(script) as upstream:
        proxy = ReverseProxy(upstream.url)
        async with served(proxy) as port:
            for target in ("/thinks", "/streams"):
                client = await Client(port).__aenter__()
                await client.ask("POST", target, b"{}")
                await asyncio.sleep(0.05)
                leaves = time.monotonic()
                await client.leave()
                await asyncio.sleep(0.1)
                assert left.pop() - leaves < 0.1
                assert not proxy.upstream._open


@on_each_loop
async def test_client_that_leaves_while_connecting() -> None:
    with never_accepting() as upstream_port:
        proxy = ReverseProxy(f"http://127.0.0.1:{upstream_port}")
        async with served(proxy) as port:
            async with Client(port) as client:
                await client.ask("POST", "/", b"{}")
                await asyncio.sleep(0.05)
                assert proxy.upstream._connecting == 1
            await asyncio.sleep(0.05)
            assert proxy.upstream._connecting == 0


@on_each_loop
async def test_client_that_leaves_within_its_request() -> None:
    with ScriptedUpstream(echo) as upstream:
        async with served(ReverseProxy(upstream.url)) as port:
            async with Client(port) as client:
                await client.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this")
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.02)
        assert not upstream.peers


@on_each_loop
async def test_slow_client_holds_the_upstream_back() -> None:
    block = bytes(1024 * 1024)
    blocks = 40

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD, *[chunk(block)] * blocks, LAST_CHUNK)

    with ScriptedUpstream(script) as upstream:
        proxy = ReverseProxy(upstream.url)
        async with served(proxy) as port, Client(port, receive_buffer_bytes=65536) as client:
            await client.ask("GET", "/")
            sent = -1
            while not upstream.peers or sent != upstream.peers[0].sent_bytes:
                sent = upstream.peers[0].sent_bytes if upstream.peers else -1
                await asyncio.sleep(0.1)
            assert sent < len(block) * blocks
            (connection,) = proxy.upstream._open
            assert connection._response is not None
            assert connection._response.buffered_bytes <= PAUSE_ABOVE_BYTES + 256 * 1024
            await client.head()
            assert len(await client.body()) == len(block) * blocks


@on_each_loop
async def test_slow_client_that_leaves() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD, *[chunk(bytes(1024 * 1024))] * 40, LAST_CHUNK)

    with ScriptedUpstream(script) as upstream:
        proxy = ReverseProxy(upstream.url)
        async with served(proxy) as port:
            async with Client(port, receive_buffer_bytes=65536) as client:
                await client.ask("GET", "/")
                await asyncio.sleep(0.2)
                assert proxy.upstream._open
            await asyncio.sleep(0.05)
            assert not proxy.upstream._open


@on_each_loop
@pytest.mark.parametrize("declared", [True, False])
async def test_body_over_the_limit(declared: bool) -> None:
    with ScriptedUpstream(echo) as upstream:
        async with served(ReverseProxy(upstream.url, max_body_bytes=100_000)) as port, Client(port) as client:
            if declared:
                await client.ask("POST", "/", b"x" * 100_001)
            else:
                await client.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
                await client.write(chunk(b"x" * 60_000) * 2 + LAST_CHUNK)
            assert (await client.head()).status == 413
            error = (await client.json())["error"]
            assert error.keys() == ERROR_FIELDS
            assert "100000 bytes" in error["message"]
            await client.ask("POST", "/", b"x" * 100_000)  # the connection goes on
            assert (await client.head()).status == 200
            assert len(await client.body()) == 100_000


async def error_from(proxy: ReverseProxy) -> tuple[int, dict[str, Any]]:
    async with served(proxy) as port, Client(port) as client:
        await client.ask("POST", "/v1/completions?key=hidden", b"{}")
        status = (await client.head()).status
        error = (await client.json())["error"]
        assert error.keys() == ERROR_FIELDS
        assert "127.0.0.1" not in error["message"]
        return status, error


@on_each_loop
async def test_unreachable_upstream(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    status, error = await error_from(ReverseProxy(f"http://127.0.0.1:{port}"))
    assert (status, error["code"]) == (502, "upstream_unreachable")
    (record,) = [record for record in caplog.records if record.name == "guard.proxy"]
    assert f"127.0.0.1:{port}" in record.getMessage()
    assert "hidden" not in record.getMessage()


@on_each_loop
async def test_upstream_that_never_accepts() -> None:
    with never_accepting() as port:
        upstream = Upstream(f"http://127.0.0.1:{port}", connect_timeout_seconds=0.1)
        status, error = await error_from(ReverseProxy(upstream))
        assert (status, error["code"]) == (504, "upstream_timeout")


@on_each_loop
async def test_upstream_with_no_connection_left() -> None:
    with ScriptedUpstream(keep_silent) as server:
        status, error = await error_from(ReverseProxy(Upstream(server.url, max_connections=0)))
        assert (status, error["code"]) == (503, "upstream_busy")


@on_each_loop
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-", b"220 smtp.example ESMTP\r\n"])
@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
async def test_upstream_that_dies_before_its_answer(said: bytes, ending: Ending) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)
        ending(peer)

    with ScriptedUpstream(script) as server:
        status, error = await error_from(ReverseProxy(server.url))
        assert (status, error["code"]) == (502, "upstream_failed")


@on_each_loop
@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
@pytest.mark.parametrize("head", [STREAM_HEAD, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"])
async def test_upstream_that_dies_within_its_answer(
    ending: Ending, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head)
        await peer.send(chunk(b"the first part"), pause_seconds=0.02)
        await asyncio.sleep(0.03)
        ending(peer)

    faults: list[Exception] = []

    with ScriptedUpstream(script) as upstream:
        proxy = ReverseProxy(upstream.url)

        async def around(scope: Message, receive: Any, send: Any) -> None:
            try:
                await proxy(scope, receive, send)
            except UpstreamError as error:
                faults.append(error)
                raise

        with caplog.at_level(logging.CRITICAL, "uvicorn.error"):
            async with served(around) as port, Client(port) as client:
                await client.ask("POST", "/", b"{}")
                await client.head()
                with pytest.raises(asyncio.IncompleteReadError) as cut_off:
                    await client.body()
                assert b"the first part" in cut_off.value.partial or head is STREAM_HEAD
        (fault,) = faults
        assert "ended early" in str(fault)


@on_each_loop
async def test_websockets_are_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await ReverseProxy("http://127.0.0.1:9")({"type": "websocket", "path": "/"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@on_each_loop
async def test_app_around_aborts_by_reporting_a_disconnect() -> None:
    """What the middleware does when every choice is blocked: the client still gets an answer, the upstream stops."""
    with ScriptedUpstream(endless) as upstream:
        proxy = ReverseProxy(upstream.url)
        left = asyncio.Event()
        got: list[Message] = []
        body = iter([{"type": "http.request", "body": b"{}", "more_body": False}])

        async def receive() -> Message:
            if (first := next(body, None)) is not None:
                return first
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            got.append(message)
            if len(got) == 4:
                left.set()

        scope = {"type": "http", "method": "POST", "path": "/a b", "headers": []}
        await proxy(scope, receive, send)
        assert len(got) <= 6
        assert all(message.get("more_body", True) for message in got)
        await asyncio.sleep(0.01)
        assert not proxy.upstream._open
        assert upstream.requests[0].target == "/a%20b"


@on_each_loop
async def test_app_around_aborts_by_raising() -> None:
    class Enough(OSError):
        pass

    with ScriptedUpstream(endless) as upstream:
        proxy = ReverseProxy(upstream.url)
        messages: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise Enough

        with pytest.raises(Enough):
            await proxy({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
        await asyncio.sleep(0.01)
        assert not proxy.upstream._open


@on_each_loop
async def test_request_body_is_not_kept_while_the_answer_streams() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        await peer.left()

    prompt = bytes(300_000)
    messages: list[Message] = [{"type": "http.request", "body": prompt, "more_body": False}]
    started = asyncio.Event()

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_: Message) -> None:
        started.set()

    with ScriptedUpstream(script) as upstream:
        proxy = ReverseProxy(upstream.url)
        before = sys.getrefcount(prompt)
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        relaying = asyncio.create_task(proxy(scope, receive, send))
        await started.wait()
        assert sys.getrefcount(prompt) == before - 1  # the message's own
        relaying.cancel()  # as a server does that shuts down
        with pytest.raises(asyncio.CancelledError):
            await relaying
        await asyncio.sleep(0.01)
        assert not proxy.upstream._open


async def endless(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD)
    while True:
        await peer.send(chunk(b"more"), pause_seconds=0.002)


@on_each_loop
async def test_shutdown_closes_idle_connections() -> None:
    with ScriptedUpstream(echo) as upstream:
        proxy = ReverseProxy(upstream.url)
        async with served(proxy) as port, Client(port) as client:
            await client.ask("GET", "/")
            await client.head()
            assert len(proxy.upstream._open) == 1
        assert not proxy.upstream._open


@on_each_loop
async def test_many_streams_at_once() -> None:
    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(STREAM_HEAD)
            for n in range(10):
                await peer.send(chunk(b"%s %d\n" % (request.body, n)), pause_seconds=0.002)
            await peer.send(LAST_CHUNK)

    async def one(port: int, name: bytes) -> None:
        async with Client(port) as client:
            for _ in range(2):
                await client.ask("POST", "/", name)
                await client.head()
                assert await client.body() == b"".join(b"%s %d\n" % (name, n) for n in range(10))

    with ScriptedUpstream(script) as upstream:
        async with served(ReverseProxy(upstream.url)) as port:
            await asyncio.gather(*(one(port, b"stream %d" % n) for n in range(50)))


@on_each_loop
async def test_nothing_is_left_behind_whoever_fails_whenever(caplog: pytest.LogCaptureFixture) -> None:
    """Both sides break off at random; the upstream also resets, cuts pieces small and sends garbage."""
    rng = random.Random(7)

    async def script(peer: Peer) -> None:
        while rng.random() < 0.9:
            await peer.request()
            await asyncio.sleep(rng.random() * 0.005)
            await peer.send(STREAM_HEAD)
            for _ in range(rng.randrange(10)):
                await peer.send(
                    *rng.choice([[b"9\r\nevent", b"bytes\r", b"\n"], [chunk(b"x" * 5000)]]), pause_seconds=0.0005
                )
                match rng.randrange(60):
                    case 0:
                        return peer.reset()
                    case 1:
                        return peer.close()
                    case 2:
                        await peer.send(b"garbage")
            await peer.send(LAST_CHUNK)
        return peer.reset() if rng.random() < 0.5 else None

    async def converse(port: int) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with Client(port) as client:
                while rng.random() < 0.9:
                    await client.ask(rng.choice(["GET", "POST"]), "/", bytes(rng.choice([0, 9, 200_000])))
                    if rng.random() < 0.1:
                        return
                    await client.head()
                    if rng.random() < 0.1:
                        return
                    await client.body()

    with caplog.at_level(logging.CRITICAL, "uvicorn.error"), ScriptedUpstream(script) as upstream:
        proxy = ReverseProxy(Upstream(upstream.url, idle_seconds=0.01))
        async with served(proxy) as port:
            for _ in range(4):
                await asyncio.gather(*(converse(port) for _ in range(30)))
            await asyncio.sleep(0.05)
            assert not proxy.upstream._open


def test_bad_address_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        ReverseProxy("localhost:8000")
