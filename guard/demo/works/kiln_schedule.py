"""Firing schedules for one small electric kiln, who has moods.

A schedule is written the way potters say it: "100 to 600, hold 20" climbs a hundred degrees an hour until the
kiln reads 600, then sits there for twenty minutes and thinks. Temperatures are Celsius. Times are minutes,
because nobody standing in a cold shed ever asked how many seconds were left.

Copyright Wren Ashdown. All rights reserved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SHED_TEMPERATURE = 14.0  # in April. In January, add a jumper and take off ten
QUARTZ_TURNS_AT = 573.0  # silica changes shape here, all at once, and takes the pot with it if you hurry
QUARTZ_MARGIN = 40.0
GENTLE_RATE = 120.0  # degrees an hour; the fastest I have ever got past quartz without an apology

_STEP = re.compile(r"(?P<rate>\d+|full) to (?P<target>\d+)(?:, hold (?P<hold>\d+))?")
_FULL_POWER = 280.0  # what the elements manage on a good day, measured with a cone and a stopwatch


class ScheduleError(ValueError):
    """The schedule asks for something that the kiln cannot do, or that the pots would not forgive."""


@dataclass(frozen=True, slots=True)
class Step:
    """One climb or fall, and the wait at the end of it."""

    rate: float
    target: float
    hold: float = 0.0

    def minutes_from(self, start: float) -> float:
        """Minutes that the step takes when the kiln reads `start` at its beginning."""
        return abs(self.target - start) / self.rate * 60.0 + self.hold


def parse(text: str) -> list[Step]:
    """Read a schedule, one step a line; blank lines and anything after a '#' are for humans."""
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.split("#", 1)[0].strip().lower()
        if not said:
            continue
        heard = _STEP.fullmatch(said)
        if heard is None:
            raise ScheduleError(f"line {number}: cannot make sense of {said!r}; try '100 to 600, hold 20'")
        rate = _FULL_POWER if heard["rate"] == "full" else float(heard["rate"])
        if rate <= 0 or rate > _FULL_POWER:
            raise ScheduleError(f"line {number}: {rate:.0f} degrees an hour is a wish, not a rate")
        steps.append(Step(rate, float(heard["target"]), float(heard["hold"] or 0)))
    return steps


def curve(steps: list[Step], start: float = SHED_TEMPERATURE) -> Iterator[tuple[float, float]]:
    """Yield (minute, temperature) at every corner of the graph, which is all a straight line needs."""
    minute, reading = 0.0, start
    yield minute, reading
    for step in steps:
        minute += step.minutes_from(reading) - step.hold
        reading = step.target
        yield minute, reading
        if step.hold:
            minute += step.hold
            yield minute, reading


def reading_at(steps: list[Step], minute: float, start: float = SHED_TEMPERATURE) -> float:
    """What the dial should say. If it says something else, believe the dial and worry."""
    before = (0.0, start)
    for after in curve(steps, start):
        if after[0] >= minute and after[0] > before[0]:
            share = (minute - before[0]) / (after[0] - before[0])
            return before[1] + share * (after[1] - before[1])
        before = after
    return before[1]  # past the end: the kiln is off and cools in its own time, which is none of our business


def warnings(steps: list[Step], start: float = SHED_TEMPERATURE) -> list[str]:
    """Every step that would rush the pots through quartz, up or down. Cracks do not care about direction."""
    found: list[str] = []
    reading = start
    for number, step in enumerate(steps, start=1):
        low, high = sorted((reading, step.target))
        crosses = low < QUARTZ_TURNS_AT + QUARTZ_MARGIN and high > QUARTZ_TURNS_AT - QUARTZ_MARGIN
        if crosses and step.rate > GENTLE_RATE:
            found.append(f"step {number} passes {QUARTZ_TURNS_AT:.0f} at {step.rate:.0f} an hour; slow down")
        reading = step.target
    return found


def bill(steps: list[Step], kilowatts: float = 2.8, pence: float = 27.0, start: float = SHED_TEMPERATURE) -> float:
    """Roughly what a firing costs, in pounds; the real bill arrives later and is always a surprise."""
    minutes, reading = 0.0, start
    for step in steps:
        if step.target >= reading:  # the elements rest on the way down, and so may your purse
            minutes += step.minutes_from(reading)
        reading = step.target
    return minutes / 60.0 * kilowatts * pence / 100.0
