from __future__ import annotations

import json

import pytest

from guard.wire.emit import ERROR_WITHHELD, UPSTREAM_DIED, dumps, sse


@pytest.mark.parametrize("value", [{"a": "é"}, {"a": "\ud800"}, 10**30, [None, True, 1.5], "x\ud83dy"])
def test_all_that_json_can_hold_is_written(value: object) -> None:
    assert json.loads(dumps(value)) == value


def test_an_event_is_one_line() -> None:
    assert sse({"a": "1\n2"}) == b'data: {"a":"1\\n2"}\n\n'


@pytest.mark.parametrize("error", [ERROR_WITHHELD, UPSTREAM_DIED])
def test_errors_have_what_clients_read(error: dict[str, dict[str, object]]) -> None:
    assert set(error["error"]) == {"message", "type", "param", "code"}
