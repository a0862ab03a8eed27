"""The six laws of the stream (sketch honesty stands in test_bloom), each over whole, one-by-one and random cuts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import WORKS, make_index, random_prose
from exact_oracle import Oracle, oracle_fold
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import Action, Block, Index, Match, Policy, Redact, Release, StreamGuard, Withhold

CASES = int(os.environ.get("GUARD_LAW_CASES", "1500"))
INNOCENT = random_prose(99, 300)
PROMISED_LETTERS = 40


@dataclass
class Outcome:
    """What became of a text: for each code point whether it left; the output; what was reported."""

    released: list[bool]
    output: str
    matches: list[Match]
    blocked: Match | None
    most_held_letters: int
    waited: bool


def run(index: Index, policy: Policy, deltas: list[str]) -> Outcome:
    guard = StreamGuard(index, policy)
    outcome = Outcome([], "", [], None, 0, False)
    text = "".join(deltas)
    arrived = 0
    for delta in [*deltas, None]:
        events = guard.close() if delta is None else guard.feed(delta)
        arrived += len(delta or "")
        for event in events:
            match event:
                case Release(piece):
                    assert piece == text[len(outcome.released) :][: len(piece)]
                    outcome.released += [True] * len(piece)
                    outcome.output += piece
                case Withhold(count, marker):
                    outcome.released += [False] * count
                    outcome.output += marker
                case Redact(match):
                    outcome.matches.append(match)
                case Block(match):
                    outcome.blocked = match
                    outcome.released += [False] * (len(text) - len(outcome.released))
        held = text[len(outcome.released) : arrived]
        outcome.most_held_letters = max(outcome.most_held_letters, len(oracle_fold(held)[0]))
        outcome.waited |= bool(held)
    assert len(outcome.released) == len(text)
    return outcome


def disguise(text: str, how: int) -> str:
    return (
        text,
        text.upper(),
        " ".join(text),
        text.replace(" ", "\u200b**\n"),
        text.translate(str.maketrans("aeiost", "431057")),
        text.translate(str.maketrans("aeo", "áëö")),
        text.replace("f", "ﬁ"),  # a code point of two letters, one too many
    )[how]


pieces = st.one_of(
    st.tuples(st.just(-1), st.integers(0, 1500), st.integers(0, 260), st.just(0)),
    st.tuples(st.integers(0, 1), st.integers(0, 3000), st.integers(15, 420), st.integers(0, 6)),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = []
    for source, start, length, how in draw(st.lists(pieces, max_size=6)):
        work = INNOCENT if source < 0 else WORKS[source]
        parts.append(disguise(work[start % len(work) :][:length], how))
    return draw(st.sampled_from(["", " ", "\n\n", "é "])).join(parts)


def cuts(text: str, where: list[int]) -> list[list[str]]:
    at = [0, *sorted({w % (len(text) + 1) for w in where}), len(text)]
    return [[text], list(text), [text[a:b] for a, b in pairwise(at)]]


where = st.lists(st.integers(0, 5000), max_size=20)
policies = st.sampled_from(
    [
        Policy(action=Action.REDACT),
        Policy(action=Action.BLOCK),
        Policy(threshold=64, hold_after=20, action=Action.REDACT, marker="#", max_held=90),
    ]
)


@settings(max_examples=CASES)
@given(text=texts(), where=where, policy=policies)
def test_the_laws(index: Index, oracle: Oracle, text: str, where: list[int], policy: Policy) -> None:
    outcomes = [run(index, policy, deltas) for deltas in cuts(text, where)]
    whole = outcomes[0]
    for outcome in outcomes[1:]:  # 1, chunk invariance
        assert (outcome.output, outcome.released, outcome.matches, outcome.blocked) == (
            whole.output,
            whole.released,
            whole.matches,
            whole.blocked,
        )
    promised = policy.hold_after + 4
    assert oracle.worst_leak(text, whole.released, policy.threshold) <= promised  # 2, no leak
    if not oracle.runs(text, policy.threshold - 4) and policy.max_held > 1000:  # 3, transparency
        assert whole.output == text
        assert not whole.matches
        assert whole.blocked is None
    if whole.blocked is None:  # 4, conservation
        inside = [False] * len(text)
        for match in whole.matches:
            assert match.start < match.end
            inside[match.start : match.end] = [True] * (match.end - match.start)
        assert all(left or within for left, within in zip(whole.released, inside, strict=True))
        assert all(a.end <= b.end for a, b in pairwise(whole.matches))
        assert whole.output.count(policy.marker) == len(whole.matches)
    for outcome in outcomes:  # 5, bounded hold, and none without a run
        assert outcome.most_held_letters <= policy.threshold
        if not oracle.runs(text, policy.hold_after):
            assert not outcome.waited


def test_every_letter_past_the_hold_point_is_withheld(index: Index, works: tuple[str, ...]) -> None:
    text = works[0][:2000]
    outcome = run(index, Policy(action=Action.REDACT), [text])
    assert outcome.output.endswith("[…]")
    assert len(oracle_fold(outcome.output)[0]) <= PROMISED_LETTERS
    assert outcome.matches == [Match(0, 2000, outcome.matches[0].letters)]


def test_text_flows_again_after_a_run(index: Index, works: tuple[str, ...]) -> None:
    text = f"Once more: {works[0][300:900]} — that was all. {INNOCENT[:200]}"
    outcome = run(index, Policy(action=Action.REDACT), list(text))
    assert outcome.output.startswith("Once more: ")
    assert outcome.output.count("[…]") == 1
    assert outcome.output.endswith(f"was all. {INNOCENT[:200]}")  # up to 3 letters more are withheld


def test_block_ends_the_text(index: Index, works: tuple[str, ...]) -> None:
    guard = StreamGuard(index, Policy())
    events = guard.feed(works[0][:1000])
    assert isinstance(events[-1], Block)
    assert guard.blocked
    assert guard.feed("more") == () == guard.close()


def test_a_run_of_digits_does_not_count(index: Index, works: tuple[str, ...]) -> None:
    table = " 1901 1902 " * 39
    assert table in works[2]
    outcome = run(index, Policy(), list(table))
    assert outcome.output == table


def test_a_run_of_digits_that_goes_on_in_words_counts(index: Index, works: tuple[str, ...]) -> None:
    start = works[2].index("1901")
    text = works[2][start : start + 1200]
    for deltas in cuts(text, [5, 77, 400, 409]):
        outcome = run(index, Policy(action=Action.REDACT), deltas)
        words = text.rindex("1902") + 4
        assert (
            len(
                oracle_fold("".join(c for c, left in zip(text[words:], outcome.released[words:], strict=True) if left))[
                    0
                ]
            )
            <= 40
        )
        assert outcome.released[: words - 200] == [True] * (words - 200)


@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_held_noise_is_bounded(index: Index, works: tuple[str, ...], action: Action) -> None:
    start = works[0][:60]
    text = start + "\n" * 10_000 + INNOCENT[:50]
    outcomes = [run(index, Policy(action=action), deltas) for deltas in cuts(text, [100, 4000, 4200, 9000])]
    assert len({outcome.output for outcome in outcomes}) == 1
    assert outcomes[0].output.count("\n") < 10_000
    assert (outcomes[0].blocked is not None) == (action is Action.BLOCK)


def test_clean_text_is_returned_as_the_very_object(index: Index) -> None:
    guard = StreamGuard(index, Policy())
    (event,) = guard.feed(INNOCENT)
    assert isinstance(event, Release)
    assert event.text is INNOCENT


def test_runs_of_two_works_that_overlap_are_one_match(tmp_path: Path) -> None:
    first, second = random_prose(5, 120), random_prose(6, 120)
    tail = first[-333:]  # ends the first work and begins the second
    overlapping = make_index(tmp_path, [first, tail + second])
    text = first + second
    for deltas in cuts(text, [100, 333, 500, 501, 777]):
        outcome = run(overlapping, Policy(action=Action.REDACT), deltas)
        (match,) = outcome.matches
        letters = len(oracle_fold(text)[0])
        assert letters - 6 <= match.letters <= letters
        assert match.start <= 6
        assert match.end == len(text.rstrip(" .,"))
        assert outcome.output.count("[…]") == 1


def test_a_second_run_of_digits_inside_a_withheld_one_is_withheld(tmp_path: Path) -> None:
    prose, years = random_prose(7, 60), " ".join(str(year) for year in range(1900, 1990))
    overlapping = make_index(tmp_path, [prose + " " + years, "x" + years + " and so on"])
    outcomes = [run(overlapping, Policy(action=Action.REDACT), d) for d in cuts(f"{prose} {years} and so on", [70, 99])]
    assert len({outcome.output for outcome in outcomes}) == 1
    assert len(oracle_fold(outcomes[0].output)[0]) <= PROMISED_LETTERS
