"""The record of a work: protected unless it says otherwise, and the same after a round trip."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import IndexFormatError
from guard.index.works import WorkRecord

records = st.builds(
    WorkRecord,
    *[st.text() for _ in ("id", "title", "author", "rights_holder", "licence", "status", "source")],
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)


@given(records)
def test_round_trip_through_json(record: WorkRecord) -> None:
    assert WorkRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_work_without_a_status_is_protected() -> None:
    assert WorkRecord(id="a").status == WorkRecord.from_json({"id": "a"}).status == "protected"


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(IndexFormatError, match=r"unknown keys \['colour'\]: upgrade the guard, or rebuild the index"):
        WorkRecord.from_json({"id": "a", "colour": "blue"})


def test_a_record_without_an_id_is_refused() -> None:
    with pytest.raises(IndexFormatError, match="rebuild the index"):
        WorkRecord.from_json({"title": "a"})
