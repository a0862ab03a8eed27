"""The native inner loops, compiled by numba: fold, gram hashes, filter probes. Plain arrays in, plain arrays out.

They stand in one file because numba's cache notices a change only in the file of the kernel that it caches. Each has a
slow, obvious reference in the tests. All integers wrap: arithmetic is modulo 2**64.

Gram hash: Rabin-Karp with random letter values (Lemire & Kaser, "Recursive n-gram hashing is pairwise independent, at
best", 2010), then the finaliser of SplitMix64 (Steele, Lea & Flood, 2014), since the low bits of a product are weak.
Filter: Bloom filter in blocks of one cache line (Putze, Sanders & Singler, "Cache-, hash- and space-efficient Bloom
filters", 2009): one memory access a look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np

SPREAD: Final = 0xFFFFFFFF
BLOCK_WORDS: Final = 8  # 512 bits, a cache line

# Where a scan keeps its place in the text (int64 array): letters and code points seen, rolling hash, letters of the
# last call, then a ring of the last n letters, each code point index << 8 | letter.
LETTERS, CODE_POINTS, ROLLING, FRESH, RING = range(5)

Kernel = Callable[..., Any]


def kernel(function: Kernel) -> Kernel:
    """Compile on first call; cached on disk where a place for the cache can be written."""
    compiled: Kernel
    try:
        compiled = numba.njit(cache=True)(function)
    except RuntimeError:  # read-only installation without a cache directory
        compiled = numba.njit(function)
    return compiled


@kernel
def decode(utf8: Any, at: Any) -> Any:
    """Code point at byte `at`, and the byte after it. The input is what str.encode made, so it is well-formed."""
    lead = utf8[at]
    if lead < 0x80:
        return np.int64(lead), at + 1
    if lead < 0xE0:
        return (np.int64(lead) & 0x1F) << 6 | np.int64(utf8[at + 1]) & 0x3F, at + 2
    middle = (np.int64(utf8[at + 1]) & 0x3F) << 6 | np.int64(utf8[at + 2]) & 0x3F
    if lead < 0xF0:
        return (np.int64(lead) & 0x0F) << 12 | middle, at + 3
    return (np.int64(lead) & 0x07) << 18 | middle << 6 | np.int64(utf8[at + 3]) & 0x3F, at + 4


@kernel
def cell_of(fold_table: Any, code_point: Any) -> Any:
    return fold_table[fold_table[code_point >> 8] + (code_point & 0xFF)]


@kernel
def letter_of(fold_table: Any, cell: Any, code_point: Any, part: Any) -> Any:
    """The `part`-th letter that a code point folds to."""
    if cell == SPREAD:
        return np.uint8(0x80 | (code_point >> (14 - 7 * part)) & 0x7F)
    return np.uint8(fold_table[(cell >> 5) + part])


@kernel
def fold_into(utf8: Any, fold_table: Any, letters: Any, positions: Any) -> Any:
    """Fold a text; returns the number of letters written, each with the index of its code point."""
    at, code_points, count = 0, 0, 0
    while at < len(utf8):
        code_point, at = decode(utf8, at)
        cell = cell_of(fold_table, code_point)
        parts = 3 if cell == SPREAD else cell & 31
        for part in range(parts):
            letters[count] = letter_of(fold_table, cell, code_point, part)
            positions[count] = code_points
            count += 1
        code_points += 1
    return count


@kernel
def fold_letters(utf8: Any, fold_table: Any, ascii_letters: Any, letters: Any) -> Any:
    """`fold_into` without positions, for indexing. ASCII, nearly all of most works, takes no branch: `ascii_letters`
    gives each its letter, or 0, which the next letter overwrites. That makes 690 MB/s of 145.
    """
    at, count = 0, 0
    while at < len(utf8):
        if utf8[at] < 0x80:
            letter = ascii_letters[utf8[at]]
            letters[count] = letter
            count += letter != 0
            at += 1
            continue
        code_point, at = decode(utf8, at)
        cell = cell_of(fold_table, code_point)
        parts = 3 if cell == SPREAD else cell & 31
        for part in range(parts):
            letters[count] = letter_of(fold_table, cell, code_point, part)
            count += 1
    return count


@kernel
def finalise(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def hash_grams(letters: Any, gram_table: Any, gram_letters: Any, stride: Any, out: Any) -> Any:
    """Fingerprints of the grams at 0, stride, 2·stride, …; returns how many were written.

    `gram_table`: 256 letter values, the multiplier, and the multiplier to the power of `gram_letters`.
    """
    multiplier, power = gram_table[256], gram_table[257]
    value, count = np.uint64(0), 0
    for place in range(len(letters)):
        value = value * multiplier + gram_table[letters[place]]
        start = place - gram_letters + 1
        if start > 0:
            value -= gram_table[letters[start - 1]] * power
        if start >= 0 and start % stride == 0:
            out[count] = finalise(value)
            count += 1
    return count


@kernel
def block_of(fingerprint: Any, blocks: Any) -> Any:
    return ((fingerprint >> np.uint64(32)) * np.uint64(blocks)) >> np.uint64(32)


@kernel
def filter_has(words: Any, probes: Any, fingerprint: Any) -> Any:
    """Is the fingerprint in the filter? Nine bits of a second hash name each of the `probes` bits of its block."""
    first = block_of(fingerprint, len(words) // BLOCK_WORDS) * np.uint64(BLOCK_WORDS)
    bits, left = finalise(fingerprint + np.uint64(0x9E3779B97F4A7C15)), 7
    for _ in range(probes):
        if left == 0:
            bits, left = finalise(fingerprint + np.uint64(0x3C6EF372FE94F82A)), 7
        if not (words[first + ((bits >> np.uint64(6)) & np.uint64(7))] >> (bits & np.uint64(63))) & np.uint64(1):
            return False
        bits, left = bits >> np.uint64(9), left - 1
    return True


@kernel
def filter_add(words: Any, probes: Any, fingerprints: Any) -> Any:
    for place in range(len(fingerprints)):
        fingerprint = fingerprints[place]
        first = block_of(fingerprint, len(words) // BLOCK_WORDS) * np.uint64(BLOCK_WORDS)
        bits, left = finalise(fingerprint + np.uint64(0x9E3779B97F4A7C15)), 7
        for _ in range(probes):
            if left == 0:
                bits, left = finalise(fingerprint + np.uint64(0x3C6EF372FE94F82A)), 7
            words[first + ((bits >> np.uint64(6)) & np.uint64(7))] |= np.uint64(1) << (bits & np.uint64(63))
            bits, left = bits >> np.uint64(9), left - 1


@kernel
def filter_has_each(words: Any, probes: Any, fingerprints: Any, out: Any) -> Any:
    for place in range(len(fingerprints)):
        out[place] = filter_has(words, probes, fingerprints[place])


@kernel
def scan(
    utf8: Any,
    state: Any,
    fold_table: Any,
    gram_table: Any,
    words: Any,
    probes: Any,
    gram_letters: Any,
    positions: Any,
    hits: Any,
) -> Any:
    """Look up the gram that ends at each letter of a delta; returns the number of hits.

    positions[i]: code point index of the delta's i-th letter. hits[k]: letters up to the gram's end, index of the code
    point where the gram starts, and the boundary behind it: the first code point all of whose letters come later, or,
    where a code point's letters lie on both sides, that code point.
    """
    multiplier, power = gram_table[256], gram_table[257]
    seen, code_points, value = state[LETTERS], state[CODE_POINTS], np.uint64(state[ROLLING])
    at, fresh, found = 0, 0, 0
    while at < len(utf8):
        code_point, at = decode(utf8, at)
        cell = cell_of(fold_table, code_point)
        parts = 3 if cell == SPREAD else cell & 31
        for part in range(parts):
            letter = letter_of(fold_table, cell, code_point, part)
            slot = RING + seen % gram_letters
            value = value * multiplier + gram_table[letter]
            if seen >= gram_letters:
                value -= gram_table[state[slot] & 0xFF] * power
            state[slot] = code_points << 8 | letter
            positions[fresh] = code_points
            seen += 1
            fresh += 1
            if seen >= gram_letters and filter_has(words, probes, finalise(value)):
                hits[found, 0] = seen
                hits[found, 1] = state[RING + seen % gram_letters] >> 8
                hits[found, 2] = code_points + (part == parts - 1)
                found += 1
        code_points += 1
    state[LETTERS], state[CODE_POINTS], state[ROLLING], state[FRESH] = seen, code_points, np.int64(value), fresh
    return found
