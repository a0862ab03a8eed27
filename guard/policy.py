"""The policy: what counts as a run, how much of it may leave, and what happens then."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from guard.errors import PolicyError
from guard.index.recipe import Recipe


class Action(enum.StrEnum):
    """What is done with a run of the threshold's length. ANNOTATE and REWRITE are names for what comes later."""

    PASS = "pass"
    ANNOTATE = "annotate"
    REDACT = "redact"
    REWRITE = "rewrite"
    BLOCK = "block"


AVAILABLE: Final = (Action.BLOCK, Action.REDACT)


@dataclass(frozen=True, slots=True)
class Policy:
    """`threshold`: letters of a run that is acted on. `hold_after`: letters of a run that may leave before the rest is
    held. `marker`: stands in for a redacted run. `max_held`: code points held for one channel; past them the action
    applies.

    Raises PolicyError for an action that isn't available yet and for numbers that contradict each other.
    """

    threshold: int = 128
    hold_after: int = 36
    action: Action = Action.BLOCK
    marker: str = "[…]"
    max_held: int = 4096

    def __post_init__(self) -> None:
        if self.action not in AVAILABLE:
            names = " or ".join(AVAILABLE)
            raise PolicyError(f"action {self.action!s} is not available in this version: choose {names}")
        if self.hold_after >= self.threshold:
            raise PolicyError(
                f"hold_after {self.hold_after} must be less than threshold {self.threshold}: "
                "letters that have left can't be withheld"
            )
        if self.max_held < self.threshold:
            raise PolicyError(f"max_held {self.max_held} must be at least threshold {self.threshold}")

    def limits(self, recipe: Recipe) -> Limits:
        """The policy in whole strides of an index. Raises PolicyError where the index can't see runs that short."""
        floor = recipe.gram_letters
        if self.hold_after < floor:
            raise PolicyError(f"hold_after {self.hold_after} is below the index's gram of {floor} letters: raise it")
        hold_after = floor + recipe.whole_strides(self.hold_after - floor)
        act_at = recipe.shortest_measured(self.threshold)
        if act_at <= hold_after:
            raise PolicyError(
                f"threshold {self.threshold} is too close to hold_after {self.hold_after} for an index of stride "
                f"{recipe.stride}: make it at least {hold_after + 2 * recipe.stride}"
            )
        return Limits(hold_after, act_at)


@dataclass(frozen=True, slots=True)
class Limits:
    """Measured lengths in letters: text is held from `hold_after` on, and acted on at `act_at`, the least that a true
    run of the threshold's length can measure.
    """

    hold_after: int
    act_at: int
