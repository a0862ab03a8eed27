"""Strict decoding: marks are honoured, nothing is guessed, a refusal names the place."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import WorkRefused
from indexer.readers import document, read_work
from indexer.readers.decode import BYTE_ORDER_MARKS, decode, known_encoding

UNICODE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=1)


@given(UNICODE, st.sampled_from(BYTE_ORDER_MARKS))
def test_byte_order_marks_are_honoured(text: str, mark: tuple[bytes, str]) -> None:
    assert decode(mark[0] + text.encode(mark[1]), "w") == text


@given(UNICODE)
def test_utf8_comes_back(text: str) -> None:
    assert decode(text.encode(), "w") == text


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "shift_jis", "utf-8-sig"])
def test_the_override_wins(encoding: str) -> None:
    assert decode("cafe".encode(encoding), "w", encoding) == "cafe"


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (b"", None, ["empty"]),
        (b"one\ntwo\nthree \xe9t\xe9", None, ["UTF-8", "0xE9", "byte 14 (line 3)", "--encoding"]),
        (b"one\ntwo \xe2\x82", None, ["0xE2 0x82 at byte 8 (line 2)"]),
        (b"one\ntwo\0three", None, ["binary", "NUL at byte 7 (line 2)", "utf-16-le"]),
        ("é\né\0".encode(), None, ["NUL at byte 5 (line 2)"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", None, ["binary", "byte 0 (line 1)"]),
        (codecs.BOM_UTF16_LE + b"a\0\n\0b", None, ["UTF-16-LE", "byte 6 (line 2)"]),
        (codecs.BOM_UTF16_LE + b"a\0\n\0\0\0", None, ["NUL at byte 6 (line 2)"]),
        (b"caf\x81", "cp1252", ["CP1252", "0x81", "byte 3", "not what --encoding cp1252 says"]),
        (b"a\0b", "utf-8", ["NUL at byte 1"]),
    ],
)
def test_a_refusal_names_the_place(data: bytes, encoding: str | None, words: list[str]) -> None:
    with pytest.raises(WorkRefused) as refused:
        decode(data, "dir/work.txt", encoding)
    assert refused.value.source == "dir/work.txt"
    for word in words:
        assert word in refused.value.reason


@pytest.mark.parametrize(
    ("name", "known"),
    [("UTF8", "utf-8"), ("latin-1", "iso8859-1"), ("utf-32", "utf-32"), ("idna", "idna")]
    + [(name, None) for name in ("klingon", "base64", "rot13", "undefined\0", "")],
)
def test_encodings_are_those_of_text(name: str, known: str | None) -> None:
    assert known_encoding(name) == known


def test_a_line_within_a_file_counts_from_its_number() -> None:
    with pytest.raises(WorkRefused, match=r"line 17"):
        decode(b"\xff", "w", first_line=17)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_file_too_large_for_one_work_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LARGEST_WORK", 100)
    for size, refused in ((100, False), (101, True)):
        data = b"a" * size
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        if refused:
            with pytest.raises(WorkRefused, match="split it"):
                read_work(tmp_path / name, "w", None)
        else:
            assert read_work(tmp_path / name, "w", None) == ("a" * size, size)


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"a work" * 100)
    for damaged in (b"no gzip", packed[:30], packed[:-6] + b"xxxxxx"):
        (tmp_path / "a.txt.gz").write_bytes(damaged)
        with pytest.raises(WorkRefused, match="cannot be read as gzip"):
            read_work(tmp_path / "a.txt.gz", "w", None)
