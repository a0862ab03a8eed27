"""The lines under each answer: what it gave away, what the guard did about it, and how long that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guard.demo.client import Heard
from guard.demo.screen import Ink
from guard.demo.verdict import PROMISED_LETTERS, Recited, Verdict


@dataclass(frozen=True, slots=True)
class Remark:
    """A line of commentary, and the ink it's written in."""

    text: str
    ink: Ink


def on_the_model(runs: Sequence[Recited]) -> Remark:
    """About the answer without the guard."""
    if not runs:
        return Remark("✓ nothing of a protected work in it", Ink.GOOD)
    where = "one run" if len(runs) == 1 else f"{len(runs)} runs"
    return Remark(f"✗ {sum(run.letters for run in runs)} letters of a protected work recited, in {where}", Ink.BAD)


def on_the_guard(verdict: Verdict, blocked: bool) -> Remark:
    """About the answer with the guard."""
    if not verdict.faithful:
        return Remark("✗ apart from what was withheld the two answers should be the same, and they are not", Ink.BAD)
    if not verdict.kept:
        most = verdict.most_of_a_run
        return Remark(f"✗ {most} letters of one run got out; {PROMISED_LETTERS} are the most that may", Ink.BAD)
    if not verdict.recited:
        return Remark("✓ the same answer, character for character", Ink.GOOD)
    told = f"✓ {verdict.letters_left} of the {verdict.recited} letters got out"
    if blocked:
        return Remark(f"{told}, then came finish_reason: content_filter", Ink.GOOD)
    return Remark(f"{told}, {verdict.recited - verdict.letters_left} were withheld", Ink.GOOD)


def on_the_delay(alone: Heard, guarded: Heard) -> Remark:
    """About the guard's pace against the model's."""
    if guarded.blocked:
        told = f"the answer ended after {guarded.all_of_it:.2f} s; alone the model went on for {alone.all_of_it:.2f} s"
        return Remark(f"  {told}", Ink.DIM)
    whole = f"the whole answer {guarded.all_of_it:.2f} s (alone {alone.all_of_it:.2f})"
    if alone.first_text is None or guarded.first_text is None:
        return Remark(f"  {whole}", Ink.DIM)
    first = f"first text after {guarded.first_text * 1000:.0f} ms (alone {alone.first_text * 1000:.0f})"
    return Remark(f"  {first}, {whole}", Ink.DIM)
