from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import Index, Policy, StreamGuard
from guard.wire.channel import Channel, Slot
from guard.wire.twin import Twin


def event(text: str, ascii_only: bool = False) -> bytes:
    body = json.dumps(
        {"id": "a", "choices": [{"delta": {"content": text}}]}, separators=(",", ":"), ensure_ascii=ascii_only
    )
    return b"data: " + body.encode() + b"\n\n"


@pytest.fixture
def twin(index: Index) -> Twin:
    made = Twin.of(event("one"), slot("one"), Channel(StreamGuard(index, Policy()), [], is_json=False))
    assert made
    return made


def slot(text: str) -> Slot:
    return Slot(("choices", 0, "delta", "content"), {}, "content", text, is_json=False)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_reads_the_text_of_a_twin(index: Index, text: str, ascii_only: bool) -> None:
    twin = Twin.of(event("one"), slot("one"), Channel(StreamGuard(index, Policy()), [], is_json=False))
    assert twin
    assert twin.text(event(text, ascii_only)) == text


@pytest.mark.parametrize(
    "middle", [b"1", b"null", b'"a","b":"c"', b'"a"}, {"content":"b"', b'"a\\"', b"", b'"a" "b"', b'["a"]', b'"a\n\nb"']
)
def test_what_is_no_string_alone_is_no_twin(twin: Twin, middle: bytes) -> None:
    assert twin.text(event("one").replace(b'"one"', middle)) is None


def test_other_events_are_no_twins(twin: Twin) -> None:
    assert twin.text(event("one").replace(b'"id":"a"', b'"id":"b"')) is None
    assert twin.text(event("one")[:-2]) is None


def test_no_twin_where_the_place_is_not_certain(index: Index) -> None:
    channel = Channel(StreamGuard(index, Policy()), [], is_json=False)
    twice = b'data: {"content":"one","x":{"content":"one"}}\n\n'
    assert Twin.of(twice, slot("one"), channel) is None
    assert Twin.of(event("one").replace(b":", b": "), slot("one"), channel) is None
