"""What isn't recited passes as if the guard weren't there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .answers import INNOCENT, RECITALS, Dialect, Question, client, create
from .conftest import Guards
from .servers import Answer, Server
from .wiretap import Wiretap

CHAT, COMPLETION = RECITALS
innocent = pytest.mark.parametrize("question", INNOCENT, ids=lambda question: question.prompt)
each_recital = pytest.mark.parametrize("question", RECITALS, ids=lambda question: str(question.dialect))
each_way = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def post(server: Server, path: str, body: Any) -> Answer:
    return server.ask("POST", path, json.dumps(body).encode())


def without_identity(body: bytes) -> bytes:
    """Less what vLLM makes up anew for each answer."""
    body = re.sub(rb'"id":"[^"]*"', b'"id":""', body)
    return re.sub(rb'"created":\d+', b'"created":0', body)


@pytest.mark.parametrize(
    "asked",
    [
        {"stream": True},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        {"stream": False},
    ],
    ids=["stream", "usage", "continuous-usage", "whole"],
)
@innocent
def test_the_client_gets_the_very_bytes_that_vllm_sent(
    guards: Guards, wiretap: Wiretap, question: Question, asked: dict[str, Any]
) -> None:
    guard = guards.start("block", wiretap)
    wiretap.clear()
    answer = post(guard, question.path, question.body(**asked))
    assert answer.status == 200
    assert answer.body == wiretap.body()
    assert (b'"completion_tokens":' in answer.body) == (asked != {"stream": True})


@innocent
def test_an_innocent_answer_is_the_same_with_and_without_the_guard(
    vllm: Server, guarded: Server, question: Question
) -> None:
    """Whole answers only: vLLM cuts the same text into other events from one time to the next."""
    direct, through = (post(server, question.path, question.body()) for server in (vllm, guarded))
    assert through.status == direct.status == 200
    assert through.headers["content-type"] == direct.headers["content-type"]
    assert without_identity(through.body) == without_identity(direct.body)


@each_recital
def test_a_blocked_stream_is_well_formed(blocking: Server, question: Question) -> None:
    body = question.body(stream=True, stream_options={"include_usage": True})
    events = post(blocking, question.path, body).body.decode().removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["content_filter"]
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (CHAT, {"logprobs": True}),
        (CHAT, {"logprobs": True, "top_logprobs": 3}),
        (COMPLETION, {"logprobs": 1}),
        (COMPLETION, {"echo": True}),
        (CHAT, {"echo": True}),
        (COMPLETION, {"prompt_logprobs": 1}),
        (CHAT, {"return_token_ids": True}),
    ],
    ids=str,
)
@each_way
def test_what_would_leave_unguarded_is_refused(
    guarded: Server, question: Question, asked: dict[str, Any], stream: bool
) -> None:
    answer = post(guarded, question.path, question.body(stream=stream, **asked))
    assert answer.status == 400
    assert next(iter(asked)) in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/embeddings", "/detokenize", "/nowhere"])
def test_an_unknown_route_is_refused(guarded: Server, path: str) -> None:
    answer = post(guarded, path, {"model": "reciter", "input": "Recite."})
    assert answer.status == 404
    assert json.loads(answer.body)["error"]["message"]


@each_way
@each_recital
def test_an_error_of_vllm_passes(vllm: Server, guarded: Server, question: Question, stream: bool) -> None:
    for wrong, status in (({"model": "nobody"}, 404), ({"temperature": -1}, 400), ({"max_tokens": "many"}, 400)):
        body = question.body(stream=stream) | wrong
        direct, through = (post(server, question.path, body) for server in (vllm, guarded))
        assert (through.status, through.body) == (direct.status, direct.body)
        assert direct.status == status


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/ping", "/version", "/load"])
def test_what_carries_no_text_passes(vllm: Server, guarded: Server, path: str) -> None:
    direct, through = (server.ask("GET", path) for server in (vllm, guarded))
    assert through.status == direct.status
    assert without_identity(through.body) == without_identity(direct.body)


def test_vllms_metrics_pass(guarded: Server) -> None:
    assert b"vllm:generation_tokens_total" in guarded.ask("GET", "/metrics").body


def test_the_guards_own_metrics_are_its_own(guarded: Server) -> None:
    answer = guarded.ask("GET", "/guard/metrics")
    assert answer.status == 200
    assert b"vllm:" not in answer.body


def test_tokenize_passes(vllm: Server, guarded: Server) -> None:
    body = {"model": "reciter", "prompt": "The tide clerk"}
    direct, through = (post(server, "/tokenize", body) for server in (vllm, guarded))
    assert through.status == 200
    assert through.body == direct.body


def test_the_client_library_reads_usage(guarded: Server) -> None:
    question = Question(Dialect.CHAT, "List three colours.")
    with client(guarded) as opened:
        answer = create(opened, question, stream=False)
    assert answer.usage.completion_tokens > 0
