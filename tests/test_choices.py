from __future__ import annotations

from typing import Any

from guard.wire.choices import Choices, choices_of, take_out

FIRST, SECOND, THIRD = ("choices", 0), ("choices", 1), ("choices", 2)


def test_choices_count_by_their_index_or_else_their_place() -> None:
    event = {"choices": [{"index": 4}, {}, {"index": 0}]}
    assert [key for key, _ in choices_of(event)] == [("choices", 4), SECOND, FIRST]
    assert list(choices_of({"choices": None})) == list(choices_of({})) == []


def test_an_answer_may_stop_once_all_are_over_and_one_was_blocked() -> None:
    choices = Choices(2)
    choices.over |= {FIRST, SECOND}
    assert not choices.may_stop  # nothing was blocked: the upstream ends it
    choices.blocked.add(SECOND)
    assert choices.may_stop
    choices.begun.add(THIRD)  # nobody asked for it, but it has begun
    assert not choices.may_stop


def test_untold_are_those_asked_for_or_begun_that_know_no_end() -> None:
    choices = Choices(2)
    choices.begun.add(THIRD)
    choices.told.add(FIRST)
    assert choices.untold == [SECOND, THIRD]


def test_when_the_answer_is_closed_every_choice_is_over() -> None:
    choices = Choices(1)
    assert not choices.is_over(FIRST)
    choices.closed = True
    assert choices.is_over(FIRST)
    assert choices.is_over(("choices", 99))


def test_choices_taken_out_leave_the_others_their_index() -> None:
    event: dict[str, Any] = {"choices": [{"a": 1}, {"b": 2}, {"index": 2}]}
    assert not take_out(event, {("choices", 9)})
    assert event == {"choices": [{"a": 1}, {"b": 2}, {"index": 2}]}
    assert take_out(event, {FIRST, THIRD})
    assert event == {"choices": [{"b": 2, "index": 1}]}
    assert not take_out({"id": "x"}, {FIRST})
