"""The demo's verdict: what was recited, what of it got out, and how that is told."""

from __future__ import annotations

import re

import pytest

from guard.demo import memory
from guard.demo.client import Heard
from guard.demo.commentary import on_the_delay, on_the_guard
from guard.demo.screen import Ink
from guard.demo.verdict import Recited, judge, recited_in

WORKS = memory.load_works()
STORY, POEM, CODE = WORKS
MARKER = "[…]"


def planted(work: str, letters: int) -> str:
    """The end of a work's first stretch of so many letters, without punctuation, so that no letter is in doubt."""
    return "".join(re.findall(r"[a-z]", work.lower()))[:letters]


@pytest.mark.parametrize("before", range(0, 70, 7))
def test_runs_are_found_to_the_letter(before: int) -> None:
    innocent, passage = "q" * before + " ", planted(STORY.body, 128)
    text = f"{innocent}{passage} zzz"
    assert recited_in(text, [work.body for work in WORKS]) == [Recited(len(innocent), len(innocent) + 128, 128)]
    assert recited_in(text.replace(passage, passage[:127]), [work.body for work in WORKS]) == []


def test_two_runs_are_told_apart() -> None:
    one, two = planted(STORY.body, 150), planted(POEM.body, 140)
    runs = recited_in(f"{one} zzz {two}", [work.body for work in WORKS])
    assert [run.letters for run in runs] == [150, 140]


ORIGINAL = "Gladly: " + "a" * 100 + "b" * 100 + ". Voilà."
RUNS = [Recited(8, 208, 200)]


@pytest.mark.parametrize(
    ("guarded", "blocked", "left", "faithful"),
    [
        (f"Gladly: {'a' * 36}{MARKER}. Voilà.", False, 36, True),
        (f"Gladly: {'a' * 36}{MARKER}là.", False, 36, True),  # up to three letters more may go
        (f"Gladly: {'a' * 36}{MARKER}", False, 0, False),  # but not four
        (f"Gladly: {'a' * 90}{MARKER}. Voilà.", False, 90, True),
        (f"Gladly: {'a' * 36}", True, 36, True),
        (f"Gladly: {'a' * 36}", False, 0, False),
        ("Gl", True, 0, False),  # blocked before anything was recited
        (f"Sadly: {MARKER}. Voilà.", False, 0, False),
        (f"Gladly{MARKER}: Voilà.", False, 0, False),
        (ORIGINAL, False, 200, True),
    ],
)
def test_the_verdict_compares_the_answers(guarded: str, blocked: bool, left: int, faithful: bool) -> None:
    verdict = judge(ORIGINAL, RUNS, guarded, MARKER, blocked)
    assert (verdict.letters_left, verdict.faithful) == (left, faithful)
    assert verdict.kept == (faithful and left <= 40)
    for stretch in (each for run in verdict.left for each in run):
        assert set(guarded[stretch.start : stretch.end]) <= {"a", "b"}


def test_a_block_of_an_innocent_answer_is_no_success() -> None:
    assert not judge("All is well.", [], "All is", MARKER, blocked=True).kept
    assert judge("All is well.", [], "All is well.", MARKER, blocked=False).kept


HEARD = Heard("", "stop", 0.01, 1.0)


@pytest.mark.parametrize(
    ("guarded", "blocked", "told", "ink"),
    [
        (f"Gladly: {'a' * 36}{MARKER}. Voilà.", False, "36 of the 200 letters got out, 164 were withheld", Ink.GOOD),
        (f"Gladly: {'a' * 36}", True, "36 of the 200 letters got out, then came finish_reason", Ink.GOOD),
        (f"Gladly: {'a' * 41}{MARKER}. Voilà.", False, "41 letters of one run got out; 40 are the most", Ink.BAD),
        ("Sadly.", False, "should be the same, and they are not", Ink.BAD),
    ],
)
def test_the_commentary_tells_success_from_failure(guarded: str, blocked: bool, told: str, ink: Ink) -> None:
    remark = on_the_guard(judge(ORIGINAL, RUNS, guarded, MARKER, blocked), blocked)
    assert told in remark.text
    assert remark.ink is ink


def test_a_silent_answer_has_no_first_text() -> None:
    assert (
        on_the_delay(HEARD, HEARD).text == "  first text after 10 ms (alone 10), the whole answer 1.00 s (alone 1.00)"
    )
    assert "first text" not in on_the_delay(HEARD, Heard("", "stop", None, 1.0)).text
    assert "the answer ended after 0.50 s" in on_the_delay(HEARD, Heard("", "content_filter", None, 0.5)).text
