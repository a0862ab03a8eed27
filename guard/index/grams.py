"""Fingerprints of a work's grams, and the scanner that looks up a text's grams while the text streams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guard.index import kernels
from guard.index.bloom import BloomFilter
from guard.index.fold import FOLD_TABLE, MAX_LETTERS_PER_CODE_POINT, encode
from guard.index.recipe import Recipe, gram_table


def fingerprints(letters: NDArray[np.uint8], recipe: Recipe) -> NDArray[np.uint64]:
    """Fingerprints of the grams at letters 0, S, 2·S, …; empty if the work is shorter than a gram."""
    grams = max(0, (len(letters) - recipe.gram_letters) // recipe.stride + 1)
    out = np.empty(grams, dtype=np.uint64)
    kernels.hash_grams(letters, gram_table(recipe), recipe.gram_letters, recipe.stride, out)
    return out


class GramScanner:
    """Looks up every gram of a text, delta by delta. One for many streams: what differs between streams is the
    `state` that `start` gives. It has one scratch space, so it serves one thread.

    After a `scan`, `hits[:found]` and `positions` describe the delta (see `kernels.scan`) until the next one.
    """

    __slots__ = ("_arguments", "hits", "positions", "recipe")

    # Longer deltas are cut: the scratch space is bounded, and cuts change nothing.
    MAX_CODE_POINTS = 4096

    def __init__(self, bloom: BloomFilter, recipe: Recipe) -> None:
        room = self.MAX_CODE_POINTS * MAX_LETTERS_PER_CODE_POINT
        self.recipe = recipe
        self.positions = np.zeros(room, dtype=np.int64)
        self.hits = np.zeros((room, 3), dtype=np.int64)
        fixed = (FOLD_TABLE, gram_table(recipe), bloom.words, bloom.design.probes, recipe.gram_letters)
        self._arguments = (*fixed, self.positions, self.hits)

    def start(self) -> NDArray[np.int64]:
        return np.zeros(kernels.RING + self.recipe.gram_letters, dtype=np.int64)

    def scan(self, delta: str, state: NDArray[np.int64]) -> int:
        """Number of hits in a delta of at most MAX_CODE_POINTS code points."""
        return int(kernels.scan(encode(delta), state, *self._arguments))
