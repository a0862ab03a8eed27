"""The recipe: every parameter that gives a fingerprint its meaning. Builder and reader can't drift apart, because the
reader takes it from the index and has no setting of its own for any of them.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import IndexFormatError
from guard.index.fold import FOLD_DIGEST


@dataclass(frozen=True, slots=True)
class Recipe:
    """`gram_letters` (n) letters make a gram; every `stride`-th (S) gram of a work is indexed, every gram of a text
    looked up. `seed` sets the letter values of the gram hash; `fold_digest` names the fold table.
    """

    gram_letters: int = 20
    stride: int = 4
    seed: int = 0x5EED_0F_B00C5
    fold_digest: str = FOLD_DIGEST

    def __post_init__(self) -> None:
        if not (8 <= self.gram_letters <= 64 and 1 <= self.stride <= self.gram_letters):
            raise IndexFormatError(
                f"recipe with gram_letters {self.gram_letters} and stride {self.stride}: "
                "gram_letters must be 8 to 64 and stride 1 to gram_letters; rebuild the index"
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Recipe:
        """Raises IndexFormatError where this version of the guard can't compute the recipe's fingerprints."""
        try:
            recipe = cls(**fields)
        except TypeError as error:
            raise IndexFormatError(
                f"recipe {fields} is not known to this version: {error}; upgrade the guard"
            ) from None
        if recipe.fold_digest != FOLD_DIGEST:
            raise IndexFormatError(
                f"the index was built with fold {recipe.fold_digest}, this version folds with {FOLD_DIGEST}: "
                "use the version that built the index, or build it again"
            )
        return recipe

    def shortest_measured(self, run_letters: int) -> int:
        """The least that a true run of so many letters can measure: whole strides, up to S-1 short at each end."""
        return self.gram_letters + self.whole_strides(run_letters - self.gram_letters - (self.stride - 1))

    def whole_strides(self, letters: int) -> int:
        return letters // self.stride * self.stride


DEFAULT_RECIPE: Final = Recipe()


@functools.lru_cache(maxsize=8)
def gram_table(recipe: Recipe) -> NDArray[np.uint64]:
    """What the gram hash needs, shape (258,): 256 letter values, the multiplier, its gram_letters-th power."""
    mask = 2**64 - 1
    state, values = recipe.seed, []
    for _ in range(257):  # SplitMix64
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & mask
        values.append(mixed ^ mixed >> 31)
    multiplier = values.pop() | 1
    return np.array([*values, multiplier, pow(multiplier, recipe.gram_letters, 2**64)], dtype=np.uint64)
