"""The upstream client: its parser on every cut of an answer, its connections against an upstream that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from event_loops import on_each_loop
from scripted_upstream import (
    LAST_CHUNK,
    STREAM_HEAD,
    Ending,
    Peer,
    Script,
    ScriptedUpstream,
    answer,
    chunk,
    never_accepting,
)

from guard.errors import ConfigError, UpstreamError
from guard.upstream import Response, Upstream, UpstreamBusy, UpstreamTimeout, UpstreamUnreachable
from guard.upstream.address import Address
from guard.upstream.response import HEAD_LIMIT_BYTES, PAUSE_ABOVE_BYTES

ONE_READ_BYTES = 256 * 1024
"""The most that asyncio and uvloop hand over at once."""


class SilentLink:
    """A connection that only notes what was asked of it."""

    def __init__(self) -> None:
        self.aborted = False
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


def parse(pieces: list[bytes], *, head_only: bool = False, then: Exception | None = None) -> tuple[Response, bytes]:
    """Feed an answer, then end the connection; the response and its whole body. Raises UpstreamError."""
    response = Response(SilentLink(), head_only=head_only)
    for piece in pieces:
        if not response.ended and response._parser is not None:
            response.feed(piece)
    response.lost(then)

    async def drained() -> bytes:
        await response.head()
        body = b""
        while piece := await response.read():
            body += piece
        return body

    return response, asyncio.run(drained())


def cuts(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and in two at each place."""
    in_two = [[data[:place], data[place:]] for place in range(1, len(data))]
    return [[data], [data[i : i + 1] for i in range(len(data))], *in_two]


EVENT = b'data: {"text":" word"}\n\n'
ANSWERS = {
    "length": (answer(b"body"), b"body", True),
    "empty": (answer(b""), b"", True),
    "chunked": (STREAM_HEAD + chunk(EVENT) + chunk(EVENT) + LAST_CHUNK, EVENT * 2, True),
    "extensions": (STREAM_HEAD + b'5;a=b;c="d"\r\nhello\r\n0;last\r\n\r\n', b"hello", True),
    "trailers": (STREAM_HEAD + chunk(b"x") + b"0\r\nx-sum: 1\r\nx-other: 2\r\n\r\n", b"x", True),
    "close": (answer(b"body", b"connection: close"), b"body", False),
    "until-eof": (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end", False),
    "http-1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
    "http-1.0-kept": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    "empty-header": (answer(b"body", b"x-empty:", b"x-more: \t "), b"body", True),
    "no-reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"body"), b"body", True),
    "hints": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + answer(b"body"), b"body", True),
    "leading-crlf": (b"\r\n\r\n" + answer(b"body"), b"body", True),
    "upgrade-offered": (answer(b"body", b"upgrade: h2c", b"connection: upgrade"), b"body", True),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_parse_the_same_on_every_cut(name: str) -> None:
    data, body, keep_alive = ANSWERS[name]
    for pieces in cuts(data):
        response, got = parse(pieces)
        assert (response.status, got, response.keep_alive) == (200, body, keep_alive)


def test_headers_keep_order_repeats_and_bytes() -> None:
    data = answer(b"", b"Set-Cookie: a=1", b"X-Latin: \xe9", b"Set-Cookie: b=2", b"X-Empty:")
    for pieces in cuts(data):
        response, _ = parse(pieces)
        assert response.headers[1:] == [
            (b"set-cookie", b"a=1"),
            (b"x-latin", b"\xe9"),
            (b"set-cookie", b"b=2"),
            (b"x-empty", b""),
        ]


def test_informational_headers_and_trailers_are_dropped() -> None:
    hints, _ = parse([ANSWERS["hints"][0]])
    trailers, _ = parse([ANSWERS["trailers"][0]])
    assert [name for name, _ in hints.headers] == [b"content-length"]
    assert [name for name, _ in trailers.headers] == [b"content-type", b"transfer-encoding"]


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_body_ends_at_its_head(status: int) -> None:
    response, body = parse([b"HTTP/1.1 %d X\r\ncontent-length: 5\r\n\r\n" % status])
    assert (response.status, body, response.keep_alive) == (status, b"", True)


def test_answer_to_head_ends_at_its_head() -> None:
    response, body = parse([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"], head_only=True)
    assert (body, response.headers) == (b"", [(b"content-length", b"5")])


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\nno carriage return: 1\n\n",
        STREAM_HEAD + b"xyz\r\n",
        STREAM_HEAD + b"3\r\nlonger than said\r\n",
    ],
)
def test_malformed_answers_fail_on_every_cut(data: bytes) -> None:
    for pieces in cuts(data):
        with pytest.raises(UpstreamError):
            parse(pieces)


@pytest.mark.parametrize("whole", [answer(b"the body"), STREAM_HEAD + chunk(b"the body") + LAST_CHUNK])
def test_truncated_answers_fail_at_every_length(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(UpstreamError, match="ended early"):
            parse([whole[:length]] if length else [])


def test_body_until_eof_fails_on_a_reset() -> None:
    with pytest.raises(UpstreamError, match="ended early"):
        parse([b"HTTP/1.1 200 OK\r\n\r\nsome"], then=ConnectionResetError())


def test_what_arrived_before_the_fault_is_given_out_first() -> None:
    response = Response(SilentLink())
    response.feed(STREAM_HEAD + chunk(b"one") + b"not a chunk")

    async def read() -> None:
        assert await response.read() == b"one"
        with pytest.raises(UpstreamError, match="malformed"):
            await response.read()

    asyncio.run(read())


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-long: " + b"x" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-endless: ", b"x" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\nx: " + b"y" * 900 + b"\r\n\r\n"),
        (STREAM_HEAD + b"1;", b"x" * 1000),
        (STREAM_HEAD + b"0\r\n", b"x-trailer: " + b"x" * 1000 + b"\r\n"),
    ],
)
@pytest.mark.parametrize("at_once", [1, 200])
def test_headers_without_end_are_refused(head: bytes, more: bytes, at_once: int) -> None:
    link = SilentLink()
    response = Response(link)
    fed = len(head)
    response.feed(head) if head else None
    while not link.aborted:
        response.feed(more * at_once)
        fed += len(more) * at_once
        assert fed <= HEAD_LIMIT_BYTES + 2 * len(more) * at_once


def test_all_that_came_at_once_is_one_piece() -> None:
    response = Response(SilentLink())
    response.feed(STREAM_HEAD + chunk(b"one ") + chunk(b"two ") + chunk(b"three"))
    assert asyncio.run(response.read()) == b"one two three"


def test_reading_pauses_when_nobody_reads() -> None:
    link = SilentLink()
    response = Response(link)
    response.feed(STREAM_HEAD)
    while link.reading:
        response.feed(chunk(b"x" * 1000))
    assert PAUSE_ABOVE_BYTES < response.buffered_bytes <= PAUSE_ABOVE_BYTES + 1000
    assert len(asyncio.run(response.read())) > PAUSE_ABOVE_BYTES
    assert link.reading
    assert response.buffered_bytes == 0


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost", Address("localhost", 80, False, b"", b"localhost")),
        ("http://127.0.0.1:8000/", Address("127.0.0.1", 8000, False, b"", b"127.0.0.1:8000")),
        ("https://h.example/some/prefix/", Address("h.example", 443, True, b"/some/prefix", b"h.example")),
        ("http://[::1]:8000", Address("::1", 8000, False, b"", b"[::1]:8000")),
    ],
)
def test_addresses(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "localhost",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:70000",
        "http://user:hunter2@host",
        "http://host/?query",
        "http://ho st/",
        "http://host/a b",
        "http://hö.example",
        "http://[::1",
    ],
)
def test_bad_addresses_are_refused_without_telling_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="write it like http://") as refused:
        Upstream(url)
    assert "hunter2" not in str(refused.value)


async def body_of(response: Response) -> bytes:
    pieces = []
    while piece := await response.read():
        pieces.append(piece)
    return b"".join(pieces)


async def get(upstream: Upstream, target: bytes = b"/") -> bytes:
    return await body_of(await upstream.request("GET", target, []))


def answering(*answers: bytes) -> Script:
    """A script that answers one request after the other, on every connection anew, then closes."""

    async def script(peer: Peer) -> None:
        for each in answers:
            await peer.request()
            await peer.send(each)

    return script


async def keep_answering(peer: Peer) -> None:
    while True:
        request = await peer.request()
        await peer.send(answer(request.body or b"ok"))


@on_each_loop
async def test_request_arrives_as_written() -> None:
    with ScriptedUpstream(keep_answering) as server:
        upstream = Upstream(server.url + "/prefix")
        headers = [(b"x-one", b"1"), (b"x-two", b"\xe9"), (b"x-one", b"again")]
        response = await upstream.request("POST", b"/v1/x?y=%20z", headers, b"the body")
        assert (response.status, await body_of(response)) == (200, b"the body")
        (request,) = server.requests
        assert (request.method, request.target, request.body) == ("POST", "/prefix/v1/x?y=%20z", b"the body")
        assert request.headers == [
            ("host", f"127.0.0.1:{server.port}"),
            ("x-one", "1"),
            ("x-two", "é"),
            ("x-one", "again"),
            ("content-length", "8"),
        ]
        await upstream.close()


@on_each_loop
@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET", b"/\r\nx: y", (b"a", b"b")),
        ("GET", b"/a b", (b"a", b"b")),
        ("GET /", b"/", (b"a", b"b")),
        ("GET", b"/", (b"a", b"b\r\nc: d")),
        ("GET", b"/", (b"a\n", b"b")),
        ("GET", b"/", (b"a", b"\rb")),
        ("GET", b"/", (b"a", b"\0")),
    ],
)
async def test_no_request_hides_in_another(method: str, target: bytes, header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="inside a part"):
        await Upstream("http://127.0.0.1:9").request(method, target, [header])


@on_each_loop
async def test_connections_are_kept_and_reused() -> None:
    with ScriptedUpstream(keep_answering) as server:
        upstream = Upstream(server.url)
        for _ in range(5):
            assert await get(upstream) == b"ok"
        assert len(server.peers) == 1
        await asyncio.gather(*(get(upstream) for _ in range(4)))
        assert len(server.peers) == 4
        await upstream.close()


@on_each_loop
@pytest.mark.parametrize(
    "first",
    [
        answer(b"ok", b"connection: close"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        answer(b"ok") + answer(b"to nobody"),
        answer(b"ok") + b"junk",
    ],
)
async def test_connections_are_not_reused_after(first: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(first if peer.number == 0 else answer(b"ok"))
        await peer.left()

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        assert await get(upstream) == b"ok"
        assert await get(upstream) == b"ok"
        assert len(server.peers) == 2
        await upstream.close()


@on_each_loop
async def test_idle_connections_expire() -> None:
    left: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"ok"))
        left.append(await peer.left())

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url, idle_seconds=0.1)
        started = time.monotonic()
        await get(upstream)
        await asyncio.sleep(0.3)
        assert 0.05 < left[0] - started < 0.25
        assert await get(upstream) == b"ok"
        assert len(server.peers) == 2
        await upstream.close()


@on_each_loop
async def test_idle_connection_closed_by_the_upstream_is_forgotten() -> None:
    with ScriptedUpstream(answering(answer(b"ok"))) as server:
        upstream = Upstream(server.url)
        await get(upstream)
        await asyncio.sleep(0.05)
        assert not upstream._idle
        assert await get(upstream) == b"ok"
        await upstream.close()


def closing_on_demand() -> tuple[Script, threading.Event, threading.Event]:
    """Closes its first connection, after one answer, when the first event is set, and sets the second."""
    close, closed = threading.Event(), threading.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"first"))
        if peer.number == 0:
            await asyncio.to_thread(close.wait)
            peer.close()
            await asyncio.sleep(0.01)
            closed.set()
        else:
            await peer.left()

    return script, close, closed


@on_each_loop
@pytest.mark.parametrize("body", [b"small", b"x" * 20_000_000])
async def test_request_sent_into_a_closed_connection_is_repeated(body: bytes) -> None:
    script, close, closed = closing_on_demand()
    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        await get(upstream)
        close.set()
        closed.wait()  # blocks this loop on purpose: it can't see the FIN before it sends
        response = await upstream.request("POST", b"/", [], body)
        assert await body_of(response) == b"first"
        assert [len(request.body) for request in server.requests] == [0, len(body)]
        assert len(server.peers) == 2
        await upstream.close()


@on_each_loop
@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
@pytest.mark.parametrize(("method", "times_sent"), [("POST", 1), ("GET", 2)])
async def test_request_that_arrived_is_repeated_only_if_safe(ending: Ending, method: str, times_sent: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(answer(b"first"))
            await peer.request()
        ending(peer)

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        await get(upstream)
        with pytest.raises(UpstreamError, match="ended early"):
            await upstream.request(method, b"/", [], b"body")
        assert len(server.requests) == 1 + times_sent
        await upstream.close()


@on_each_loop
async def test_nothing_is_repeated_once_an_answer_has_begun() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"first"))
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        await get(upstream)
        with pytest.raises(UpstreamError, match="ended early"):
            await get(upstream)
        assert len(server.requests) == 2
        await upstream.close()


@on_each_loop
async def test_fresh_connection_that_dies_is_not_repeated() -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        with pytest.raises(UpstreamError):
            await get(upstream)
        assert len(server.peers) == 1
        assert not upstream._open
        await upstream.close()


@on_each_loop
async def test_slow_drip_arrives_piece_by_piece() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        whole = STREAM_HEAD + b"".join(chunk(b"%d" % n) for n in range(8)) + LAST_CHUNK
        await peer.send(*(whole[i : i + 1] for i in range(len(whole))), pause_seconds=0.0005)
        await peer.left()

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        response = await upstream.request("GET", b"/", [])
        assert [await response.read() for _ in range(9)] == [b"%d" % n for n in range(8)] + [b""]
        assert await response.read() == b""
        await upstream.close()


@on_each_loop
@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
async def test_connection_dying_mid_stream(ending: Ending) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD, chunk(b"one"), pause_seconds=0.005)
        await asyncio.sleep(0.02)
        ending(peer)

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        response = await upstream.request("GET", b"/", [])
        assert await response.read() == b"one"
        with pytest.raises(UpstreamError, match="ended early"):
            await response.read()
        assert not upstream._open
        await upstream.close()


@on_each_loop
async def test_nobody_reads_then_the_upstream_is_held_back() -> None:
    block = bytes(range(256)) * 1024
    blocks = 150  # 39 MB: more than the kernel's buffers take

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(block) * blocks), *[block] * blocks)

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        response = await upstream.request("GET", b"/", [])
        sent = -1
        while sent != server.peers[0].sent_bytes:
            sent = server.peers[0].sent_bytes
            await asyncio.sleep(0.1)
        assert sent < len(block) * blocks
        assert response.buffered_bytes <= PAUSE_ABOVE_BYTES + ONE_READ_BYTES
        digest = hashlib.sha256()
        while piece := await response.read():
            assert len(piece) <= PAUSE_ABOVE_BYTES + ONE_READ_BYTES
            digest.update(piece)
        assert digest.digest() == hashlib.sha256(block * blocks).digest()
        await upstream.close()


@on_each_loop
async def test_aborting_closes_at_once_and_wakes_the_reader() -> None:
    left: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        left.append(await peer.left())

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        response = await upstream.request("GET", b"/", [])
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0.01)
        aborted = time.monotonic()
        response.abort()
        response.abort()
        with pytest.raises(UpstreamError, match="aborted"):
            await reading
        await asyncio.sleep(0.1)
        assert left[0] - aborted < 0.1
        assert not upstream._open
        await upstream.close()


@on_each_loop
async def test_cancelling_a_request_closes_its_connection() -> None:
    left: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        left.append(await peer.left())

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        asking = asyncio.create_task(upstream.request("GET", b"/", []))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.05)
        assert left
        assert not upstream._open
        await upstream.close()


@on_each_loop
async def test_cancelling_at_any_moment_leaves_nothing_behind() -> None:
    """uvloop doesn't report the loss of a connection that was cancelled while it was being made."""
    with ScriptedUpstream(keep_answering) as server:
        upstream = Upstream(server.url)
        for turns in range(12):
            asking = asyncio.create_task(upstream.request("GET", b"/", []))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await asking).abort()
            await asyncio.sleep(0.005)
            assert upstream._open == set(upstream._idle)
        await upstream.close()


@on_each_loop
async def test_early_answer_to_a_big_request() -> None:
    async def script(peer: Peer) -> None:
        await peer.part(1000)
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await peer.left()

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url)
        response = await upstream.request("POST", b"/", [], b"x" * 30_000_000)
        assert (response.status, await body_of(response)) == (413, b"big")
        assert not upstream._idle
        await upstream.close()


@on_each_loop
async def test_connections_are_limited() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        await peer.left()

    with ScriptedUpstream(script) as server:
        upstream = Upstream(server.url, max_connections=2)
        streams = [await upstream.request("GET", b"/", []) for _ in range(2)]
        with pytest.raises(UpstreamBusy):
            await upstream.request("GET", b"/", [])
        streams[0].abort()
        await asyncio.sleep(0.01)
        await upstream.request("GET", b"/", [])
        await upstream.close()
        with pytest.raises(UpstreamError):
            await streams[1].read()


@on_each_loop
async def test_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UpstreamUnreachable, match=f"127.0.0.1:{port}"):
        await get(Upstream(f"http://127.0.0.1:{port}"))


@on_each_loop
async def test_connection_that_is_never_accepted() -> None:
    with never_accepting() as port:
        upstream = Upstream(f"http://127.0.0.1:{port}", connect_timeout_seconds=0.1)
        with pytest.raises(UpstreamTimeout, match=r"within 0\.1 s"):
            await get(upstream)


@on_each_loop
async def test_ipv6() -> None:
    try:
        server = ScriptedUpstream(keep_answering, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        upstream = Upstream(server.url)
        assert await get(upstream) == b"ok"
        assert server.requests[0].header("host") == f"[::1]:{server.port}"
        await upstream.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of localhost, signed by itself: certificate and key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *names, "-out", certificate, "-keyout", key], check=True, capture_output=True, timeout=20
    )
    return certificate, key


@on_each_loop
async def test_https(certificate: tuple[Path, Path]) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(*certificate)
    with ScriptedUpstream(keep_answering, tls=served) as server:
        upstream = Upstream(server.url, tls=ssl.create_default_context(cafile=certificate[0]))
        assert await get(upstream) == b"ok"
        response = await upstream.request("POST", b"/", [], b"x" * 3_000_000)
        assert await body_of(response) == b"x" * 3_000_000
        assert len(server.peers) == 1
        await upstream.close()
        with pytest.raises(UpstreamUnreachable, match="certificate"):
            await get(Upstream(server.url))
