"""The demo's stand-in model: vLLM's wire, and a memory."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from guard.asgi import Message, Scope
from guard.demo import memory, wire_shapes
from guard.demo.generation import tokens_of
from guard.demo.model import StandInModel
from guard.demo.wire_shapes import Dialect, FinishReason, Response, Spoken, Usage

STORY, POEM, CODE = memory.load_works()


def replies(app: StandInModel, method: str, path: str, body: object = None, leave_after: int | None = None) -> Any:
    """Status, headers and body of a response; the client leaves after so many messages."""
    sent: list[Message] = []
    left = asyncio.Event()

    async def call() -> None:
        request: list[Message] = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

        async def receive() -> Message:
            if request:
                return request.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) == leave_after:
                left.set()

        scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
        await asyncio.wait_for(app(scope, receive, send), 20)

    asyncio.run(call())
    headers = dict(sent[0]["headers"]) if sent else {}
    return sent[0]["status"] if sent else None, headers, b"".join(message.get("body", b"") for message in sent)


def events(body: bytes) -> list[Any]:
    assert body.endswith(b"data: [DONE]\n\n")
    lines = body.decode().removesuffix("data: [DONE]\n\n").split("\n\n")
    assert lines.pop() == ""
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.fixture(scope="module")
def model() -> StandInModel:
    return StandInModel(token_ms=0.0)


CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "recite The Mender of Umbrellas"}]}


def test_the_shapes_are_those_of_vllm() -> None:
    """The strings were printed by the response classes of vLLM 0.32, serialised as its server does it."""
    chat = Response(Dialect.CHAT, "chatcmpl-0", 1, "m")
    text = Response(Dialect.COMPLETION, "cmpl-0", 1, "m")
    chunk = '{"id":"chatcmpl-0","object":"chat.completion.chunk","created":1,"model":"m","choices":['
    words = '{"id":"cmpl-0","object":"text_completion","created":1,"model":"m","choices":['
    usage = ']"usage":{"prompt_tokens":1,"total_tokens":3,"completion_tokens":2}}'.replace("]", "],", 1)
    details = '"prompt_tokens_details":null,"completion_tokens_details":null}'
    told = [
        (
            chat.opening(0),
            chunk + '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],'
            '"prompt_token_ids":null,"prompt_text":null}',
        ),
        (
            chat.piece(0, "ab “é", None),
            chunk + '{"index":0,"delta":{"content":"ab “é"},"logprobs":null,"finish_reason":null,"token_ids":null}]}',
        ),
        (
            chat.piece(0, "x", FinishReason.LENGTH),
            chunk + '{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":"length","stop_reason":null,'
            '"token_ids":null}]}',
        ),
        (chat.closing_usage(Usage(1, 2)), chunk + usage),
        (text.opening(0), "null"),
        (
            text.piece(0, "x", None),
            words + '{"index":0,"text":"x","logprobs":null,"finish_reason":null,"stop_reason":null,'
            '"prompt_token_ids":null,"token_ids":null}]}',
        ),
        (text.closing_usage(Usage(1, 2)), words + usage),
        (
            chat.whole([Spoken("x", FinishReason.STOP)], Usage(1, 2)),
            '{"id":"chatcmpl-0","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
            '{"role":"assistant","content":"x","refusal":null,"annotations":null,"audio":null,"function_call":null,'
            '"reasoning":null},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null,'
            '"routed_experts":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":1,'
            '"total_tokens":3,"completion_tokens":2,' + details + ',"prompt_logprobs":null,"prompt_token_ids":null,'
            '"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}',
        ),
        (
            text.whole([Spoken("x", FinishReason.STOP)], Usage(1, 2)),
            words + '{"index":0,"text":"x","logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null,'
            '"prompt_logprobs":null,"prompt_token_ids":null,"routed_experts":null}],"service_tier":null,'
            '"system_fingerprint":null,"usage":{"prompt_tokens":1,"total_tokens":3,"completion_tokens":2,'
            + details
            + ',"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}',
        ),
        (
            wire_shapes.refusal("x", "NotFoundError", "model", 404),
            '{"error":{"message":"x","type":"NotFoundError","param":"model","code":404}}',
        ),
    ]
    for shape, wanted in told:
        assert json.dumps(shape, ensure_ascii=False, separators=(",", ":")) == wanted


def test_a_chat_streams_the_whole_poem(model: StandInModel) -> None:
    status, headers, body = replies(model, "POST", "/v1/chat/completions", CHAT | {"stream": True})
    assert (status, headers[b"content-type"]) == (200, b"text/event-stream; charset=utf-8")
    first, *rest, last = events(body)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(event["choices"][0]["delta"]["content"] for event in rest) == POEM.body
    assert (last["choices"][0]["delta"]["content"], last["choices"][0]["finish_reason"]) == ("", "stop")
    assert len({event["id"] for event in (first, *rest, last)}) == 1


def test_a_completion_ends_at_max_tokens_with_usage_when_asked(model: StandInModel) -> None:
    asked = {"prompt": POEM.body[:120], "max_tokens": 7, "stream": True, "stream_options": {"include_usage": True}}
    *pieces, usage = events(replies(model, "POST", "/v1/completions", asked)[2])
    choices = [event["choices"][0] for event in pieces]
    assert "".join(choice["text"] for choice in choices) == "".join(tokens_of(POEM.body[120:])[:7])
    assert [choice["finish_reason"] for choice in choices] == [None] * 6 + ["length"]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 7
    assert usage["usage"]["prompt_tokens"] == len(tokens_of(POEM.body[:120]))


def test_choices_are_interleaved(model: StandInModel) -> None:
    asked = {"prompt": [POEM.body[:120], "How do I boil an egg?"], "n": 2, "max_tokens": 5, "stream": True}
    choices = [event["choices"][0] for event in events(replies(model, "POST", "/v1/completions", asked)[2])]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3] * 5
    texts = ["".join(choice["text"] for choice in choices if choice["index"] == index) for index in range(4)]
    assert texts[0] == texts[1] != texts[2] == texts[3]
    assert texts[2].startswith("Bring a small pan")


def test_without_stream_the_answer_comes_in_one_piece(model: StandInModel) -> None:
    status, headers, body = replies(model, "POST", "/v1/chat/completions", CHAT | {"n": 2})
    assert (status, headers[b"content-type"]) == (200, b"application/json")
    assert int(headers[b"content-length"]) == len(body)
    told = json.loads(body)
    assert [choice["message"]["content"] for choice in told["choices"]] == [POEM.body] * 2
    assert told["usage"]["completion_tokens"] == 2 * len(tokens_of(POEM.body))


def test_an_answer_to_parts_of_content(model: StandInModel) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "Tell me about tides"}]}
    told = json.loads(replies(model, "POST", "/v1/chat/completions", {"messages": [message]})[2])
    assert told["choices"][0]["message"]["content"].startswith("Twice, because two bulges")


def test_an_unknown_question_is_answered_with_what_the_model_is(model: StandInModel) -> None:
    told = json.loads(replies(model, "POST", "/v1/completions", {"prompt": "qwertz"})[2])
    assert "not a language model but a stand-in" in told["choices"][0]["text"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/completions", [], 400, None),
        ("/v1/completions", {"prompt": [1, 2]}, 400, "prompt"),
        ("/v1/completions", {"prompt": "x", "n": 0}, 400, "n"),
        ("/v1/completions", {"prompt": "x", "n": 17}, 400, "n"),
        ("/v1/completions", {"prompt": "x", "max_tokens": "many"}, 400, "max_tokens"),
        ("/v1/completions", {"prompt": "x", "model": "other"}, 404, "model"),
        ("/v1/chat/completions", {"messages": []}, 400, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}, 400, "messages"),
    ],
)
def test_bad_requests_are_refused(model: StandInModel, path: str, body: object, status: int, param: str | None) -> None:
    got, _, told = replies(model, "POST", path, body)
    error = json.loads(told)["error"]
    assert (got, error["code"], error["param"]) == (status, status, param)


def test_the_other_routes(model: StandInModel) -> None:
    assert replies(model, "GET", "/health")[::2] == (200, b"")
    assert "stand-in" in json.loads(replies(model, "GET", "/version")[2])["version"]
    assert json.loads(replies(model, "GET", "/v1/models")[2])["data"][0]["id"] == "stand-in"
    assert replies(model, "GET", "/v1/completions")[0] == 404


def test_generation_stops_when_the_client_leaves() -> None:
    slow = StandInModel(token_ms=50.0)
    begun = time.monotonic()
    _, _, body = replies(slow, "POST", "/v1/chat/completions", CHAT | {"stream": True}, leave_after=4)
    assert time.monotonic() - begun < 5.0  # the poem has some 400 tokens: 20 seconds
    assert b"[DONE]" not in body
