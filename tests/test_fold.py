"""The fold: each letter against unicodedata where Unicode has an answer, against the written facts where it hasn't."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.index import fold as fold_module
from guard.index.fold import (
    FOLD_DIGEST,
    FOLD_TABLE,
    MAX_LETTERS_PER_CODE_POINT,
    SPREAD,
    encode,
    fold,
    fold_with_positions,
)

UNICODE_3_2 = unicodedata.ucd_3_2_0  # the same in every Python
LEET = str.maketrans("01l3457@$", "oiieastas")
ALL_CODE_POINTS = "".join(map(chr, range(0x110000)))
ASSIGNED_3_2 = [char for char in ALL_CODE_POINTS[:0xE0080] if UNICODE_3_2.category(char) not in ("Cn", "Co")]

any_text = st.text(st.characters(exclude_categories=[]))  # lone surrogates and unassigned code points too


def letters(text: str) -> str:
    """Latin-1 makes one character of each letter: ASCII letters show as themselves."""
    return fold(text).tobytes().decode("latin-1")


def reference(char: str) -> str | None:
    """What a character is for a reader of ASCII, by Unicode 3.2; None where it has parts that aren't ASCII letters."""
    parts = UNICODE_3_2.normalize("NFKD", UNICODE_3_2.normalize("NFKD", char).casefold())
    found = "".join(part for part in parts.translate(LEET) if part.isascii() and part.isalnum())
    rest = {UNICODE_3_2.category(part)[0] for part in parts if not part.isascii()}
    return found if found and not rest & set("LNC") else None


def counts() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Letters of each code point, straight from the table."""
    pages = FOLD_TABLE[:0x1100].astype(np.int64)
    cells = FOLD_TABLE[(pages[:, None] + np.arange(256)).ravel()]
    return np.where(cells == SPREAD, 3, cells & 31).astype(np.int64)


def test_letters_agree_with_unicode() -> None:
    expected = {char: found for char in ASSIGNED_3_2 if (found := reference(char))}
    assert len(expected) > 1700
    assert {char: letters(char) for char in expected} == expected


def test_marks_punctuation_and_controls_leave_nothing() -> None:
    """Except for those that decompose to letters, and @ and $."""
    silent = [
        char
        for char in ASSIGNED_3_2
        if UNICODE_3_2.category(char)[0] in "MPZC"
        and not any(UNICODE_3_2.category(part)[0] in "LN" for part in UNICODE_3_2.normalize("NFKD", char))
    ]
    assert len(silent) > 3000
    assert [char for char in silent if letters(char)] == ["@", "﹫", "＠"]


@given(any_text, any_text)
def test_folding_commutes_with_cutting(first: str, second: str) -> None:
    assert letters(first + second) == letters(first) + letters(second)


@given(any_text)
def test_every_letter_knows_its_code_point(text: str) -> None:
    found, positions = fold_with_positions(text)
    expected = [(letter, place) for place, char in enumerate(text) for letter in letters(char)]
    assert list(zip(found.tobytes().decode("latin-1"), positions.tolist(), strict=True)) == expected


def test_every_code_point_folds_as_the_table_says() -> None:
    _, positions = fold_with_positions(ALL_CODE_POINTS)
    count = counts()
    assert np.array_equal(np.bincount(positions, minlength=0x110000), count)
    assert (np.diff(positions) >= 0).all()


def test_letters_fit_the_room_that_the_kernels_are_given() -> None:
    """They write without bounds checks: more letters than these would overwrite memory."""
    count = counts()
    utf8 = np.array([1] * 0x80 + [2] * 0x780 + [3] * 0xF800 + [4] * 0x100000)
    assert count.max() <= MAX_LETTERS_PER_CODE_POINT
    assert (count <= 6 * utf8).all()
    assert (count[:0x80] <= 1).all()
    assert (FOLD_TABLE[:0x1100] + 255 < len(FOLD_TABLE)).all()


def test_the_table_is_frozen() -> None:
    """Another table is another meaning of every fingerprint: indexes must be built again. Change it knowingly."""
    assert FOLD_DIGEST == "472c14e7625cb703"


def test_the_fold_does_not_ask_the_running_python(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # pytest itself needs it
        for name in ("normalize", "category", "name", "digit"):
            patch.delattr(unicodedata, name)
        found = letters("Ｓｔｒａßｅ ﬃ")
    assert found == "strasseffi"
    assert "unicodedata" not in vars(fold_module)


def test_the_shipped_table_is_what_its_generator_makes() -> None:
    pytest.importorskip("confusable_homoglyphs", reason="pip install confusable-homoglyphs to check the fold table")
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip(f"the table is made of Unicode 14.0.0 (Python 3.11), here is {unicodedata.unidata_version}")
    from guard.index.make_fold_table import make_table

    assert np.array_equal(make_table(), FOLD_TABLE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Call me Ishmael.", "callmeishmael"),
        ("C4LL m3 15hm@e1 $0", "callmeishmaelso"),  # leet
        ("26 89", "2689"),  # digits that stand for no letter
        ("**bold** _it_ `code` ~x~ # > |", "bolditcodex"),
        ("crème brûlée, naïve", "cremebruleenaive"),
        ("cre\u0300me bru\u0302le\u0301e", "cremebrulee"),
        ("z\u0336a\u030d\u0300l\u0489g\u20dd\u0361o", "zalgo"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ ７", "fullwidtht"),
        ("ﬁ ﬃ ﬆ æ œ ĳ Ǆ ŉ ß ẞ ſ", "fiffistaeoeijdznsssss"),
        ("аеорсухѕіј АВЕКМНОРСТУХ", "aeopcyxsijabekmhopctyx"),  # Cyrillic
        ("οραΑΒΕΖΗΙΚΜΟΡΤΧ", "opaabezhikmoptx"),  # Greek
        ("Ꭺꓮ", "aa"),  # Cherokee, Lisu
        ("𝐁𝐨𝐥𝐝 𝓼𝓬𝓻𝓲𝓹𝓽 𝔣𝔯𝔞𝔨 𝕕𝕤 𝚖𝚘𝚗𝚘 𝟠𝟛", "boldscriptfrakdsmono8e"),
        ("ꜰᴀɴᴄʏ ᴛᴇxᴛ ꜱᴍᴀʟʟ", "fancytextsmall"),  # small capitals
        ("🇭🇪🇱🇱🇴", "hello"),  # regional indicators
        ("Ⓐⓑ 🅒🅳 🄴 ⒡ ᵍ ₕ", "abcdefgh"),  # circled, squared, bracketed, raised
        ("ɑɡıⅿℓ", "agiml"),
        ("It will, lt wiII, 1t w1ll", "itwillitwillitwill"),
        ("øđħłŧƀɇɨʉ ƁɗɠⱥƵ", "odhltbeiubdgaz"),  # strokes and hooks
        ("① ⅳ ½ ²", "iivi22"),
        ("١٢٣ ४५६ ๗ ߉ 𝟗", "i2eas6t99"),  # digits of other scripts are those of ASCII
    ],
)
def test_what_a_reader_takes_for_the_same_is_the_same(text: str, expected: str) -> None:
    assert letters(text) == expected.replace("l", "i")  # l, I and 1 are drawn alike


# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt, 14.0): drawn as nothing.
INVISIBLE = [
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
]


def test_invisible_code_points_leave_nothing() -> None:
    assert letters("".join(map(chr, INVISIBLE))) == ""


@pytest.mark.parametrize("strewn", [*"\u02bc\u02b9\u02c8\u0640\u2800\u00b7\u2019\ud800❶ꓸꓹꞌǃʔߴՙ々\u0345"])
def test_what_looks_like_a_stroke_or_nothing_leaves_nothing(strewn: str) -> None:
    """Modifier apostrophes and primes, tatweel, blank Braille, lone surrogates, symbols."""
    assert letters(strewn.join("don't")) == "dont"


def test_han_kana_and_hangul_weigh_three_letters_a_character() -> None:
    for sample in ("白鯨と海の老人", "ひらがなカタカナ", "흰고래", "㐀𠀀𱍊", "ꀀꀁ"):
        found, positions = fold_with_positions(sample)
        assert np.array_equal(positions, np.repeat(np.arange(len(sample)), 3))
        assert (found >= 0x80).all()
    assert letters("ｶﾀｶﾅ ⼈ 豈") == letters("カタカナ 人 豈")  # half width, radical, compatibility ideograph
    assert letters("がぎ") == letters(unicodedata.normalize("NFD", "がぎ"))


def test_every_unified_ideograph_has_letters_of_its_own() -> None:
    ideographs = "".join(map(chr, range(0x4E00, 0x9FA6)))
    assert len(set(fold(ideographs).reshape(-1, 3).view("V3").ravel().tolist())) == len(ideographs)


def test_hangul_folds_the_same_composed_and_decomposed() -> None:
    syllables = "".join(map(chr, range(0xAC00, 0xD7A4)))
    found = fold(syllables)
    assert np.array_equal(found, fold(unicodedata.normalize("NFD", syllables)))
    rows = found.reshape(len(syllables), 3)
    assert len({row.tobytes() for row in rows}) == 19 * 21  # lead and vowel; the tail is dropped


@pytest.mark.parametrize(
    ("first", "last", "least"),
    [(0x3B1, 0x3C9, 23), (0x430, 0x44F, 29), (0x5D0, 0x5EA, 22), (0x627, 0x64A, 28), (0x905, 0x939, 50)],
    ids=["Greek", "Cyrillic", "Hebrew", "Arabic", "Devanagari"],
)
def test_other_alphabets_keep_their_letters_apart(first: int, last: int, least: int) -> None:
    assert len({letters(chr(code_point)) for code_point in range(first, last + 1)} - {""}) >= least


def test_case_is_folded_in_every_script() -> None:
    """Where Unicode 3.2 pairs a small letter with one capital, both fold alike."""
    pairs = [
        (char, char.upper())
        for char in ASSIGNED_3_2
        if UNICODE_3_2.category(char) == "Ll" and len(char.upper()) == 1 and char.upper().lower() == char
    ]
    assert len(pairs) > 600
    assert [(small, capital) for small, capital in pairs if letters(small) != letters(capital)] == []


def test_encode_takes_every_code_point() -> None:
    assert encode("a\ud800é") == b"a\xed\xa0\x80\xc3\xa9"
    assert letters("\ud835\udc00") == ""  # a pair in two halves is no letter; joining it is the decoder's business
