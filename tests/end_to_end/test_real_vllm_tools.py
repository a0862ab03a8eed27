"""The story in the arguments of a tool call: JSON within a JSON string, with escapes in the middle of the run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from .answers import PUBLISH, PUBLISHING, client
from .conftest import MODEL
from .oracle import MARKER, RELEASED_AT_MOST, longest_run, released
from .servers import Server

MESSAGES = PUBLISH.body()["messages"]

each_way = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
each_choice = pytest.mark.parametrize("choice", PUBLISHING)


@dataclass(frozen=True, slots=True)
class Called:
    arguments: str
    content: str
    finish_reason: str | None


@cache
def call(server: Server, choice: str, stream: bool) -> Called:
    arguments, content, reason = "", "", None
    with client(server) as opened:
        answer: Any = opened.chat.completions.create(
            model=MODEL,
            temperature=0,
            max_tokens=PUBLISH.max_tokens,
            stream=stream,
            messages=MESSAGES,
            **PUBLISHING[choice],
        )
        for part in answer if stream else [answer]:
            for each in part.choices:
                said = each.delta if stream else each.message
                arguments += "".join(called.function.arguments or "" for called in said.tool_calls or [])
                content += said.content or ""
                reason = each.finish_reason or reason
    return Called(arguments, content, reason)


@each_way
@each_choice
def test_without_the_guard_the_model_publishes(vllm: Server, story: str, choice: str, stream: bool) -> None:
    said = call(vllm, choice, stream)
    assert longest_run(json.loads(said.arguments)["text"], story) >= 250


@each_way
@each_choice
def test_at_most_forty_letters_of_a_run_get_out(
    vllm: Server, guarded: Server, story: str, choice: str, stream: bool
) -> None:
    whole, said = call(vllm, choice, stream), call(guarded, choice, stream)
    leaked = released(whole.arguments, said.arguments.replace(json.dumps(MARKER)[1:-1], MARKER), story)
    assert leaked
    assert max(leaked) <= RELEASED_AT_MOST
    assert longest_run(said.content, story) <= RELEASED_AT_MOST


@each_way
@each_choice
def test_a_blocked_call_says_so(blocking: Server, choice: str, stream: bool) -> None:
    assert call(blocking, choice, stream).finish_reason == "content_filter"


@each_way
@each_choice
def test_redacted_arguments_stay_json(vllm: Server, redacting: Server, choice: str, stream: bool) -> None:
    whole, said = call(vllm, choice, stream), call(redacting, choice, stream)
    assert json.loads(said.arguments)["text"].count(MARKER) == 1
    assert said.finish_reason == whole.finish_reason
