from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import WireError
from guard.wire import sse
from guard.wire.sse import SseSplitter

STREAM = (
    b": hello\n\n"
    b'data: {"a":1}\n\n'
    b'event: delta\r\nid: 7\r\ndata: {"b":\r\ndata: 2}\r\n\r\n'
    b"data\n\ndata:\n\ndata:no space\r\r"
    b"\n\n\ndata: last without an end"
)
DATA = [None, b'{"a":1}', b'{"b":\n2}', b"", b"", b"no space", b"last without an end"]


def split(pieces: list[bytes]) -> list[sse.SseEvent]:
    splitter = SseSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)] + splitter.close()


def meant(events: list[sse.SseEvent]) -> list[tuple[bytes | None, bytes]]:
    """What events say; the line feed of an event that was cut before it comes alone, and says nothing."""
    return [(event.data, event.rest) for event in events if event.data is not None or event.rest]


def test_events_of_a_stream() -> None:
    events = split([STREAM])
    assert [event.data for event in events] == DATA
    assert events[0].rest == b": hello"
    assert events[2].rest == b"event: delta\nid: 7"


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cuts_change_nothing_and_no_byte_is_lost(where: list[int]) -> None:
    at = [0, *sorted(where), len(STREAM)]
    cut = split([STREAM[a:b] for a, b in pairwise(at)])
    assert meant(cut) == meant(split([STREAM]))
    assert b"".join(event.raw for event in cut) == STREAM


def test_byte_by_byte() -> None:
    events = split([bytes([byte]) for byte in STREAM])
    assert meant(events) == meant(split([STREAM]))
    assert b"".join(event.raw for event in events) == STREAM


@given(st.text(st.sampled_from(list("da:t \r\n\ufeffx")), max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_any_bytes(text: str, where: list[int]) -> None:
    raw = text.encode()
    at = [0, *sorted(min(w, len(raw)) for w in where), len(raw)]
    cut = split([raw[a:b] for a, b in pairwise(at)])
    assert meant(cut) == meant(split([raw]))
    assert b"".join(event.raw for event in cut) == raw


def test_an_event_leaves_with_its_blank_line_at_once() -> None:
    splitter = SseSplitter()
    assert splitter.feed(b"data: 1\n") == []
    assert [event.data for event in splitter.feed(b"\n")] == [b"1"]
    assert [event.data for event in splitter.feed(b"data: 2\n\n")] == [b"2"]
    assert splitter.idle
    assert [event.data for event in splitter.feed(b"data: 3\r\n\r")] == [b"3"]
    assert not splitter.idle  # the line feed that follows belongs to event 3
    assert [event.data for event in splitter.feed(b"\ndata: 4\n\n")] == [None, b"4"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert [event.data for event in split([b"\xef", b"\xbb\xbfdata: 1\n\n"])] == [b"1"]


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    splitter = SseSplitter()
    splitter.feed(b"data: " + b"a" * 94)
    with pytest.raises(WireError, match="longer than 100 bytes"):
        splitter.feed(b"a")
