"""Generate fold_table.bin, the frozen meaning of the fold: `python -m guard.index.make_fold_table`.

Run by a developer, never at install or run time: unicodedata differs from one Python to the next, and a builder and a
reader that fold differently would never find each other's fingerprints. Needs `confusable-homoglyphs` (Unicode's
confusables as a wheel). The table's digest stands in every recipe.
"""

from __future__ import annotations

import re
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np

from guard.index.fold import SPREAD, TABLE_PATH

# l, I and 1 are drawn alike in many fonts ("lt was the best of tirnes"), so they are one letter.
LEET = {"0": "o", "1": "i", "l": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
# Symbols that draw a letter and have no decomposition: regional indicators, negative circled and squared letters.
DRAWN_LETTER = re.compile(r"(?:REGIONAL INDICATOR SYMBOL|NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL) LETTER (.)$")
# Strokes, hooks and tails aren't marks that decompose, but a reader sees the letter through them: ø đ ł ŧ ɓ ɗ.
CROSSED_LETTER = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER ([A-Z]) (?:WITH |BAR$)")
SMALL_CAPITAL = re.compile(r"LATIN LETTER SMALL CAPITAL ([A-Z])$")
# Letters by category that a reader sees as nothing, an apostrophe or a stretched line: strewn in, they break runs.
NOISE = re.compile(r"^MODIFIER LETTER |HANGUL \w*\s?FILLER$|LETTER (?:SALTILLO|GLOTTAL STOP|RETROFLEX CLICK)$")
# Scripts in which one character carries about as much as three letters of an alphabet.
SPREAD_NAMES = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "KATAKANA", "YI SYLLABLE", "TANGUT", "NUSHU", "IDEOGRAPHIC")


def letter_byte(code_point: int) -> int:
    """One byte for a letter outside ASCII: scripts are contiguous, so its low seven bits keep an alphabet apart."""
    return 0x80 | (code_point & 0x7F)


def ascii_letters(char: str) -> bytes:
    folded = LEET.get(char.lower(), char.lower())
    return folded.encode() if folded.isascii() and folded.isalnum() else b""


def confusable_prototypes() -> dict[str, bytes]:
    """Letters outside ASCII that look like ASCII ones → the letters that they look like."""
    from confusable_homoglyphs.confusables import confusables_data

    found: dict[str, bytes] = {}
    for char, alike in confusables_data.items():
        if len(char) != 1 or char.isascii() or unicodedata.category(char)[0] not in "LN":
            continue
        options = [entry["c"] for entry in alike if entry["c"].isascii() and entry["c"].isalpha()]
        if options:  # a small letter first: ı looks like i, I and l, and disguised text is mostly small letters
            best = min(options, key=lambda option: (len(option), not option.islower(), option))
            found[char] = b"".join(map(ascii_letters, best))
    return found


def fold_part(char: str, prototypes: dict[str, bytes]) -> bytes | None:
    """Letters of one decomposed, case-folded character; None where it spreads to three."""
    if char.isascii():
        return ascii_letters(char)
    category, name, code_point = unicodedata.category(char), unicodedata.name(char, ""), ord(char)
    if category == "Lm" or NOISE.search(name):  # iteration marks, tone letters that look like stops, stretched lines
        return b""
    if drawn := DRAWN_LETTER.search(name) or SMALL_CAPITAL.search(name) or CROSSED_LETTER.match(name):
        return ascii_letters(drawn[1])
    if category == "Nd":
        return ascii_letters(str(unicodedata.digit(char)))
    if category[0] != "L" and category != "Nl":
        return b""
    if name.startswith("HANGUL JUNGSEONG"):  # conjoining jamo: lead one, vowel two, tail none make three a syllable,
        return bytes((letter_byte(code_point), letter_byte(code_point * 37)))  # the same composed or decomposed
    if name.startswith("HANGUL JONGSEONG"):
        return b""
    if name.startswith(SPREAD_NAMES):
        return None
    for form in (char, char.upper()):
        if len(form) == 1 and form in prototypes:
            return prototypes[form]
        capital = SMALL_CAPITAL.search(unicodedata.name(form, "")) if len(form) == 1 else None
        if capital:
            return ascii_letters(capital[1])
    return bytes((letter_byte(code_point),))


def decompose(char: str) -> str:
    """Marks go before the case is folded: that of U+0345 would make a letter of it."""
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part)[0] != "M")
    return unicodedata.normalize("NFKD", plain.casefold())


def fold_code_point(code_point: int, prototypes: dict[str, bytes]) -> bytes | None:
    """Letters of one code point; None where it spreads to three computed ones."""
    char = chr(code_point)
    if 0xD800 <= code_point <= 0xDFFF or unicodedata.category(char) in ("Cn", "Co"):
        return b""
    letters = b""
    for part in char if char.isascii() else decompose(char):
        folded = fold_part(part, prototypes)
        if folded is None:
            if part == char:
                return None
            code = ord(part)
            folded = bytes((0x80 | code >> 14, 0x80 | code >> 7 & 0x7F, 0x80 | code & 0x7F))
        letters += folded
    return letters


def make_table() -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """The table as the kernel reads it: see `fold.py`."""
    prototypes = confusable_prototypes()
    blob, offsets = bytearray(b"\0"), {b"": 0}
    pages: dict[bytes, int] = {}
    page_of: list[int] = []
    cells: list[np.ndarray[tuple[int], np.dtype[np.uint32]]] = []
    for page in range(0x1100):
        row = np.zeros(256, dtype="<u4")
        for low in range(256):
            letters = fold_code_point(page << 8 | low, prototypes)
            if letters is None:
                row[low] = SPREAD
            elif letters:
                if letters not in offsets:
                    offsets[letters] = len(blob)
                    blob += letters
                row[low] = offsets[letters] << 5 | len(letters)
        key = row.tobytes()
        if key not in pages:
            pages[key] = len(cells)
            cells.append(row)
        page_of.append(pages[key])
    cell_base = 0x1100
    blob_base = cell_base + 256 * len(cells)
    index = np.array([cell_base + 256 * page for page in page_of], dtype="<u4")
    flat = np.concatenate(cells)
    stored = (flat != 0) & (flat != SPREAD)
    flat[stored] += np.uint32(blob_base << 5)
    return np.concatenate([index, flat, np.frombuffer(bytes(blob), np.uint8).astype("<u4")])


def main() -> int:
    table = make_table()
    packed = zlib.compress(table.tobytes(), 9)
    Path(TABLE_PATH).write_bytes(packed)
    print(f"{TABLE_PATH}: Unicode {unicodedata.unidata_version}, {table.nbytes} bytes, {len(packed)} packed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
