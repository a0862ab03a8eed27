"""Grams: what of a work is indexed, and that no run of n + S - 1 letters escapes."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from conftest import WORKS, random_prose
from hypothesis import given
from hypothesis import strategies as st
from kernel_reference import fingerprint

from guard.index.bloom import BloomFilter
from guard.index.fold import fold
from guard.index.grams import GramScanner, fingerprints
from guard.index.recipe import DEFAULT_RECIPE, Recipe

RECIPES = [DEFAULT_RECIPE, Recipe(stride=1), Recipe(gram_letters=8, stride=8), Recipe(gram_letters=33, stride=7)]
each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"n={r.gram_letters},S={r.stride}")


WORK_LETTERS = fold(WORKS[0]).tobytes().decode("ascii")


@functools.cache
def scanner_of_the_first_work(recipe: Recipe) -> GramScanner:
    prints = fingerprints(fold(WORK_LETTERS), recipe)
    bloom = BloomFilter.for_capacity(len(prints), 1e-4)
    bloom.add(prints)
    bloom.words.setflags(write=False)  # of the type that the kernels are compiled for
    return GramScanner(bloom, recipe)


@each_recipe
@given(text=st.text(max_size=100))
def test_fingerprints_are_those_of_every_stride_th_gram(recipe: Recipe, text: str) -> None:
    letters = fold(text).tolist()
    length = recipe.gram_letters
    grams = [letters[at : at + length] for at in range(0, len(letters) - length + 1, recipe.stride)]
    assert fingerprints(fold(text), recipe).tolist() == [fingerprint(gram, recipe) for gram in grams]


@pytest.mark.parametrize(("letters", "grams"), [(0, 0), (19, 0), (20, 1), (23, 1), (24, 2), (128, 28)])
def test_number_of_grams(letters: int, grams: int) -> None:
    assert fingerprints(np.zeros(letters, dtype=np.uint8), DEFAULT_RECIPE).shape == (grams,)


@each_recipe
def test_every_window_of_a_work_holds_an_indexed_gram(recipe: Recipe) -> None:
    letters = fold(random_prose(11, 300))
    indexed = set(fingerprints(letters, recipe).tolist())
    every = fingerprints(letters, Recipe(recipe.gram_letters, 1, recipe.seed)).tolist()
    known = np.array([value in indexed for value in every])
    shortest = recipe.gram_letters + recipe.stride - 1
    for start in range(len(letters) - shortest + 1):
        assert known[start : start + recipe.stride].any()
    if recipe.stride > 1:  # and no shorter one need hold any: the bound is tight
        assert not all(known[start : start + recipe.stride - 1].any() for start in range(len(every) - recipe.stride))


@each_recipe
@given(start=st.integers(0, 3000), more=st.integers(0, 200))
def test_a_scan_hits_in_every_excerpt(recipe: Recipe, start: int, more: int) -> None:
    scanner = scanner_of_the_first_work(recipe)
    length = recipe.gram_letters + recipe.stride - 1 + more
    excerpt = WORK_LETTERS[start % (len(WORK_LETTERS) - length) :][:length]
    found = scanner.scan(excerpt, scanner.start())
    ends = set(scanner.hits[:found, 0].tolist())
    firsts = range(recipe.gram_letters, recipe.gram_letters + recipe.stride)
    assert any(ends.issuperset(range(first, length + 1, recipe.stride)) for first in firsts)


def test_grams_of_a_seed_are_not_those_of_another() -> None:
    letters = fold(WORKS[0])
    first, second = fingerprints(letters, DEFAULT_RECIPE), fingerprints(letters, Recipe(seed=1))
    assert not np.intersect1d(first, second).size


def test_fingerprints_of_different_grams_differ() -> None:
    """64 bits: among a hundred thousand grams no two should meet, and their halves are evenly spread."""
    letters = np.random.default_rng(1).integers(97, 123, 400_000).astype(np.uint8)
    values = fingerprints(letters, DEFAULT_RECIPE)
    assert len(np.unique(values)) == len(values)
    for shift in (0, 9, 32, 55):
        counts = np.bincount(((values >> np.uint64(shift)) & np.uint64(511)).astype(np.int64), minlength=512)
        chi_square = ((counts - len(values) / 512) ** 2).sum() / (len(values) / 512)
        assert 512 - 5 * 32 < chi_square < 512 + 5 * 32
