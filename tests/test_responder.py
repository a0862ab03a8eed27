"""How a guarded response ends when something goes wrong: every branch that could let text out unchecked."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from asgi_apps import Got, Says, call
from conftest import WORKS
from test_answer import PASSAGE, chunk, events, finishes, leaked_letters, pieces, texts
from test_middleware import WHOLE, ask, guarded

from guard import Index, responder
from guard.asgi import Receive, Scope, Send
from guard.errors import UpstreamError

HELD = WORKS[0][400:480]  # about 65 letters: held, below the threshold
STREAM = b"".join(
    [chunk(role="assistant", content=""), chunk(content="Well"), chunk(finish="stop"), b"data: [DONE]\n\n"]
)
LOUD = json.dumps(
    {"id": "x", "choices": [{"index": 0, "message": {"content": PASSAGE}, "finish_reason": "stop"}]}
).encode()


def blocked(got: Got) -> bool:
    if got.headers[b"content-type"].startswith(b"text/event-stream"):
        return finishes(got.body) == {0: "content_filter"} and events(got.body)[-1] == "[DONE]"
    return bool(got.json["choices"][0]["finish_reason"] == "content_filter")


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"x-gzip", b" GZIP "])
@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_encoded_answers_are_decoded_and_sent_plain(index: Index, encoding: bytes, size: int) -> None:
    for body, kind in ((STREAM, b"text/event-stream"), (WHOLE, b"application/json")):
        packed = zlib.compress(body) if encoding == b"deflate" else gzip.compress(body)
        parts = [packed[at : at + size] for at in range(0, len(packed), size)]
        headers = [(b"content-encoding", encoding), (b"content-length", b"%d" % len(packed)), (b"etag", b"1")]
        got = ask(
            guarded(Says(*parts, kind=kind, headers=headers), index), request={"stream": kind != b"application/json"}
        )
        assert got.body == body
        assert b"content-encoding" not in got.headers
        assert b"etag" not in got.headers
        assert got.headers.get(b"content-length", b"%d" % len(body)) == b"%d" % len(body)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"br", b"\x0b"),
        (b"zstd", b"("),
        (b"gzip, br", b"x"),
        (b"gzip", b"no gzip"),
        (b"gzip", gzip.compress(STREAM)[:60]),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_encodings_that_cannot_be_read_end_as_a_block(index: Index, encoding: bytes, body: bytes, stream: bool) -> None:
    kind = b"text/event-stream" if stream else b"application/json"
    app = Says(body, kind=kind, headers=[(b"content-encoding", encoding)])
    got = ask(guarded(app, index), request={"stream": stream})
    assert got.status == 200
    assert got.ended
    assert blocked(got)


def test_a_compressed_bomb_is_bounded(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "MAX_ANSWER_BYTES", 10_000)
    app = Says(gzip.compress(b" " * 1_000_000), kind=b"application/json", headers=[(b"content-encoding", b"gzip")])
    assert blocked(ask(guarded(app, index)))


def test_an_endless_whole_answer_is_bounded(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "MAX_ANSWER_BYTES", 10_000)
    app = Says(*[b" " * 1000] * 1000, kind=b"application/json")
    assert blocked(ask(guarded(app, index)))
    assert app.sent < 20


@pytest.mark.parametrize("kind", [b"text/plain", b"text/html; charset=utf-8", b"", b"application/x-ndjson"])
@pytest.mark.parametrize("stream", [True, False])
def test_other_kinds_of_answers_end_as_a_block(index: Index, kind: bytes, stream: bool) -> None:
    got = ask(guarded(Says(PASSAGE.encode(), kind=kind), index), request={"stream": stream})
    assert got.status == 200
    assert blocked(got)


def test_a_whole_answer_to_a_request_for_a_stream_is_guarded(index: Index) -> None:
    got = ask(guarded(Says(LOUD, kind=b"application/json"), index), request={"stream": True})
    assert leaked_letters(got.json["choices"][0]["message"]["content"]) <= 40


def test_a_stream_to_a_request_for_a_whole_answer_is_guarded(index: Index) -> None:
    got = ask(guarded(Says(chunk(content=PASSAGE)), index), request={})
    assert leaked_letters(texts(got.body)[0, "content"]) <= 40


@pytest.mark.parametrize("bad", [b"data: {broken\n\n", b"data: 1\n\n", b"data: \xff\n\n"])
def test_malformed_events_end_as_a_block_and_let_no_held_text_out(index: Index, bad: bytes) -> None:
    app = Says(*(chunk(content=piece) for piece in pieces(HELD)), bad, chunk(content="more"))
    got = ask(guarded(app, index), request={"stream": True})
    assert got.ended
    assert blocked(got)
    assert leaked_letters(texts(got.body)[0, "content"]) <= 40
    assert b"more" not in got.body
    assert app.stopped


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"choices":[3]}', b"\xff"])
def test_malformed_whole_answers_end_as_a_block(index: Index, body: bytes) -> None:
    assert blocked(ask(guarded(Says(body, kind=b"application/json"), index)))


def test_when_the_upstream_dies_held_text_leaves_then_the_error(index: Index) -> None:
    death = UpstreamError("it ended early")
    app = Says(*(chunk(content=piece) for piece in pieces(HELD)), b'data: {"half', then=death)
    got = ask(guarded(app, index), request={"stream": True})
    *shown, last = events(got.body)
    assert texts(got.body.rpartition(b"data: ")[0])[0, "content"] == HELD
    assert "broke off" in last["error"]["message"]
    assert got.error is death  # so that the server cuts the connection
    assert not got.ended
    assert b"half" not in got.body
    assert shown


def test_when_the_upstream_dies_in_a_withheld_run_nothing_of_it_leaves(index: Index) -> None:
    app = Says(*(chunk(content=piece) for piece in pieces(PASSAGE)), then=UpstreamError("it ended early"))
    got = ask(guarded(app, index), request={"stream": True})
    assert leaked_letters(texts(got.body.rpartition(b"data: ")[0])[0, "content"]) <= 40


def test_when_the_upstream_dies_before_a_whole_answer_it_is_a_502(index: Index) -> None:
    got = ask(guarded(Says(WHOLE[:20], kind=b"application/json", then=UpstreamError("it ended early")), index))
    assert got.status == 502
    assert got.ended
    assert "broke off" in got.json["error"]["message"]


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503])
def test_errors_of_the_upstream_pass_as_they_are(index: Index, status: int) -> None:
    body = b'{"error": {"message":"The model `x` does not exist.", "code":404}}'
    got = ask(guarded(Says(body, kind=b"application/json", status=status, headers=[(b"retry-after", b"3")]), index))
    assert (got.status, got.body, got.headers[b"retry-after"]) == (status, body, b"3")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"message": PASSAGE}}).encode(),
        PASSAGE.encode(),
        json.dumps({"detail": [{PASSAGE: 1}]}).encode(),
    ],
)
def test_errors_that_quote_a_work_are_withheld(index: Index, body: bytes) -> None:
    got = ask(guarded(Says(body, kind=b"text/plain", status=400), index))
    assert got.status == 400
    assert leaked_letters(got.body.decode()) == 0
    assert got.json["error"]["message"]


def test_an_empty_answer_passes(index: Index) -> None:
    got = ask(guarded(Says(kind=b"", status=204), index))
    assert (got.status, got.body) == (204, b"")


def test_while_text_is_held_the_stream_is_kept_alive(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "SILENCE_SECONDS", 0.01)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for piece in [*(chunk(content=each) for each in pieces(HELD)), chunk(finish="stop")]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.004)
        await asyncio.sleep(0.03)  # nothing is held now
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    got = ask(guarded(slow, index), request={"stream": True})
    assert b": held\n\n" in got.body
    assert got.pieces[-2:] == [got.pieces[-2], b""]
    assert got.pieces[-2] != b": held\n\n"
    assert texts(got.body)[0, "content"] == HELD


def test_a_fault_of_the_app_before_it_answers_is_the_servers_to_report(index: Index) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        raise ZeroDivisionError

    assert isinstance(asyncio.run(call(guarded(broken, index))).error, ZeroDivisionError)
