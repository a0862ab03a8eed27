"""Fingerprints on disk until their number is known: a filter can't grow, so its size must be right from the start.

They take 8 bytes a gram, 2 a letter: for a library of 100 GB too much for memory, and as much again as reading
everything twice would cost in time. The file lies in the index's folder, which must have room for the index anyway, and
has no name there, so the system removes it however the build ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.index.kernels import kernel

# Read back at a time: 64 MB, and as much again in order of the filter's blocks.
KEYS_READ: Final = 8 * 2**20
KEY_BYTES: Final = 8
# A stretch of the filter that stays in a core's own cache while its keys are added.
CACHED_BYTES: Final = 256 * 2**10
MOST_BITS: Final = 12


class Spill:
    """A nameless temporary file of fingerprints (uint64, little-endian) in `folder`. Writing raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".spill-")  # noqa: SIM115
        self.keys = 0

    def write(self, fingerprints: bytes) -> None:
        self._file.write(fingerprints)
        self.keys += len(fingerprints) // KEY_BYTES

    def blocks(self, filter_bytes: int) -> Iterator[NDArray[np.uint64]]:
        """All fingerprints, some millions at a time, in an order that suits a filter of that size (see `_partition`).

        An array is valid until the next one.
        """
        bits = min(MOST_BITS, max(0, (filter_bytes // CACHED_BYTES).bit_length()))
        keys = np.empty(min(KEYS_READ, self.keys), dtype="<u8")
        ordered = np.empty_like(keys)
        self._file.seek(0)
        while read := self._file.readinto(keys.data) // KEY_BYTES:
            _partition(keys[:read], bits, ordered)
            yield ordered[:read]

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


@kernel
def _partition(keys: NDArray[np.uint64], bits: int, out: NDArray[np.uint64]) -> None:
    """Fingerprints by their top bits, which name their place in the filter: those of one stretch of it come together.

    Adding 21 million keys to a filter of 59 MB takes 2.7 s in random order, each waiting for memory, and 0.3 s in this
    one, which takes 0.05 s to make.
    """
    if bits == 0:
        out[: len(keys)] = keys
        return
    shift = np.uint64(64 - bits)
    places = np.zeros((1 << bits) + 1, dtype=np.int64)
    for key in keys:
        places[np.int64(key >> shift) + 1] += 1
    for stretch in range(1 << bits):
        places[stretch + 1] += places[stretch]
    for key in keys:
        place = np.int64(key >> shift)
        out[places[place]] = key
        places[place] += 1
