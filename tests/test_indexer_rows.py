"""JSON lines and Parquet: each row a work, a bad row refused by its number, the others read."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexer_samples import POEM, STORY, file_source, refusals_of, texts_of
from pyarrow import parquet

from indexer.batches import pieces
from indexer.pieces import Piece, Text
from indexer.readers import json_lines, rows

ROWS: list[dict[str, Any]] = [
    {"text": STORY, "id": 7, "title": None, "url": "ignored"},
    {"text": POEM, "author": "A. Nobody"},
]


def read(path: Path, encoding: str | None = None, **known: str) -> list[Piece]:
    return list(pieces([file_source(path, **known)], encoding))


def works_of(found: Sequence[Piece]) -> list[Text]:
    return [text for piece in found for text in piece.texts() if isinstance(text, Text)]


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


@pytest.mark.parametrize("kind", ["jsonl", "ndjson", "jsonl.gz", "parquet"])
def test_a_row_is_a_work(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist([{"author": None, **row} for row in ROWS]), path)
    else:
        path.write_bytes(gzip.compress(lines(*ROWS)) if kind.endswith("gz") else lines(*ROWS))
    found = read(path, id="set", title="A set", licence="mine")
    first, second = works_of(found)
    assert (first.text, second.text) == (STORY, POEM)
    assert (first.work.id, first.work.title, first.work.licence) == ("7", "A set:1", "mine")
    assert (second.work.id, second.work.author, second.source) == ("set:2", "A. Nobody", f"{path}:2")
    assert 0 <= path.stat().st_size - sum(piece.advance for piece in found) <= 2  # the progress bar reaches its end


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_marks_and_line_ends(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    text = "\r\n".join(json.dumps({"text": f"žluťoučký {n}"}, ensure_ascii=False) for n in range(5)) + "\r\n\r\n"
    path.write_bytes(("\ufeff" + text).encode(encoding) if encoding == "utf-32-be" else text.encode(encoding))
    assert texts_of(read(path)) == [f"žluťoučký {n}" for n in range(5)]


def test_the_encoding_of_lines_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes('{"text": "café"}\n'.encode("cp1252") + b'{"text": "\x81"}\n{"text": "th\xe9"}')
    good, bad, last = texts_of(read(path, "cp1252"))
    assert (good, last) == ("café", "thé")
    assert "CP1252: 0x81 at byte 10 (line 2)" in bad


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "not valid JSON: Expecting ',' delimiter at column 13"),
        (b"[1]", "must be a JSON object, not a list"),
        (b"null", "must be a JSON object, not null"),
        (b'{"title": "a"}', "lacks a 'text'"),
        (b'{"text": 5}', "'text' must be a string, not a number"),
        (b'{"text": null}', "'text' must be a string, not null"),
        (b'{"path": "a.txt"}', "--manifest"),
        (b'{"text": "a", "title": ["b"]}', "'title' must be a string, not a list"),
        (b'{"text": "a", "id": true}', "'id' must be a string, not a boolean"),
        (b'{"text": "a", "id": " "}', "'id' is empty"),
        (b'{"text": "a", "status": ""}', "'status' is empty"),
        (b'{"text": "a", "author": "\\ud800"}', "surrogate"),
        (b'{"text": "\xff"}', "not valid UTF-8: 0xFF at byte 10 (line 2)"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_a_bad_line_is_refused_and_the_others_read(line: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(lines({"text": STORY}) + line + b"\n\n" + lines({"text": POEM}))
    found = read(path)
    (refused,) = refusals_of(found)
    assert refused.source == f"{path}:2"
    assert reason in refused.reason
    assert [work.source for work in works_of(found)] == [f"{path}:1", f"{path}:4"]


def test_what_the_fast_parser_refuses_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "half \\ud83d", "score": NaN}\n')
    assert texts_of(read(path)) == ["half \ud83d"]


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(1, 64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_portions_of_any_size_hold_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], size: int
) -> None:
    monkeypatch.setattr(json_lines, "PORTION_BYTES", size)
    path = tmp_path / "data.jsonl"
    data = b"\n".join(json.dumps({"text": text}).encode() for text in texts)
    path.write_bytes(data)
    packed = tmp_path / "data.jsonl.gz"
    packed.write_bytes(gzip.compress(data))
    if texts:
        found = works_of(read(path))
        assert [(work.text, work.source) for work in found] == [
            (text, f"{path}:{n}") for n, text in enumerate(texts, 1)
        ]
        assert [work.text for work in works_of(read(packed))] == texts


@pytest.mark.parametrize("cut", [20, -5])
def test_a_gzip_file_cut_short_says_where(cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "PORTION_BYTES", 64)
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(lines(*({"text": f"work {n}"} for n in range(50))), mtime=0)[:cut])
    found = read(path)
    (refused,) = refusals_of(found)
    assert refused.source.startswith(f"{path}:")
    assert "the rest of a whole file" in refused.reason
    assert [work.text for work in works_of(found)] == [f"work {n}" for n in range(len(works_of(found)))]


def test_utf16_that_breaks_says_where(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes('{"text": "a"}\n'.encode("utf-16") + b"\0\xd8a")
    assert "from about here on not valid UTF-16-LE" in refusals_of(read(path))[0].reason


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", b"\n \r\n"), ("b.jsonl", b"\xef\xbb\xbf\n")])
def test_a_file_without_rows_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert texts_of(read(tmp_path / name)) == [f"{tmp_path / name}: holds no rows"]


def test_parquet_without_rows_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert "holds no rows" in texts_of(read(tmp_path / "a.parquet"))[0]


def test_parquet_without_text_names_its_columns(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"content": ["a"], "url": ["b"]}), tmp_path / "a.parquet")
    assert "no column 'text' (its columns: content, url)" in texts_of(read(tmp_path / "a.parquet"))[0]


def test_parquet_with_bad_rows(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["a", None, "c"], "id": [1, 2, 2]}), tmp_path / "a.parquet")
    first, second, third = texts_of(read(tmp_path / "a.parquet"))
    assert (first, third) == ("a", "c")
    assert second == f"{tmp_path / 'a.parquet'}:2: 'text' must be a string, not null"


def test_parquet_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from indexer.readers import parquet as reader

    monkeypatch.setattr(reader, "PORTION_BYTES", 300)
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": [f"work {n}" for n in range(1000)]}), path, row_group_size=70)
    found = read(path)
    assert len(found) > 5
    assert [work.source for work in works_of(found)] == [f"{path}:{n}" for n in range(1, 1001)]
    assert texts_of(found) == [f"work {n}" for n in range(1000)]


@pytest.mark.parametrize("damage", [0, 200])
def test_damaged_parquet_is_refused(damage: int, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": [STORY, POEM]}), path, write_page_checksum=True)
    data = path.read_bytes()
    path.write_bytes(b"junk" * 30 if damage == 0 else data[:damage] + bytes(40) + data[damage + 40 :])
    assert "cannot be read as Parquet" in refusals_of(read(path))[0].reason


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'regurgitation-guard[parquet]'" in texts_of(read(tmp_path / "a.parquet"))[0]


def test_a_portion_is_small_enough_to_send() -> None:
    assert rows.PORTION_BYTES <= 4 * 2**20
