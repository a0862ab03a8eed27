"""vLLM generates nothing that nobody will read; its own metrics say so."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from .answers import LONG, RECITALS, Question, ask, client, create
from .servers import Metrics, Server

STOPS_WITHIN_SECONDS = 5.0
STAYS_STOPPED_SECONDS = 1.5

each_recital = pytest.mark.parametrize("question", RECITALS, ids=lambda question: str(question.dialect))


def when_idle(vllm: Server) -> Metrics:
    deadline = time.monotonic() + STOPS_WITHIN_SECONDS
    while (seen := Metrics.of(vllm)).running:
        assert time.monotonic() < deadline, "vLLM still runs the request"
        time.sleep(0.1)
    return seen


def assert_stops(vllm: Server) -> None:
    seen = when_idle(vllm)
    time.sleep(STAYS_STOPPED_SECONDS)
    assert Metrics.of(vllm) == seen


def leave_after(server: Server, question: Question, letters: int, vllm: Server) -> None:
    """Reads so many characters of a stream, sees that vLLM is at work on it, and hangs up."""
    with client(server) as opened:
        stream = create(opened, question, stream=True)
        seen = 0
        for part in stream:
            delta = part.choices[0].delta.content if hasattr(part.choices[0], "delta") else part.choices[0].text
            seen += len(delta or "")
            if seen >= letters:
                break
        assert Metrics.of(vllm).running == 1
        stream.close()


def test_a_client_that_leaves_a_clean_stream_stops_vllm(vllm: Server, guarded: Server) -> None:
    before = when_idle(vllm)
    leave_after(guarded, LONG, 40, vllm)
    assert_stops(vllm)
    assert Metrics.of(vllm).generated - before.generated < LONG.max_tokens / 2


@each_recital
def test_a_client_that_leaves_while_nothing_is_written_stops_vllm(
    vllm: Server, redacting: Server, question: Question
) -> None:
    """The answer is being redacted: no write fails, so the guard has to listen for the client's leaving."""
    long = Question(question.dialect, question.prompt, max_tokens=1000)
    before = when_idle(vllm)
    leave_after(redacting, long, 20, vllm)
    assert_stops(vllm)
    assert Metrics.of(vllm).generated - before.generated < long.max_tokens / 2


def test_a_client_that_leaves_before_a_whole_answer_stops_vllm(vllm: Server, guarded: Server) -> None:
    before = when_idle(vllm)
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=60)
    body = json.dumps(LONG.body())
    connection.request("POST", LONG.path, body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + STOPS_WITHIN_SECONDS
    while not Metrics.of(vllm).running and time.monotonic() < deadline:
        time.sleep(0.1)
    assert Metrics.of(vllm).running == 1
    connection.close()
    assert_stops(vllm)
    assert Metrics.of(vllm).generated - before.generated < LONG.max_tokens / 2


@pytest.mark.parametrize("n", [1, 2])
@each_recital
def test_a_blocked_stream_stops_vllm(vllm: Server, blocking: Server, question: Question, n: int) -> None:
    long = Question(question.dialect, question.prompt, n=n, max_tokens=1000)
    before = when_idle(vllm)
    assert {said.finish_reason for said in ask(blocking, long, stream=True)} == {"content_filter"}
    assert_stops(vllm)
    assert Metrics.of(vllm).generated - before.generated < n * 250
