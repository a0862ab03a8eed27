from __future__ import annotations

import json
from itertools import pairwise

import pytest
from conftest import WORKS, random_prose
from hypothesis import given
from hypothesis import strategies as st

from guard import Action, Index, Policy, StreamGuard
from guard.wire.channel import Channel, Slot

PASSAGE = WORKS[0][400:900]
INNOCENT = random_prose(78, 40)


def run(index: Index, texts: list[str], *, is_json: bool, action: Action = Action.REDACT) -> tuple[Channel, list[Slot]]:
    channel = Channel(StreamGuard(index, Policy(action=action)), [], is_json=is_json)
    slots = [Slot(("choices", 0, "x"), {}, "x", text, is_json) for text in texts]
    for slot in slots:
        channel.feed(slot)
    channel.close()
    return channel, slots


def kept(slots: list[Slot]) -> list[str]:
    return ["".join(slot.kept) for slot in slots]


def split(text: str, where: list[int]) -> list[str]:
    at = [0, *sorted(w % (len(text) + 1) for w in where), len(text)]
    return [text[a:b] for a, b in pairwise(at)]


@given(st.lists(st.integers(0, 3000), max_size=15), st.booleans())
def test_every_slot_gets_its_own_text_back(index: Index, where: list[int], is_json: bool) -> None:
    text = json.dumps({"a": INNOCENT + WORKS[1][50:130] + "é😀"}) if is_json else INNOCENT + WORKS[1][50:130]
    texts = split(text, where)
    _, slots = run(index, texts, is_json=is_json)
    assert kept(slots) == texts
    assert all(slot.waiting == 0 for slot in slots)


@given(st.lists(st.integers(0, 3000), max_size=15), st.booleans())
def test_a_redaction_is_the_same_for_every_cut(index: Index, where: list[int], is_json: bool) -> None:
    value = ["1" + INNOCENT, PASSAGE[:250], PASSAGE[250:], INNOCENT, 1.5e3, None]
    text = json.dumps(value) if is_json else "\n".join(map(str, value))
    (_, [whole]), (channel, slots) = (
        run(index, [text], is_json=is_json),
        run(index, split(text, where), is_json=is_json),
    )
    (redacted,) = kept([whole])
    assert "".join(kept(slots)) == redacted
    assert redacted.count("[…]") == 1
    assert len(channel.matches) == 1
    if is_json:  # the run lies over two strings: structure and all else stay
        left = json.loads(redacted)
        assert [left[0], left[2], *left[4:]] == [value[0], "", *value[4:]]
        assert INNOCENT.endswith(left[3])


@pytest.mark.parametrize("is_json", [True, False])
def test_a_block_leaves_nothing_waiting(index: Index, is_json: bool) -> None:
    text = json.dumps([PASSAGE]) if is_json else PASSAGE
    channel, slots = run(index, split(text, list(range(0, 500, 7))), is_json=is_json, action=Action.BLOCK)
    assert channel.blocked
    assert all(slot.waiting == 0 for slot in slots)
    assert len("".join(kept(slots))) < 60


def test_half_an_escape_at_the_end_leaves_with_the_end(index: Index) -> None:
    _, slots = run(index, ['["a\\u00', "e"], is_json=True)
    assert kept(slots) == ['["a\\u00', "e"]


def test_a_marker_with_quotes_stays_valid_json(index: Index) -> None:
    channel = Channel(StreamGuard(index, Policy(action=Action.REDACT, marker='"…"')), [], is_json=True)
    slot = Slot(("choices", 0, "x"), {}, "x", json.dumps({"t": PASSAGE}), is_json=True)
    channel.feed(slot)
    channel.close()
    assert json.loads(*kept([slot]))["t"].endswith('"…"')
