"""`guard scan`: what it prints for which input, its exit status, and spans that the exact oracle agrees with."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import WORKS, random_prose
from exact_oracle import Oracle, oracle_fold
from hypothesis import given
from hypothesis import strategies as st

from guard import Index, Policy
from guard.cli import main
from guard.scan import find_matches

INNOCENT = random_prose(77, 120)
EXCERPT = WORKS[0][100:500]
MIXED = f"{INNOCENT[:200]} {EXCERPT} {INNOCENT[200:]}"


class Scan:
    """Runs the command and reads what it prints."""

    def __init__(self, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.index, self.capsys = str(index), capsys
        self.errors = ""

    def __call__(self, *arguments: str | Path, expect: int) -> list[dict[str, Any]]:
        status = main(["scan", "--index", self.index, *map(str, arguments)])
        output, self.errors = self.capsys.readouterr()
        assert status == expect, self.errors
        assert "Traceback" not in self.errors
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def scan(index: Index, capsys: pytest.CaptureFixture[str]) -> Scan:
    return Scan(index.directory, capsys)


@contextlib.contextmanager
def standard_input(content: bytes) -> Iterator[None]:
    kept, (reading, writing) = os.dup(0), os.pipe()
    os.write(writing, content)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- what it finds ---


def test_a_clean_file_passes(scan: Scan, tmp_path: Path) -> None:
    file = written(tmp_path / "clean.txt", INNOCENT)
    assert scan(file, expect=0) == [{"source": str(file), "action": "pass", "spans": []}]
    assert scan.errors == ""


def test_a_run_is_found(scan: Scan, tmp_path: Path) -> None:
    file = written(tmp_path / "mixed.txt", MIXED)
    (line,) = scan(file, expect=1)
    assert (line["source"], line["action"]) == (str(file), "block")
    (span,) = line["spans"]
    assert set(span) == {"start", "end", "letters", "kind"}
    assert span["kind"] == "copy"
    assert 201 <= span["start"] <= 210
    assert abs(span["end"] - 601) <= 6
    assert abs(span["letters"] - len(oracle_fold(EXCERPT)[0])) <= 6


def test_every_run_is_found_whatever_the_action(scan: Scan, tmp_path: Path) -> None:
    file = written(tmp_path / "two.txt", f"{EXCERPT}\n{INNOCENT}\n{WORKS[1][50:400]}\r\n")
    for action in ("block", "redact"):
        (line,) = scan(file, "--action", action, expect=1)
        assert line["action"] == action
        assert len(line["spans"]) == 2


def test_spans_count_characters_not_bytes(scan: Scan, tmp_path: Path) -> None:
    shift = "白鯨\r\n𝄞 é\ufeff "
    for disguised in (EXCERPT, EXCERPT.upper(), EXCERPT.replace(" ", "\r\n"), EXCERPT.replace("a", "á")):
        plain = written(tmp_path / "plain.txt", disguised)
        shifted = written(tmp_path / "shifted.txt", shift + disguised)
        (one,), (other,) = scan(plain, expect=1), scan(shifted, expect=1)
        moved = [
            {**span, "start": span["start"] + len(shift), "end": span["end"] + len(shift)} for span in one["spans"]
        ]
        assert other["spans"] == moved


@given(seed=st.integers(0, 2**32))
def test_spans_are_those_of_the_oracle(index: Index, oracle: Oracle, seed: int) -> None:
    """Each run of the threshold in one span; at either end a span is at most S-1 letters off, and a stride more where a
    false positive makes it longer."""
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(1, 5)):
        work, start = rng.choice(WORKS[:2]), rng.randrange(3000)
        parts += [work[start : start + rng.randint(0, 400)], random_prose(rng.randrange(1000, 2000), 30)]
    text = " ".join(parts)
    places, slack = oracle_fold(text)[1], index.recipe.stride - 1
    found = [
        (sum(place < match.start for place in places), sum(place < match.end for place in places))
        for match in find_matches(index, Policy(), text)
    ]
    for run in oracle.runs(text, 128):
        assert any(first - slack <= run.first and run.last <= last + slack for first, last in found)
    runs, slack = oracle.runs(text, 124 - slack), slack + index.recipe.stride
    for first, last in found:
        inside = [run for run in runs if first <= run.first + slack and run.last - slack <= last]
        assert inside
        assert abs(min(run.first for run in inside) - first) <= slack
        assert abs(max(run.last for run in inside) - last) <= slack


@pytest.mark.parametrize(
    "disguise",
    [
        str.upper,
        lambda text: " ".join(text),
        lambda text: "**".join(text),
        lambda text: "\u200b".join(text),
        lambda text: "❶".join(text),  # a digit that isn't a letter must not make a run a table of numbers
        lambda text: "⓵.".join(text),
        lambda text: text.translate(str.maketrans("aeiost", "431057")),
        lambda text: text.translate(str.maketrans("aeopcx", "аеорсх")),
        lambda text: "".join(chr(0x1D41A + ord(char) - 97) if char.isalpha() else char for char in text),
    ],
)
def test_disguised_runs_are_found(index: Index, disguise: Any) -> None:
    (match,) = find_matches(index, Policy(), disguise(EXCERPT))
    assert match.letters >= len(oracle_fold(EXCERPT)[0]) - 6


def test_policy_flags(scan: Scan, tmp_path: Path) -> None:
    short = written(tmp_path / "short.txt", f"{INNOCENT} {WORKS[0][100:210]} {INNOCENT}")
    assert scan(short, expect=0)[0]["action"] == "pass"
    (line,) = scan(short, "--threshold", "64", "--hold-after", "24", "--action", "redact", "--marker", "#", expect=1)
    assert line["action"] == "redact"
    assert scan(short, "--threshold", "400", expect=0)[0]["spans"] == []


# --- inputs ---


def test_several_files_make_a_line_each(scan: Scan, tmp_path: Path) -> None:
    files = [written(tmp_path / f"{n}.txt", text) for n, text in enumerate((INNOCENT, MIXED, ""))]
    lines = scan(*files, expect=1)
    assert [line["source"] for line in lines] == [str(file) for file in files]
    assert [line["action"] for line in lines] == ["pass", "block", "pass"]


def test_gzip(scan: Scan, tmp_path: Path) -> None:
    file = written(tmp_path / "text.txt.gz", gzip.compress(MIXED.encode()))
    assert scan(file, expect=1)[0]["spans"]
    lines = written(tmp_path / "texts.jsonl.gz", gzip.compress(json.dumps({"text": MIXED}).encode()))
    assert scan("--jsonl", lines, expect=1)[0]["spans"]


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input(scan: Scan, arguments: list[str]) -> None:
    with standard_input(MIXED.encode()):
        (line,) = scan(*arguments, expect=1)
    assert line["source"] == "-"
    with standard_input(json.dumps({"text": MIXED}).encode()):
        (line,) = scan("--jsonl", *arguments, expect=1)
    assert line["source"] == "-:1"


def test_json_lines(scan: Scan, tmp_path: Path) -> None:
    file = written(
        tmp_path / "outputs.jsonl",
        "\n".join(
            [json.dumps({"output": INNOCENT}), "", json.dumps({"output": MIXED, "n": 1}) + "\r", '{"output": ""}']
        ),
    )
    lines = scan("--jsonl", "--field", "output", file, expect=1)
    assert [(line["source"], line["action"]) for line in lines] == [
        (f"{file}:1", "pass"),
        (f"{file}:3", "block"),
        (f"{file}:4", "pass"),
    ]


def test_separators_within_a_json_line_do_not_end_it(scan: Scan, tmp_path: Path) -> None:
    text = EXCERPT.replace(" ", "\u2028")
    file = written(tmp_path / "a.jsonl", json.dumps({"text": text}, ensure_ascii=False) + "\n")
    (line,) = scan("--jsonl", file, expect=1)
    assert line["source"] == f"{file}:1"


def test_a_byte_order_mark_before_json_lines_is_no_error(scan: Scan, tmp_path: Path) -> None:
    file = written(tmp_path / "windows.jsonl", b"\xef\xbb\xbf" + json.dumps({"text": MIXED}).encode() + b"\r\n")
    assert scan("--jsonl", file, expect=1)[0]["spans"]


def test_escaped_surrogates_are_read_as_json_means_them(scan: Scan, tmp_path: Path) -> None:
    escapes = r"\ud835\udc1a \ud800"  # a pair, and one that stands alone
    file = written(tmp_path / "a.jsonl", '{"text": "%s %s"}' % (escapes, EXCERPT))  # noqa: UP031
    (line,) = scan("--jsonl", file, expect=1)
    assert 4 <= line["spans"][0]["start"] <= 8


# --- what can't be read ---


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"{", "no JSON object with the field 'text': name the right one with --field"),
        (b'{"text": 1}', "the field 'text' holds no text"),
        (b'{"text": null}', "the field 'text' holds no text"),
        (b'{"other": "a"}', "no JSON object with the field 'text'"),
        (b'["text"]', "no JSON object with the field 'text'"),
        (b'"text"', "no JSON object with the field 'text'"),
        (b'{"text": "\xff"}', "no JSON object with the field 'text'"),
        (b"\x00\x01\x02", "no JSON object with the field 'text'"),
        (b"[" * 100_000, "no JSON object with the field 'text'"),
    ],
)
def test_a_bad_line_is_reported_and_the_others_are_scanned(
    scan: Scan, tmp_path: Path, bad: bytes, message: str
) -> None:
    good = json.dumps({"text": MIXED}).encode()
    file = written(tmp_path / "a.jsonl", b"\n".join([good, bad, good]))
    lines = scan("--jsonl", file, expect=2)
    assert [line["source"] for line in lines] == [f"{file}:1", f"{file}:3"]
    assert all(line["spans"] for line in lines)
    assert scan.errors.startswith(f"guard scan: {file}:2: {message}")
    assert scan.errors.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("latin-1.txt", "é".encode("latin-1") + EXCERPT.encode()),
        ("binary.txt", bytes(range(256))),
        ("not.gz", b"plain text"),
        ("cut.gz", gzip.compress(MIXED.encode())[:-20]),
        ("damaged.gz", gzip.compress(MIXED.encode())[:30] + b"\xff" * 500),
        ("missing.txt", None),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_and_the_others_are_scanned(
    scan: Scan, tmp_path: Path, name: str, content: bytes | None
) -> None:
    bad, good = tmp_path / name, written(tmp_path / "good.txt", MIXED)
    if content is not None:
        bad.write_bytes(content)
    lines = scan(bad, good, expect=2)
    assert [line["source"] for line in lines] == [str(good)]
    assert scan.errors.startswith(f"guard scan: {bad}: ")


def test_a_file_name_that_is_no_unicode(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / os.fsdecode(b"caf\xe9.txt"), MIXED)
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr("sys.stdout", output)
    assert main(["scan", "--index", str(index.directory), str(file)]) == 1
    output.seek(0)
    assert os.fsencode(json.loads(output.read())["source"]).endswith(b"caf\xe9.txt")


def test_a_missing_index_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--index", str(tmp_path), str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"guard scan: {tmp_path}: no index there")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--action", "drop"], "--action drop: write block or redact"),
        (["--action", "annotate"], "action annotate is not available in this version"),
        (["--threshold", "30"], "hold_after 36 must be less than threshold 30"),
        (["--hold-after", "10"], "hold_after 10 is below the index's gram of 20 letters"),
        (["--threshold", "38"], "threshold 38 is too close to hold_after 36"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_an_error(scan: Scan, tmp_path: Path, flags: list[str], message: str) -> None:
    file = written(tmp_path / "clean.txt", INNOCENT)
    assert scan(file, *flags, expect=2) == []
    assert message in scan.errors


@pytest.mark.parametrize("arguments", [[], ["--index"], ["--index", "x", "--threshold", "many"]])
def test_a_usage_error_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["scan", *arguments])
    assert caught.value.code == 2
    assert "usage: guard scan" in capsys.readouterr().err
