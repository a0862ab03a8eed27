"""Sketch honesty, the sixth law: no false negatives, and a false-positive rate at most 1.2 times the design's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from guard.errors import ConfigError
from guard.index.bloom import LEAST_BLOCKS, MOST_PROBES, BloomDesign, BloomFilter, blocked_rate


def numbers(seed: int, count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


DESIGNS = [BloomDesign.for_rate(150, rate) for rate in (0.5, 0.1, 1e-2, 1e-4, 1e-6)]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=300), st.sampled_from(DESIGNS))
def test_no_false_negatives(keys: list[int], design: BloomDesign) -> None:
    """Overfilled ones included."""
    bloom = BloomFilter(design, np.zeros(design.blocks * 8, dtype=np.uint64))
    added = np.array(keys, dtype=np.uint64)
    bloom.add(added)
    assert bloom.contains(added).all()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=300), st.integers(0, 300))
def test_order_repetition_and_parts_change_nothing(keys: list[int], cut: int) -> None:
    whole, parts = (BloomFilter(DESIGNS[1], np.zeros(DESIGNS[1].blocks * 8, dtype=np.uint64)) for _ in range(2))
    whole.add(np.array(keys, dtype=np.uint64))
    for part in (keys[cut:], keys[:cut], keys[::-1]):
        parts.add(np.array(part, dtype=np.uint64))
    assert np.array_equal(whole.words, parts.words)


@pytest.mark.parametrize(
    ("rate", "keys", "queries"),
    [(1e-1, 50_000, 1_000_000), (1e-2, 50_000, 1_000_000), (1e-3, 50_000, 2_000_000), (1e-4, 100_000, 8_000_000)],
)
def test_measured_rate_is_at_most_a_fifth_above_the_design(rate: float, keys: int, queries: int) -> None:
    bloom = BloomFilter.for_capacity(keys, rate)
    bloom.add(numbers(1, keys))
    assert bloom.design.false_positive_rate <= rate
    assert 0.8 * rate <= bloom.contains(numbers(2, queries)).mean() <= 1.2 * rate


@pytest.mark.parametrize("rate", [1e-5, 1e-6])
def test_rates_too_small_to_measure_whole(rate: float) -> None:
    """Filled to twice the keys, where the same formula gives a rate that can be measured."""
    design = BloomDesign.for_rate(50_000, rate)
    bloom = BloomFilter.for_capacity(50_000, rate)
    bloom.add(numbers(1, 100_000))
    expected = blocked_rate(design.bits_per_key / 2, design.probes)
    measured = bloom.contains(numbers(2, 8_000_000)).mean()
    assert expected > 200 / 8_000_000
    assert 0.8 * expected < measured < 1.2 * expected


@pytest.mark.parametrize("keys", [0, 1, 10, 1000])
def test_small_filters_are_no_worse(keys: int) -> None:
    bloom = BloomFilter.for_capacity(keys, 1e-2)
    bloom.add(numbers(3, keys))
    assert bloom.contains(numbers(4, 200_000)).mean() <= 1.2e-2
    assert len(bloom.words) * 64 >= LEAST_BLOCKS * 512


def test_an_empty_filter_holds_nothing() -> None:
    assert not BloomFilter.for_capacity(0, 0.5).contains(numbers(1, 100_000)).any()


def test_membership_agrees_with_another_bloom_filter() -> None:
    """pybloom-live as a second opinion: both hold every key, and neither much else."""
    pybloom_live = pytest.importorskip("pybloom_live", reason="pip install pybloom-live to compare with it")
    keys, others = numbers(5, 5000), numbers(6, 5000)
    ours, theirs = BloomFilter.for_capacity(5000, 1e-3), pybloom_live.BloomFilter(capacity=5000, error_rate=1e-3)
    ours.add(keys)
    for key in keys.tolist():
        theirs.add(key)
    assert ours.contains(keys).tolist() == [key in theirs for key in keys.tolist()] == [True] * 5000
    assert ours.contains(others).sum() <= 20
    assert sum(key in theirs for key in others.tolist()) <= 20


@pytest.mark.parametrize("rate", [0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
def test_a_design_is_the_smallest_that_reaches_its_rate(rate: float) -> None:
    design = BloomDesign.for_rate(1000, rate)
    assert design.false_positive_rate == blocked_rate(design.bits_per_key, design.probes) <= rate
    assert 1 <= design.probes <= MOST_PROBES
    smaller = design.bits_per_key - 0.1
    if smaller >= 1:
        assert all(blocked_rate(smaller, probes) > rate for probes in range(1, MOST_PROBES + 1))


def test_no_more_probes_than_the_kernels_can_draw() -> None:
    """One more would set no other bit, and the formula would promise what the filter doesn't keep."""
    bits = []
    for probes in (MOST_PROBES - 1, MOST_PROBES, MOST_PROBES + 1):
        bloom = BloomFilter(BloomDesign(1, 1.0, probes, 0.5), np.zeros(LEAST_BLOCKS * 8, dtype=np.uint64))
        bloom.add(numbers(8, 50))
        bits.append(np.unpackbits(bloom.words.view(np.uint8)).sum())
    assert bits[0] < bits[1] == bits[2]


def test_the_default_design() -> None:
    """What the documentation states."""
    design = BloomDesign.for_rate(1_000_000, 1e-4)
    assert (design.bits_per_key, design.probes) == (22.0, 12)
    assert design.blocks * 512 == pytest.approx(22.0 * 1_000_000, rel=1e-3)


def test_blocked_rate_is_that_of_a_simulation() -> None:
    """Balls into bins: keys fall into blocks, each sets its bits, others find all of theirs set."""
    rng, bits_per_key, probes, blocks = np.random.default_rng(7), 10.0, 6, 2000
    filled = np.zeros((blocks, 512), dtype=bool)
    keys = int(blocks * 512 / bits_per_key)
    filled[np.repeat(rng.integers(0, blocks, keys), probes), rng.integers(0, 512, keys * probes)] = True
    queries = 400_000
    found = filled[np.repeat(rng.integers(0, blocks, queries), probes), rng.integers(0, 512, queries * probes)]
    rate = found.reshape(queries, probes).all(axis=1).mean()
    assert rate == pytest.approx(blocked_rate(bits_per_key, probes), rel=0.1)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.0, 0.51, 1e-10, math.nan, math.inf])
def test_rates_that_make_no_sense_are_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match=r"choose one from 1e-9 to 0\.5"):
        BloomDesign.for_rate(10, rate)


def test_words_of_another_size_are_refused() -> None:
    design = BloomDesign.for_rate(10_000, 1e-3)
    blocks = design.blocks
    with pytest.raises(ConfigError, match=f"a filter of {blocks} blocks needs {blocks * 64} bytes, not 64"):
        BloomFilter(design, np.zeros(8, dtype=np.uint64))


def test_design_round_trip() -> None:
    design = BloomDesign.for_rate(12345, 1e-3)
    assert BloomDesign(**design.to_json()) == design
