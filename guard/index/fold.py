"""The fold: what is left of a text when everything that a disguise can change is taken away.

Each code point maps on its own, without context, to zero or more *letters* of one byte each: compatibility
decomposition, marks dropped, case folded, look-alikes folded, everything that is neither letter nor digit dropped.
Having no context, the fold commutes with cutting the text anywhere: fold(a + b) == fold(a) + fold(b). NFKC doesn't.

ASCII letters and digits are themselves, but for l, which is drawn like I and 1 and so becomes i, and the digits that
stand for letters: 0→o 1→i 3→e 4→a 5→s 7→t. A letter of another alphabet is 0x80 | its low seven bits; a Han character
or kana is three such bytes, and so is a Hangul syllable (lead, vowel twice; the tail consonant is dropped so that
composed and decomposed text agree).

The table is frozen in `fold_table.bin` (made by `make_fold_table.py`): little-endian uint32; the first 0x1100 entries
give each page of 256 code points the position of its cells; a cell is 0 (dropped), SPREAD (three letters, computed), or
position << 5 | count of the letters, which follow the cells, one to an entry.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.index import kernels

SPREAD: Final = kernels.SPREAD
TABLE_PATH: Final = Path(__file__).with_name("fold_table.bin")
# No code point folds to more letters than this (U+FDFA does to 15).
MAX_LETTERS_PER_CODE_POINT: Final = 18


def _load() -> tuple[NDArray[np.uint32], str]:
    if not TABLE_PATH.exists():  # only while make_fold_table.py makes it
        return np.zeros(0, dtype=np.uint32), ""
    raw = zlib.decompress(TABLE_PATH.read_bytes())
    table = np.frombuffer(raw, dtype="<u4")
    return table, hashlib.sha256(raw).hexdigest()[:16]


FOLD_TABLE, FOLD_DIGEST = _load()


def encode(text: str) -> bytes:
    """UTF-8 as the kernels read it; lone surrogates (from broken JSON escapes) pass and fold to nothing."""
    return text.encode("utf-8", "surrogatepass")


def fold(text: str) -> NDArray[np.uint8]:
    """Letters of a text, shape (letters,)."""
    utf8 = encode(text)
    # One more than the letters: where an ASCII character gives none, a zero is written behind them.
    room = (len(utf8) if text.isascii() else 6 * len(utf8)) + 1
    letters = np.empty(room, dtype=np.uint8)
    return letters[: kernels.fold_letters(utf8, FOLD_TABLE, _ascii_letters(), letters)].copy()


@functools.cache
def _ascii_letters() -> NDArray[np.uint8]:
    """The letter of each ASCII character, 0 for none; none has two."""
    ascii_letters = np.zeros(128, dtype=np.uint8)
    letters, positions = fold_with_positions("".join(map(chr, range(128))))
    ascii_letters[positions] = letters
    return ascii_letters


def fold_with_positions(text: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Letters of a text and, for each, the index of the code point it came from; both of shape (letters,)."""
    utf8 = encode(text)
    # A code point of b UTF-8 bytes gives at most 6 b letters (U+FDFA: 15 from 3 bytes); ASCII gives at most one a byte.
    room = len(utf8) if text.isascii() else 6 * len(utf8)
    letters = np.empty(room, dtype=np.uint8)
    positions = np.empty(room, dtype=np.int64)
    count = kernels.fold_into(utf8, FOLD_TABLE, letters, positions)
    return letters[:count].copy(), positions[:count].copy()
