"""The kernels once more, slow and obvious, in Python's own integers: what the native ones are checked against."""

from __future__ import annotations

from collections.abc import Sequence

from guard.index.kernels import BLOCK_WORDS
from guard.index.recipe import Recipe

MASK = 2**64 - 1
BLOCK_BITS = 64 * BLOCK_WORDS


def splitmix(value: int) -> int:
    """The finaliser of SplitMix64."""
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK
    return value ^ value >> 31


def random_numbers(seed: int, count: int) -> list[int]:
    return [splitmix((seed + step * 0x9E3779B97F4A7C15) & MASK) for step in range(1, count + 1)]


def fingerprint(gram: Sequence[int], recipe: Recipe) -> int:
    """The polynomial of a gram's letter values at the multiplier, mixed."""
    *values, multiplier = random_numbers(recipe.seed, 257)
    multiplier |= 1
    terms = (values[letter] * multiplier ** (len(gram) - 1 - place) for place, letter in enumerate(gram))
    return splitmix(sum(terms) & MASK)


def filter_bits(key: int, blocks: int, probes: int) -> list[int]:
    """The bits of the filter that a key sets: a block by the key's upper half, nine bits of a second hash for each."""
    block = (key >> 32) * blocks >> 32
    first, second = splitmix((key + 0x9E3779B97F4A7C15) & MASK), splitmix((key + 0x3C6EF372FE94F82A) & MASK)
    places = [first >> 9 * probe for probe in range(7)] + [second >> 9 * probe for probe in range(7)]
    return [block * BLOCK_BITS + place % BLOCK_BITS for place in places[:probes]]
