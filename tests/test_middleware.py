from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgi_apps import Got, Says, call
from test_answer import INNOCENT, PASSAGE, chunk, events, finishes, leaked_letters, pieces, texts

from guard import Action, Index, Policy
from guard.asgi import App, Message
from guard.errors import PolicyError
from guard.middleware import GuardMiddleware
from guard.routes import ROUTES, Guarded, Passed

WHOLE = json.dumps(
    {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Well."}}]}
).encode()


def guarded(app: App, index: Index, action: Action = Action.REDACT, **options: Any) -> GuardMiddleware:
    return GuardMiddleware(app, index=index, policy=Policy(action=action), **options)


def ask(app: App, *args: Any, **options: Any) -> Got:
    return asyncio.run(call(app, *args, **options))


@pytest.mark.parametrize("route", [key for key, route in ROUTES.items() if isinstance(route, Passed)])
def test_passed_routes_are_untouched(index: Index, route: tuple[str, str]) -> None:
    app = Says(PASSAGE.encode(), kind=b"text/plain", status=201, headers=[(b"etag", b"1")])
    got = ask(guarded(app, index), route[1], method=route[0])
    assert (got.status, got.body, got.headers[b"etag"]) == (201, PASSAGE.encode(), b"1")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "//v1/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/detokenize"),
        ("POST", "/invocations"),
        ("GET", "/docs"),
        ("OPTIONS", "/v1/completions"),
        ("GET", "/guardian"),
    ],
)
def test_every_other_route_is_denied(index: Index, method: str, path: str) -> None:
    app = Says(b"secret")
    got = ask(guarded(app, index), path, method=method)
    assert got.status == 404
    assert path in got.json["error"]["message"]
    assert not app.requests


def test_upgrades_are_denied(index: Index) -> None:
    app = Says(b"secret")
    got = ask(
        guarded(app, index), "/health", method="GET", headers=[(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
    )
    assert got.status == 404
    assert not app.requests


@pytest.mark.parametrize("extension", [True, False])
def test_websockets_are_denied(index: Index, extension: bool) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    extensions: dict[str, Any] = {"websocket.http.response": {}} if extension else {}
    app = guarded(Says(), index)
    asyncio.run(
        app({"type": "websocket", "path": "/v1/realtime", "headers": [], "extensions": extensions}, receive, send)
    )
    if extension:
        assert sent[0]["status"] == 404
    else:
        assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("path", [path for (_, path), route in ROUTES.items() if isinstance(route, Guarded)])
@pytest.mark.parametrize(
    "field",
    [
        {"logprobs": True},
        {"logprobs": 0},
        {"top_logprobs": 5},
        {"prompt_logprobs": 1},
        {"return_token_ids": True},
        {"return_tokens_as_token_ids": True},
        {"echo": True},
    ],
)
def test_requests_whose_answers_are_not_guarded_yet_are_refused(index: Index, path: str, field: dict[str, Any]) -> None:
    app = Says(b"secret")
    got = ask(guarded(app, index), path, {"model": "m", **field})
    assert got.status == 400
    assert got.json["error"]["param"] == next(iter(field))
    assert not app.requests


def test_null_and_false_are_not_refused(index: Index) -> None:
    app = Says(WHOLE, kind=b"application/json")
    fields = {"logprobs": False, "top_logprobs": None, "echo": False, "return_token_ids": None}
    assert ask(guarded(app, index), "/v1/chat/completions", fields).status == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"a":NaN}'])
def test_requests_that_cannot_be_read_are_refused(index: Index, raw: bytes) -> None:
    app = Says(b"secret")
    got = ask(guarded(app, index), raw=raw)
    assert (got.status, got.json["error"]["code"]) == (400, "invalid_json")
    assert not app.requests


def test_long_bodies_are_refused(index: Index) -> None:
    got = ask(guarded(Says(), index, max_body_bytes=2000), raw=b'{"a":"%b"}' % (b"x" * 3000))
    assert got.status == 413


def test_the_request_reaches_the_app_byte_for_byte(index: Index) -> None:
    raw = b'{ "model":"m","n":1, "messages" :[{"role":"user","content":"\\u00e9"}]}'
    app = Says(WHOLE, kind=b"application/json")
    assert ask(guarded(app, index), raw=raw).body == WHOLE
    assert app.requests == [raw]


@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_a_stream_with_a_passage(index: Index, action: Action) -> None:
    stream = [
        chunk(role="assistant", content=""),
        *(chunk(content=p) for p in pieces(f"{INNOCENT} {PASSAGE} {INNOCENT}")),
    ]
    app = Says(*stream, chunk(finish="stop"), b"data: [DONE]\n\n", headers=[(b"x-request-id", b"7")])
    guard = guarded(app, index, action)
    got = ask(guard, request={"stream": True})
    assert got.ended
    assert got.headers[b"x-request-id"] == b"7"
    assert texts(got.body)[0, "content"].startswith(INNOCENT)
    assert leaked_letters(texts(got.body)[0, "content"]) <= 40
    assert finishes(got.body) == {0: "content_filter" if action is Action.BLOCK else "stop"}
    assert app.stopped == (action is Action.BLOCK)
    page = guard.metrics.page().decode()
    assert f'outcome="{"blocked" if action is Action.BLOCK else "redacted"}"' in page
    assert f'guard_matches_total{{action="{action}"}} 1.0' in page


def test_a_block_stops_the_app_at_once(index: Index) -> None:
    app = Says(*(chunk(content=piece) for piece in pieces(PASSAGE * 20)))
    got = ask(guarded(app, index, Action.BLOCK), request={"stream": True})
    assert got.ended
    assert app.stopped
    assert app.sent < 60


@pytest.mark.parametrize("stream", [True, False])
def test_when_the_check_raises_the_answer_is_a_native_block(
    index: Index, stream: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = Says(chunk(content="Well")) if stream else Says(WHOLE, kind=b"application/json")
    guard = guarded(app, index)

    def broken(*_: object) -> None:
        raise RuntimeError("the check is broken")

    monkeypatch.setattr("guard.stream.StreamGuard.feed", broken)
    got = ask(guard, request={"stream": stream, "n": 2})
    assert got.status == 200
    assert got.ended
    assert got.error is None
    assert b"Well" not in got.body
    if stream:
        assert finishes(got.body) == {0: "content_filter", 1: "content_filter"}
        assert events(got.body)[-1] == "[DONE]"
    else:
        assert [choice["finish_reason"] for choice in got.json["choices"]] == ["content_filter"] * 2
    assert "the check is broken" in caplog.text
    assert 'guard_fail_closed_total{reason="check"} 1.0' in guard.metrics.page().decode()


def test_health_and_metrics(index: Index) -> None:
    guard = guarded(Says(b"secret"), index)
    health = ask(guard, "/guard/health", method="GET")
    assert health.json == {"status": "ok", "works": 3, "index": index.digest}
    ask(guard, "/nowhere")
    metrics = ask(guard, "/guard/metrics", method="GET")
    assert b'guard_requests_total{outcome="denied",route="other"} 1.0' in metrics.body
    assert ask(guard, "/guard/openapi.json", method="GET").status == 404


def test_a_policy_that_the_index_cannot_keep_is_refused_at_the_start(index: Index) -> None:
    with pytest.raises(PolicyError, match="below the index's gram"):
        GuardMiddleware(Says(), index=index, policy=Policy(hold_after=10))
