from __future__ import annotations

from guard.wire.choices import Choices, choices_of

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
