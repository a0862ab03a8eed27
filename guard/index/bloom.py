"""A blocked Bloom filter over fingerprints: no false negatives, a false-positive rate chosen beforehand."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import ConfigError
from guard.index import kernels

BLOCK_BITS: Final = 512
# A filter of few blocks strays from the formula (it counts on many); 64 blocks are 4 kB.
LEAST_BLOCKS: Final = 64
# The kernels draw seven bits of a block from each of two hashes; a fifteenth would be the eighth once more.
MOST_PROBES: Final = 14


def blocked_rate(bits_per_key: float, probes: int) -> float:
    """False-positive rate of a filter of 512-bit blocks: the mean over a Poisson number of keys in the block
    (Putze, Sanders & Singler 2009, eq. 3).
    """
    mean = BLOCK_BITS / bits_per_key
    rate = 0.0
    for keys in range(int(6 * mean) + 60):
        share = math.exp(-mean + keys * math.log(mean) - math.lgamma(keys + 1))
        rate += share * (1 - (1 - 1 / BLOCK_BITS) ** (probes * keys)) ** probes
    return rate


@dataclass(frozen=True, slots=True)
class BloomDesign:
    """What a filter was built for: at most `keys` keys, each `bits_per_key` bits and `probes` bits set."""

    keys: int
    bits_per_key: float
    probes: int
    false_positive_rate: float

    @classmethod
    def for_rate(cls, keys: int, false_positive_rate: float) -> BloomDesign:
        """The fewest bits per key (in tenths) that reach the rate. Raises ConfigError for a rate out of 1e-9 … 0.5."""
        if not 1e-9 <= false_positive_rate <= 0.5:
            raise ConfigError(f"false-positive rate {false_positive_rate}: choose one from 1e-9 to 0.5 (default 1e-4)")
        # No filter does with fewer bits than one that isn't blocked: log2(1/rate) / ln 2.
        fewest = int(-10 * math.log2(false_positive_rate) / math.log(2))
        for tenths in range(max(10, fewest), 1000):
            bits = tenths / 10
            rate, probes = min((blocked_rate(bits, probes), probes) for probes in range(1, MOST_PROBES + 1))
            if rate <= false_positive_rate:
                return cls(keys, bits, probes, rate)
        raise ConfigError(f"false-positive rate {false_positive_rate} needs over 100 bits a gram: choose a higher one")

    @property
    def blocks(self) -> int:
        return max(LEAST_BLOCKS, math.ceil(self.keys * self.bits_per_key / BLOCK_BITS))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class BloomFilter:
    """Fingerprints (uint64) in blocks of 512 bits; `words` is the whole filter, little-endian uint64."""

    __slots__ = ("design", "words")

    def __init__(self, design: BloomDesign, words: NDArray[np.uint64]) -> None:
        if len(words) != design.blocks * kernels.BLOCK_WORDS:
            raise ConfigError(
                f"a filter of {design.blocks} blocks needs {design.blocks * 64} bytes, not {words.nbytes}"
            )
        self.design = design
        self.words = words

    @classmethod
    def for_capacity(cls, keys: int, false_positive_rate: float) -> BloomFilter:
        design = BloomDesign.for_rate(keys, false_positive_rate)
        return cls(design, np.zeros(design.blocks * kernels.BLOCK_WORDS, dtype=np.uint64))

    def add(self, fingerprints: NDArray[np.uint64]) -> None:
        kernels.filter_add(self.words, self.design.probes, fingerprints)

    def contains(self, fingerprints: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """For each fingerprint, whether it was added (True also for a false positive)."""
        out = np.empty(len(fingerprints), dtype=np.bool_)
        kernels.filter_has_each(self.words, self.design.probes, fingerprints, out)
        return out
