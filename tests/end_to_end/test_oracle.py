from __future__ import annotations

import pytest

from .oracle import MARKER, Occurrence, letters, longest_run, released, runs

WORK = "abcdefghij" + "".join(f"{n:03}" for n in range(300))
RUN = WORK[:200]


def test_letters_keep_no_case_space_or_marks() -> None:
    assert letters("Ärger, **ÉTÉ** 9!") == "ärgerété9"


def test_runs_are_maximal_and_in_order() -> None:
    assert runs(f"zz {RUN} yy {RUN[:130]}", WORK, 128) == [Occurrence(2, 202), Occurrence(204, 334)]
    assert runs(RUN[:127] + "!!zz", WORK, 128) == []


def test_longest_run() -> None:
    assert longest_run(f"zz{RUN[:50]}zz{RUN[60:90]}", WORK) == 50


@pytest.mark.parametrize(
    ("guarded", "expected"),
    [
        (f"so: {RUN[:40]}{MARKER} so", [40]),
        (f"so: {RUN[:40]}", [40]),
        (f"so: {RUN[:40]}{MARKER}{RUN[-7:]} so", [47]),
        (f"so: {RUN} so", [200]),
        ("", [0]),
    ],
)
def test_released_counts_within_the_occurrence(guarded: str, expected: list[int]) -> None:
    assert released(f"so: {RUN} so", guarded, WORK) == expected


def test_released_refuses_a_text_the_model_did_not_write() -> None:
    with pytest.raises(AssertionError, match="other"):
        released(f"so: {RUN}", f"so: {MARKER}other", WORK)
