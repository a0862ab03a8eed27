"""Looking for a text in an index, at every position, as the guard will."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guard.index.file import Index
from guard.index.grams import fingerprints


@dataclass(frozen=True, slots=True)
class Found:
    """Of a text of `letters`, how many lie in indexed grams, and in one stretch of them that leaves no more letters at
    either end than an index with a stride can miss (`whole`).
    """

    letters: int
    covered: int
    whole: bool
    gram_letters: int

    @property
    def share(self) -> float:
        return self.covered / self.letters if self.letters else 0.0


def find(index: Index, letters: NDArray[np.uint8]) -> Found:
    """What an index knows of a text: all of it if the text, or a text that contains it, was indexed."""
    recipe = index.recipe
    if len(letters) < recipe.gram_letters:
        return Found(len(letters), 0, False, recipe.gram_letters)
    # The depth of a letter is the number of indexed grams that cover it: +1 where one begins, -1 behind its end.
    depth = np.zeros(len(letters) + 1, dtype=np.int32)
    for phase in range(min(recipe.stride, len(letters) - recipe.gram_letters + 1)):
        known = index.bloom.contains(fingerprints(letters[phase:], recipe))
        starts = phase + recipe.stride * np.flatnonzero(known)
        depth[starts] += 1
        depth[starts + recipe.gram_letters] -= 1
    covered = np.flatnonzero(np.cumsum(depth[:-1], dtype=np.int32))
    if len(covered) == 0:
        return Found(len(letters), 0, False, recipe.gram_letters)
    first, last = int(covered[0]), int(covered[-1])
    in_one = last - first + 1 == len(covered)
    whole = in_one and first < recipe.stride and len(letters) - 1 - last < recipe.stride
    return Found(len(letters), len(covered), whole, recipe.gram_letters)
