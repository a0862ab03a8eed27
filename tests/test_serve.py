"""`guard serve` as a process, over real sockets, with the real client."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from scripted_upstream import LAST_CHUNK, STREAM_HEAD, Peer, ScriptedUpstream, answer
from scripted_upstream import chunk as http_chunk
from test_answer import INNOCENT, PASSAGE, chunk, leaked_letters, pieces

from guard import Index


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "guard", "serve", *arguments]


@contextmanager
def serving(index: Index, upstream: str, *arguments: str) -> Iterator[int]:
    """A guard in front of `upstream`; gives its port."""
    port = free_port()
    given = ["--index", str(index.directory), "--upstream", upstream, "--listen", f"127.0.0.1:{port}", *arguments]
    process = subprocess.Popen(command(*given), stderr=subprocess.PIPE)
    try:
        for _ in range(300):
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                    connection.request("GET", "/guard/health")
                    if connection.getresponse().status == 200:
                        break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("the guard did not start")
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=20)


def client(port: int) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)


def recites(request: bytes) -> list[bytes]:
    """What the upstream answers: innocent text, or the passage where the prompt says so."""
    text = PASSAGE if b"recite" in request else INNOCENT
    return [
        chunk(role="assistant", content=""),
        *(chunk(content=p) for p in pieces(text)),
        chunk(finish="stop"),
        b"data: [DONE]\n\n",
    ]


async def model(peer: Peer) -> None:
    while True:
        request = await peer.request()
        if b'"stream":true' in request.body.replace(b" ", b""):
            await peer.send(STREAM_HEAD, *map(http_chunk, recites(request.body)), LAST_CHUNK)
        else:
            text = PASSAGE if b"recite" in request.body else INNOCENT
            message = {"role": "assistant", "content": text}
            body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
            body["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
            await peer.send(answer(json.dumps(body).encode(), b"content-type: application/json"))


@pytest.mark.parametrize("action", ["block", "redact"])
def test_the_real_client(index: Index, action: str) -> None:
    with (
        ScriptedUpstream(model) as upstream,
        serving(index, upstream.url, "--action", action) as port,
        client(port) as ai,
    ):
        for prompt, finish in (("hello", "stop"), ("recite", "content_filter" if action == "block" else "stop")):
            messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": prompt}]
            whole = ai.chat.completions.create(model="m", messages=messages)
            stream = list(ai.chat.completions.create(model="m", messages=messages, stream=True))
            streamed = "".join(event.choices[0].delta.content or "" for event in stream)
            assert whole.choices[0].message.content == streamed
            assert whole.choices[0].finish_reason == stream[-1].choices[0].finish_reason == finish
            assert leaked_letters(streamed) <= 40
            assert (streamed == INNOCENT) == (prompt == "hello")


def test_a_client_that_leaves_while_text_is_held_aborts_the_upstream(index: Index) -> None:
    left: list[float] = []

    async def reciting(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD, *(http_chunk(chunk(content=piece)) for piece in pieces(PASSAGE[:90])))
        left.append(await peer.left())

    with ScriptedUpstream(reciting) as upstream, serving(index, upstream.url) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("POST", "/v1/chat/completions", body=b'{"stream":true}')
        response = connection.getresponse()
        response.read1(100)
        time.sleep(0.3)
        leaving = time.monotonic()
        response.close()
        connection.close()
        deadline = time.monotonic() + 5
        while not left and time.monotonic() < deadline:
            time.sleep(0.01)
    assert left
    assert left[0] - leaving < 1.0


def test_it_is_configured_by_file_and_environment(index: Index, tmp_path: Path) -> None:
    port = free_port()
    with ScriptedUpstream(model) as upstream:
        config = tmp_path / "guard.yaml"
        config.write_text(f"index: {index.directory}\nupstream: {upstream.url}\naction: redact\n", encoding="utf-8")
        environment = {**os.environ, "GUARD_CONFIG": str(config), "GUARD_LISTEN": f"127.0.0.1:{port}"}
        process = subprocess.Popen(command(), env=environment, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            with client(port) as ai:
                reply = ai.chat.completions.create(model="m", messages=[{"role": "user", "content": "recite"}])
            assert str(reply.choices[0].message.content).endswith("[…]")
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--index", "/nowhere", "--upstream", "http://127.0.0.1:1"], "indexer build"),
        (["--upstream", "http://127.0.0.1:1"], "'index' is not set"),
        (["--index", "INDEX", "--upstream", "ftp://127.0.0.1:1"], "http://"),
        (["--index", "INDEX", "--upstream", "http://127.0.0.1:1", "--action", "rewrite"], "not available"),
        (["--index", "INDEX", "--upstream", "http://127.0.0.1:1", "--threshold", "30"], "hold_after"),
        (["--index", "INDEX", "--upstream", "http://127.0.0.1:1", "--listen", "here"], "HOST:PORT"),
    ],
)
def test_it_refuses_to_start_and_says_what_to_do(index: Index, arguments: list[str], says: str) -> None:
    given = [str(index.directory) if argument == "INDEX" else argument for argument in arguments]
    done = subprocess.run(command(*given), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_index_is_refused(index: Index, tmp_path: Path) -> None:
    for file in index.directory.iterdir():
        content = bytearray(file.read_bytes())
        if file.suffix == ".rgs":
            content[4096 + 10] ^= 1  # the first page is the header's
        (tmp_path / file.name).write_bytes(content)
    done = subprocess.run(
        command("--index", str(tmp_path), "--upstream", "http://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "damaged" in done.stderr
