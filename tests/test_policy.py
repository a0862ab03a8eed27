"""The policy: what it refuses, and its limits in an index's whole strides."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guard.errors import ConfigError, PolicyError
from guard.index.recipe import DEFAULT_RECIPE, Recipe
from guard.policy import AVAILABLE, Action, Limits, Policy

recipes = st.builds(lambda n, stride: Recipe(n, min(n, stride)), st.integers(8, 64), st.integers(1, 16))


def test_the_defaults_are_those_of_the_design() -> None:
    policy = Policy()
    assert (policy.threshold, policy.hold_after, policy.action, policy.marker) == (128, 36, Action.BLOCK, "[…]")
    assert policy.limits(DEFAULT_RECIPE) == Limits(hold_after=36, act_at=124)


def test_every_action_has_a_name_and_two_are_available() -> None:
    assert [str(action) for action in Action] == ["pass", "annotate", "redact", "rewrite", "block"]
    assert set(AVAILABLE) == {Action.BLOCK, Action.REDACT}


@pytest.mark.parametrize("action", sorted(set(Action) - set(AVAILABLE)))
def test_an_action_that_is_not_available_is_refused(action: Action) -> None:
    with pytest.raises(PolicyError, match=f"action {action.value} is not available .* choose block or redact"):
        Policy(action=action)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"hold_after": 128}, "hold_after 128 must be less than threshold 128"),
        ({"threshold": 30}, "hold_after 36 must be less than threshold 30"),
        ({"max_held": 127}, "max_held 127 must be at least threshold 128"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(policy: dict[str, int], message: str) -> None:
    with pytest.raises(PolicyError, match=message) as caught:
        Policy(**policy)  # type: ignore[arg-type]
    assert isinstance(caught.value, ConfigError)  # one kind of error for all settings


@given(recipes, st.integers(-5, 7))
def test_a_hold_point_within_the_first_gram_is_refused(recipe: Recipe, hold_after: int) -> None:
    with pytest.raises(PolicyError, match=f"below the index's gram of {recipe.gram_letters} letters: raise it"):
        Policy(hold_after=hold_after).limits(recipe)


@given(recipes, st.integers(8, 300), st.integers(1, 300))
def test_limits_keep_the_promise(recipe: Recipe, hold_after: int, more: int) -> None:
    """No true run of the threshold measures less than `act_at`, none of S letters less measures it; nothing is held
    later than the policy says; both are lengths that a run can have."""
    assume(hold_after >= recipe.gram_letters)
    policy = Policy(hold_after + more, hold_after, max_held=10_000)
    try:
        limits = policy.limits(recipe)
    except PolicyError as error:
        better = int(str(error).rsplit(" ", 1)[1])
        assert policy.threshold < better
        limits = Policy(better, hold_after, max_held=10_000).limits(recipe)
        assert limits.hold_after < limits.act_at
        return
    assert hold_after - recipe.stride < limits.hold_after <= hold_after
    assert limits.hold_after < limits.act_at == recipe.shortest_measured(policy.threshold)
    assert policy.threshold - 2 * recipe.stride < limits.act_at <= policy.threshold
    for length in (limits.hold_after, limits.act_at):
        assert (length - recipe.gram_letters) % recipe.stride == 0


def test_a_policy_is_a_value() -> None:
    assert Policy() == Policy()
    assert hash(Policy()) == hash(Policy())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().threshold = 1  # type: ignore[misc]
