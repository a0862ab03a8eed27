"""From a text to what the index keeps of it. Runs in the workers, so everything here can be sent between processes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.index.fold import fold
from guard.index.grams import fingerprints
from guard.index.recipe import Recipe
from guard.index.works import WorkRecord
from indexer.batches import Batch
from indexer.pieces import OUT_OF_MEMORY, Text
from indexer.sources import Refusal

# Code points folded at a time: the fold's scratch space stays in the processor's cache, and small for long works.
FOLDED_AT_ONCE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Measured:
    """A work with its letters and grams counted. `digest` (128 bits) is that of its letters; `size` counts the bytes
    it was read from; `fingerprints` are little-endian uint64.
    """

    source: str
    work: WorkRecord
    size: int
    digest: bytes
    fingerprints: bytes


@dataclass(frozen=True, slots=True)
class MeasuredBatch:
    """The works of a batch in order, and the bytes of input that it stood for."""

    works: list[Measured | Refusal]
    advance: int


def letters_of(text: str) -> NDArray[np.uint8]:
    """The fold has no context, so it may be cut anywhere."""
    if len(text) <= FOLDED_AT_ONCE:
        return fold(text)
    starts = range(0, len(text), FOLDED_AT_ONCE)
    return np.concatenate([fold(text[start : start + FOLDED_AT_ONCE]) for start in starts])


def measure(batch: Batch, recipe: Recipe) -> MeasuredBatch:
    found = (text for piece in batch for text in piece.texts())
    works = [text if isinstance(text, Refusal) else measure_text(text, recipe) for text in found]
    return MeasuredBatch(works, sum(piece.advance for piece in batch))


def measure_text(text: Text, recipe: Recipe) -> Measured | Refusal:
    try:
        return _measured(text, recipe)
    except MemoryError:
        return Refusal(text.source, OUT_OF_MEMORY)


def _measured(text: Text, recipe: Recipe) -> Measured | Refusal:
    letters = letters_of(text.text)
    if len(letters) < recipe.gram_letters:
        found = f"only {len(letters)} letter{'s' * (len(letters) != 1)}" if len(letters) else "no letters"
        return Refusal(text.source, f"{found}: shorter than a gram of {recipe.gram_letters}, it could never be matched")
    grams = fingerprints(letters, recipe)
    digest = hashlib.blake2b(letters.data, digest_size=16).digest()
    work = replace(text.work, letters=len(letters), grams=len(grams))
    return Measured(text.source, work, text.size, digest, grams.astype("<u8", copy=False).tobytes())
