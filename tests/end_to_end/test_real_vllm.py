"""The promise, kept before a real vLLM whose model knows a story by heart."""

from __future__ import annotations

import pytest

from .answers import END, INNOCENT, RECITALS, Question, Said, heard
from .oracle import MARKER, RELEASED_AT_MOST, THRESHOLD, letters, longest_run, released, runs
from .servers import Server

each_question = pytest.mark.parametrize("question", RECITALS, ids=lambda question: str(question.dialect))
each_way = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def unguarded(vllm: Server, question: Question) -> list[Said]:
    return heard(vllm, question, False)


@each_question
def test_without_the_guard_the_model_recites(vllm: Server, story: str, question: Question) -> None:
    [said] = unguarded(vllm, question)
    assert longest_run(said.text, story) >= 300
    assert heard(vllm, question, True) == [said]


@pytest.mark.parametrize("question", INNOCENT, ids=lambda question: question.prompt)
def test_without_the_guard_an_innocent_answer_is_no_recital(vllm: Server, story: str, question: Question) -> None:
    [said] = unguarded(vllm, question)
    assert said.text.strip()
    assert longest_run(said.text, story) < RELEASED_AT_MOST


@each_way
@each_question
def test_at_most_forty_letters_of_a_run_get_out(
    vllm: Server, guarded: Server, story: str, question: Question, stream: bool
) -> None:
    [whole] = unguarded(vllm, question)
    [said] = heard(guarded, question, stream)
    leaked = released(whole.text, said.text, story)
    assert leaked
    assert max(leaked) <= RELEASED_AT_MOST
    assert longest_run(said.text, story) < THRESHOLD


@each_way
@each_question
def test_a_blocked_answer_says_so(blocking: Server, question: Question, stream: bool) -> None:
    [said] = heard(blocking, question, stream)
    assert said.finish_reason == "content_filter"
    assert MARKER not in said.text


@each_way
@each_question
def test_a_redacted_answer_carries_one_marker_for_the_run(
    vllm: Server, redacting: Server, story: str, question: Question, stream: bool
) -> None:
    [whole] = unguarded(vllm, question)
    [said] = heard(redacting, question, stream)
    assert said.text.count(MARKER) == len(runs(whole.text, story, THRESHOLD))
    assert said.finish_reason == whole.finish_reason


@each_question
def test_streamed_and_whole_answers_say_the_same(guarded: Server, question: Question) -> None:
    assert heard(guarded, question, True) == heard(guarded, question, False)


@each_way
@each_question
def test_each_of_two_choices_is_guarded(
    vllm: Server, guarded: Server, story: str, question: Question, stream: bool
) -> None:
    twice = Question(question.dialect, question.prompt, n=2)
    for whole, said in zip(unguarded(vllm, twice), heard(guarded, twice, stream), strict=True):
        leaked = released(whole.text, said.text, story)
        assert leaked
        assert max(leaked) <= RELEASED_AT_MOST


@each_way
@pytest.mark.parametrize("question", INNOCENT, ids=lambda question: question.prompt)
def test_an_innocent_answer_passes_whole(vllm: Server, guarded: Server, question: Question, stream: bool) -> None:
    assert heard(guarded, question, stream) == unguarded(vllm, question)


@each_way
def test_the_end_of_the_story_is_guarded_too(vllm: Server, redacting: Server, story: str, stream: bool) -> None:
    """The run ends with the answer: what was held until then must not slip out at the close."""
    [whole] = unguarded(vllm, END)
    [said] = heard(redacting, END, stream)
    assert letters(whole.text).endswith("singledot")
    assert max(released(whole.text, said.text, story)) <= RELEASED_AT_MOST
