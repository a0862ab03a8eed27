"""Every native kernel against `kernel_reference`, and a scan cut anywhere against the whole."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_reference import filter_bits, fingerprint, random_numbers, splitmix
from numpy.typing import NDArray

from guard.index import kernels
from guard.index.bloom import BloomDesign, BloomFilter
from guard.index.fold import encode, fold, fold_with_positions
from guard.index.grams import GramScanner
from guard.index.recipe import DEFAULT_RECIPE, Recipe, gram_table

Hit = tuple[int, int, int]

fingerprints = st.integers(0, 2**64 - 1)
RECIPES = [DEFAULT_RECIPE, Recipe(gram_letters=8, stride=1, seed=7), Recipe(gram_letters=13, stride=5, seed=2**40)]


def test_decode_reads_every_code_point() -> None:
    """A table that spreads everything writes the code point itself, seven bits a letter."""
    table = np.concatenate([np.full(0x1100, 0x1100), np.full(256, kernels.SPREAD)]).astype("<u4")
    table.setflags(write=False)  # of the type that the kernels are compiled for
    count = 0x110000
    letters, positions = np.empty(3 * count, dtype=np.uint8), np.empty(3 * count, dtype=np.int64)
    assert kernels.fold_into(encode("".join(map(chr, range(count)))), table, letters, positions) == 3 * count
    high, middle, low = (letters.reshape(count, 3) & 0x7F).astype(np.int64).T
    assert np.array_equal(high << 14 | middle << 7 | low, np.arange(count))
    assert np.array_equal(positions, np.repeat(np.arange(count), 3))


@given(st.text(st.characters(exclude_categories=[]), min_size=1))
def test_decode_steps_from_code_point_to_code_point(text: str) -> None:
    utf8, at, found = encode(text), 0, []
    while at < len(utf8):
        code_point, at = kernels.decode(utf8, at)
        found.append(code_point)
    assert found == list(map(ord, text))


def test_finalise_is_that_of_splitmix64() -> None:
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert random_numbers(1234567, 4) == published
    for step, expected in enumerate(published, 1):
        assert kernels.finalise(np.uint64((1234567 + step * 0x9E3779B97F4A7C15) % 2**64)) == expected


@given(fingerprints)
def test_finalise(value: int) -> None:
    assert kernels.finalise(np.uint64(value)) == splitmix(value)


@pytest.mark.parametrize("recipe", RECIPES)
@given(letters=st.binary(max_size=120))
def test_hash_grams(recipe: Recipe, letters: bytes) -> None:
    out = np.empty(len(letters) + 1, dtype=np.uint64)
    source = np.frombuffer(bytearray(letters), dtype=np.uint8)
    count = kernels.hash_grams(source, gram_table(recipe), recipe.gram_letters, recipe.stride, out)
    starts = range(0, len(letters) - recipe.gram_letters + 1, recipe.stride)
    assert out[:count].tolist() == [fingerprint(letters[at : at + recipe.gram_letters], recipe) for at in starts]


@given(st.lists(fingerprints, max_size=50), st.integers(1, 14), st.sampled_from([1, 3, 64, 1000]))
def test_filter_add_and_has(keys: list[int], probes: int, blocks: int) -> None:
    words = np.zeros(blocks * kernels.BLOCK_WORDS, dtype=np.uint64)
    kernels.filter_add(words, probes, np.array(keys, dtype=np.uint64))
    expected = {bit for key in keys for bit in filter_bits(key, blocks, probes)}
    assert set(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist()) == expected
    asked = [*keys, *random_numbers(99, 50), 0, 2**64 - 1]
    out = np.empty(len(asked), dtype=np.bool_)
    kernels.filter_has_each(words, probes, np.array(asked, dtype=np.uint64), out)
    assert out.tolist() == [expected.issuperset(filter_bits(key, blocks, probes)) for key in asked]


@given(fingerprints, st.integers(1, 2**31))
def test_every_fingerprint_has_a_block(value: int, blocks: int) -> None:
    assert kernels.block_of(np.uint64(value), blocks) == (value >> 32) * blocks >> 32 < blocks


# --- scan ---


class Scanned:
    """A scanner over a filter that says yes to half of all grams, and what it must find."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        words = np.random.default_rng(5).integers(0, 2**64, 64 * kernels.BLOCK_WORDS, dtype=np.uint64)
        words.setflags(write=False)
        self.bloom = BloomFilter(BloomDesign(1, 1.0, 1, 0.5), words)
        self.scanner = GramScanner(self.bloom, recipe)
        self.bits = set(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist())

    def expected(self, text: str) -> tuple[list[int], list[Hit]]:
        """The code point of each letter; letters, start and boundary of each hit."""
        letters, positions = (array.tolist() for array in fold_with_positions(text))
        hits: list[Hit] = []
        length = self.recipe.gram_letters
        for end in range(length, len(letters) + 1):
            key = fingerprint(letters[end - length : end], self.recipe)
            if self.bits.issuperset(filter_bits(key, 64, 1)):
                straddled = end < len(letters) and positions[end] == positions[end - 1]
                hits.append((end, positions[end - length], positions[end - 1] + (not straddled)))
        return positions, hits

    def found(self, deltas: list[str]) -> tuple[list[int], list[Hit]]:
        positions: list[int] = []
        hits: list[Hit] = []
        state = self.scanner.start()
        for delta in deltas:
            count = self.scanner.scan(delta, state)
            fresh = int(state[kernels.FRESH])
            assert fresh == len(fold(delta))
            positions += self.scanner.positions[:fresh].tolist()
            hits += map(tuple, self.scanner.hits[:count].tolist())
        text = "".join(deltas)
        assert state[kernels.LETTERS] == len(positions) == len(fold(text))
        assert state[kernels.CODE_POINTS] == len(text)
        return positions, hits


SCANNED = [Scanned(recipe) for recipe in RECIPES]
# Letters, noise, one to three letters a code point, up to fifteen, lone surrogates; one to four bytes.
SYMBOLS = [*"abcdeé Ж0!\u0301\u200b", "ﬃ", "白", "각", "㎏", "ﷺ", "𝐚", "🇦", "\ud800"]
scanned_texts = st.one_of(
    st.text(st.sampled_from(SYMBOLS), max_size=60),
    st.builds(
        lambda seed, length: "".join(random.Random(seed).choices(SYMBOLS, k=length)),
        st.integers(0, 2**32),
        st.integers(0, 150),
    ),
)


@pytest.mark.parametrize("scanned", SCANNED, ids=lambda scanned: f"n={scanned.recipe.gram_letters}")
@given(text=scanned_texts)
def test_scan_finds_what_the_reference_finds(scanned: Scanned, text: str) -> None:
    assert scanned.found([text]) == scanned.expected(text)


@pytest.mark.parametrize("scanned", SCANNED, ids=lambda scanned: f"n={scanned.recipe.gram_letters}")
@given(text=scanned_texts, cuts=st.lists(st.integers(0, 120), max_size=12))
def test_scan_cut_anywhere_is_the_scan_of_the_whole(scanned: Scanned, text: str, cuts: list[int]) -> None:
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(at)]
    assert scanned.found(pieces) == scanned.found(list(text)) == scanned.found([text])


def test_streams_that_share_a_scanner_do_not_mix() -> None:
    scanned, rng = SCANNED[0], random.Random(3)
    texts = ["".join(rng.choices("abcdefgh ﬃ白", k=400)) for _ in range(5)]
    states = [scanned.scanner.start() for _ in texts]
    hits: list[list[Hit]] = [[] for _ in texts]
    for at in range(0, 400, 7):
        for text, state, seen in zip(texts, states, hits, strict=True):
            count = scanned.scanner.scan(text[at : at + 7], state)
            seen += map(tuple, scanned.scanner.hits[:count].tolist())
    assert all(hits)
    assert hits == [scanned.expected(text)[1] for text in texts]


def test_the_longest_delta_fits_the_scratch_space() -> None:
    scanned = SCANNED[0]
    letters = np.bincount(fold_with_positions("".join(map(chr, range(0x110000))))[1])
    text = chr(int(letters.argmax())) * GramScanner.MAX_CODE_POINTS
    positions, hits = scanned.found([text])
    assert len(positions) == letters.max() * len(text) > 12 * len(text)
    assert hits == scanned.found(list(text))[1]


def test_a_kernel_compiles_without_a_place_for_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def njit(function: object = None, *, cache: bool = False) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr("numba.njit", njit)

    def double(values: NDArray[np.uint8]) -> int:
        return 2 * len(values)

    assert kernels.kernel(double) is double
    assert asked == [True, False]
