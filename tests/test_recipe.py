"""The recipe: what it refuses, that it survives the header, and what its letter values are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_reference import random_numbers

from guard.errors import IndexFormatError
from guard.index.fold import FOLD_DIGEST
from guard.index.recipe import DEFAULT_RECIPE, Recipe, gram_table

recipes = st.builds(
    lambda gram_letters, stride, seed: Recipe(gram_letters, min(stride, gram_letters), seed),
    st.integers(8, 64),
    st.integers(1, 64),
    st.integers(0, 2**64 - 1),
)


def test_the_default_is_that_of_the_design() -> None:
    assert (DEFAULT_RECIPE.gram_letters, DEFAULT_RECIPE.stride) == (20, 4)
    assert DEFAULT_RECIPE.fold_digest == FOLD_DIGEST


@given(recipes)
def test_round_trip_through_json(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(("gram_letters", "stride"), [(7, 4), (65, 4), (20, 0), (20, 21), (0, 0), (-1, 1)])
def test_numbers_that_make_no_sense_are_refused(gram_letters: int, stride: int) -> None:
    with pytest.raises(IndexFormatError, match=f"gram_letters {gram_letters} and stride {stride}.*rebuild the index"):
        Recipe(gram_letters, stride)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold_digest": "0" * 16}, "built with fold 0000000000000000, this version folds with .* build it again"),
        ({"window": 5}, "not known to this version: .*'window'.*upgrade the guard"),
        ({"gram_letters": "20"}, "not known to this version"),
        ({"stride": None}, "not known to this version"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(IndexFormatError, match=message):
        Recipe.from_json({**DEFAULT_RECIPE.to_json(), **change})


@given(recipes)
def test_letter_values_are_those_of_splitmix(recipe: Recipe) -> None:
    table = gram_table(recipe).tolist()
    *values, multiplier = random_numbers(recipe.seed, 257)
    assert table[:256] == values
    assert table[256] == multiplier | 1
    assert table[257] == pow(table[256], recipe.gram_letters, 2**64)


def test_another_seed_gives_other_values() -> None:
    assert not set(gram_table(Recipe(seed=1)).tolist()) & set(gram_table(Recipe(seed=2)).tolist())


def test_whole_strides() -> None:
    assert [DEFAULT_RECIPE.whole_strides(letters) for letters in (0, 3, 4, 7, 8, 100, 103)] == [0, 0, 4, 4, 8, 100, 100]


def test_shortest_measured_is_that_of_the_design() -> None:
    assert DEFAULT_RECIPE.shortest_measured(128) == 124
    assert DEFAULT_RECIPE.shortest_measured(23) == 20  # n + S - 1: the shortest run that can't be missed
    assert Recipe(stride=1).shortest_measured(128) == 128


@given(recipes, st.integers(0, 400), st.integers(0, 63))
def test_shortest_measured_is_the_least_over_all_places_in_a_work(recipe: Recipe, more: int, offset: int) -> None:
    """Counted out: indexed grams begin at multiples of S; a run measures from its first one to the last one's end."""
    length = recipe.gram_letters + recipe.stride - 1 + more

    def measured(start: int) -> int:
        inside = [at for at in range(start, start + length - recipe.gram_letters + 1) if at % recipe.stride == 0]
        return inside[-1] + recipe.gram_letters - inside[0]

    assert min(map(measured, range(recipe.stride))) == recipe.shortest_measured(length) <= measured(offset) <= length
