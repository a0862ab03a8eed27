"""From hits to runs: hits a stride apart chain, others don't, and a run measures what the recipe says."""

from __future__ import annotations

import pytest
from conftest import WORKS
from hypothesis import given
from hypothesis import strategies as st

from guard import Index, Kind, Match
from guard.index.fold import fold
from guard.index.recipe import DEFAULT_RECIPE, Recipe
from guard.match import Run, RunTracker

NOT_IN_THE_WORKS = "zzqjx" * 5


def spans(tracker: RunTracker) -> list[tuple[int, int]]:
    return [(run.first, run.last) for run in tracker]


def test_hits_a_stride_apart_are_one_run() -> None:
    tracker = RunTracker(DEFAULT_RECIPE)
    runs = [tracker.hit(end, start) for end, start in ((20, 5), (24, 9), (28, 13))]
    assert runs[0] is runs[1] is runs[2]
    assert (runs[0].first, runs[0].last, runs[0].letters, runs[0].start) == (0, 28, 28, 5)
    assert len(tracker) == 1
    assert tracker.end_of(runs[0]) == 32


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8])
def test_hits_at_another_distance_are_two_runs(step: int) -> None:
    tracker = RunTracker(DEFAULT_RECIPE)
    tracker.hit(20, 0)
    tracker.hit(20 + step, step)
    assert spans(tracker) == [(0, 20), (step, 20 + step)]


def test_runs_of_different_residues_live_side_by_side() -> None:
    tracker = RunTracker(DEFAULT_RECIPE)
    for end in range(20, 32):
        tracker.hit(end, end)
    assert spans(tracker) == [(0, 28), (1, 29), (2, 30), (3, 31)]


def test_the_first_to_end_is_the_one_that_was_hit_longest_ago() -> None:
    tracker = RunTracker(DEFAULT_RECIPE)
    long, short = tracker.hit(20, 0), tracker.hit(22, 2)
    assert tracker.first_to_end() is long
    tracker.hit(24, 4)
    assert tracker.first_to_end() is short
    tracker.end(short)
    assert list(tracker) == [long]
    tracker.clear()
    assert len(tracker) == 0


def test_runs_of_the_same_numbers_are_not_the_same_run() -> None:
    """`end` removes the run itself, not one that looks like it."""
    first, second = Run(0, 20, 0, []), Run(0, 20, 0, [])
    assert first != second


def test_slide_forgets_the_oldest_letters() -> None:
    run = Run(0, 128, 3, [40, 44, 48])
    run.slide(4)
    assert (run.first, run.letters, run.boundaries) == (4, 124, [44, 48])


def test_a_match_is_a_copy_unless_told_otherwise() -> None:
    assert Match(1, 2, 3) == Match(1, 2, 3, Kind.COPY)
    assert Kind.COPY.value == "copy"


@given(st.sets(st.integers(20, 80)), st.sampled_from([1, 3, 4]))
def test_runs_are_the_maximal_chains_of_hits(ends: set[int], stride: int) -> None:
    """Ended as a stream ends them: once the letter at which a hit would continue a run has come without one."""
    tracker, done = RunTracker(Recipe(stride=stride)), []
    for end in range(20, 90):
        if end in ends:
            tracker.hit(end, end)
        while len(tracker) and tracker.end_of(run := tracker.first_to_end()) <= end:
            done.append((run.first + 20, run.last))
            tracker.end(run)
    chains = []
    for first in sorted(ends):
        if first - stride not in ends:
            last = first
            while last + stride in ends:
                last += stride
            chains.append((first, last))
    assert sorted(done) == chains


@given(
    work=st.integers(0, 1),
    start=st.integers(0, 3000),
    length=st.integers(23, 300),
    before=st.integers(0, 60),
)
def test_a_run_measures_at_least_what_the_recipe_says(
    index: Index, work: int, start: int, length: int, before: int
) -> None:
    letters = fold(WORKS[work]).tobytes().decode("ascii")
    excerpt = letters[start % (len(letters) - length) :][:length]
    scanner, tracker = index.scanner, RunTracker(index.recipe)
    found = scanner.scan(NOT_IN_THE_WORKS[:before] + excerpt + NOT_IN_THE_WORKS, scanner.start())
    hits = scanner.hits[:found].tolist()
    longest = max(tracker.hit(end, place).letters for end, place, _ in hits)
    assert longest >= index.recipe.shortest_measured(length)
