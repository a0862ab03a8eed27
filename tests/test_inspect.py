from __future__ import annotations

from typing import Any

import pytest
from conftest import WORKS

from guard import Index, Policy, StreamGuard
from guard.errors import WireError
from guard.wire import fields
from guard.wire.inspect import Inspection, Inspector, Names


def inspect(index: Index, event: Any, over: frozenset[tuple[Any, ...]] = frozenset()) -> Inspection:
    return Inspector(fields.CHAT_CHUNK, Names(StreamGuard(index, Policy())), over.__contains__).inspect(event)


def test_texts_are_found_with_their_choice_and_field(index: Index) -> None:
    calls = [{"index": 3, "id": "c", "function": {"name": "f", "arguments": "{}"}}, {"function": {"arguments": ""}}]
    delta = {"role": "assistant", "content": "a", "reasoning": None, "tool_calls": calls}
    found = inspect(index, {"id": "x", "choices": [{"index": 2, "delta": delta, "finish_reason": None}], "usage": None})
    at = ("choices", 2, "delta")
    assert [(slot.key, slot.text, slot.is_json) for slot in found.slots] == [
        ((*at, "content"), "a", False),
        ((*at, "tool_calls", 3, "function", "name"), "f", False),
        ((*at, "tool_calls", 3, "function", "arguments"), "{}", True),
    ]
    assert found.carries
    assert not found.ended
    assert not found.withheld


def test_a_finish_ends_its_choice(index: Index) -> None:
    found = inspect(index, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert found.ended == [("choices", 0)]


def test_unknown_fields_are_taken_out_unless_they_say_nothing(index: Index) -> None:
    event = {"novel": "text", "list": [1], "object": {"a": 1}, "flag": True, "count": 3, "none": None, "choices": []}
    assert inspect(index, event).withheld == ["novel", "list", "object"]
    assert inspect(index, event).withheld == []
    assert event["flag"] is True
    assert event["count"] == 3
    assert event["novel"] is event["list"] is event["object"] is None


@pytest.mark.parametrize("value", [["text"], {"text": "a"}, [1, 2]])
def test_known_fields_with_another_type_are_taken_out(index: Index, value: Any) -> None:
    event = {"id": value, "choices": [{"index": 0, "delta": {"content": value, "role": value}}]}
    found = inspect(index, event)
    assert set(found.withheld) == {"id", "choices.delta.content", "choices.delta.role"}
    assert not found.slots


def test_a_choice_that_is_over_gets_no_more_text_through(index: Index) -> None:
    event = {"choices": [{"index": 0, "delta": {"content": "more"}}, {"index": 1, "delta": {"content": "on"}}]}
    found = inspect(index, event, frozenset([("choices", 0)]))
    assert [slot.text for slot in found.slots] == ["on"]
    assert found.withheld == ["choices.delta.content"]


@pytest.mark.parametrize(
    "bad", [1, "a", [], None, {"choices": [1]}, {"choices": [{"index": "0"}]}, {"choices": [{"index": True}]}]
)
def test_other_shapes_cannot_be_read(index: Index, bad: Any) -> None:
    with pytest.raises(WireError):
        inspect(index, bad)


def test_names_together_are_one_text(index: Index) -> None:
    names = Names(StreamGuard(index, Policy()))
    assert names.passes("id", "chatcmpl-1")
    assert names.passes("model", "m")
    parts = [WORKS[0][at : at + 20] for at in range(0, 200, 20)]
    passed = [names.passes("id", part) for part in parts]
    assert passed[:2] == [True, True]
    assert not any(passed[3:])
    assert names.passes("model", "m")  # as it stood there before
    assert not names.passes("model", "n")
    assert not names.passes("id", "chatcmpl-1")
    assert names.passes("finish_reason", "stop")
