from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import WireError
from guard.wire.strict_json import parse

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_reads_json(value: object, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") if ascii_only else None
    assert parse(raw or json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "bad",
    [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b'{"a":1,"a":2}', b'{"x":{"a":"b","a":"b"}}', b"[" * 100_000, b"1 2"],
)
def test_refuses_what_readers_would_read_differently(bad: bytes) -> None:
    with pytest.raises(WireError):
        parse(bad)
