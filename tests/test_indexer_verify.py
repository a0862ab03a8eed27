"""`indexer verify` and `indexer info`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indexer_samples import ESSAY, POEM, STORY

from guard import Index, open_index
from guard.index.fold import fold
from indexer.cli import main
from indexer.report import design_in_words
from indexer.verify import find


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    (folder / "library").mkdir()
    (folder / "library" / "story.txt").write_text(STORY)
    (folder / "library" / "poem.txt").write_text(POEM)
    assert main(["build", str(folder / "library"), "--out", str(folder / "index")]) == 0
    return folder


@pytest.fixture(scope="module")
def opened(built: Path) -> Index:
    return open_index(built / "index")


@given(data=st.data())
@settings(max_examples=60)
def test_every_part_of_a_work_is_found(opened: Index, data: st.DataObject) -> None:
    letters = fold(STORY)
    start = data.draw(st.integers(0, len(letters) - 23))
    end = data.draw(st.integers(start + 23, len(letters)))
    assert find(opened, letters[start:end]).whole


@pytest.mark.parametrize("text", [ESSAY, STORY[:300] + ESSAY, ESSAY + STORY, STORY + POEM[50:]])
def test_what_was_not_indexed_is_not_found(opened: Index, text: str) -> None:
    found = find(opened, fold(text))
    assert not found.whole
    assert found.share < 1


def test_the_share_counts_letters(opened: Index) -> None:
    half = find(opened, fold(STORY + ESSAY))
    assert half.share == pytest.approx(len(fold(STORY)) / len(fold(STORY + ESSAY)), abs=0.02)
    assert find(opened, fold("too short")).share == 0
    assert find(opened, fold("")).share == 0


def verify(built: Path, capsys: pytest.CaptureFixture[str], *works: object) -> tuple[int, list[str], str]:
    capsys.readouterr()
    status = main(["verify", str(built / "index"), *(["--works", *map(str, works)] if works else [])])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err


def test_verify(built: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = f"{built / 'index'}: whole (2 works, all digests right)"
    assert verify(built, capsys) == (0, [whole], "")
    library = built / "library"
    poem = f"{library}/poem.txt: found ({len(fold(POEM)):,} letters)"
    story = f"{library}/story.txt: found ({len(fold(STORY)):,} letters)"
    assert verify(built, capsys, library) == (0, [whole, poem, story], "")
    (tmp_path / "disguised.md").write_text("**" + STORY.upper().replace("o", "0") + "**")
    (tmp_path / "essay.txt").write_text(ESSAY)
    status, lines, _ = verify(built, capsys, tmp_path)
    assert status == 1
    assert "found (" in lines[1]
    assert lines[2].startswith(f"{tmp_path}/essay.txt: not found: 0.0 % of its ")
    (tmp_path / "tiny.txt").write_text("tiny")
    assert "fewer than the 20 of a gram" in verify(built, capsys, tmp_path / "tiny.txt")[1][1]
    status, lines, err = verify(built, capsys, library, tmp_path / "missing.txt")
    assert (status, lines) == (2, [whole, poem, story])
    assert err == f"indexer: {tmp_path}/missing.txt: cannot be read: No such file or directory\n"


def test_verify_finds_damage(built: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = random.Random(8)
    for name in ("manifest.json", next((built / "index").glob("*.rgs")).name):
        for _ in range(4):
            copy = tmp_path / str(rng.random())
            copy.mkdir()
            for file in (built / "index").iterdir():
                (copy / file.name).write_bytes(file.read_bytes())
            data = bytearray((copy / name).read_bytes())
            (copy / name).write_bytes(
                data[: rng.randrange(len(data) - 4096 if name.endswith("rgs") else len(data) - 1)]
            )
            assert main(["verify", str(copy)]) == 1
    assert main(["verify", str(tmp_path / "missing")]) == 1
    assert "no index there" in capsys.readouterr().err


def test_info(built: Path, capsys: pytest.CaptureFixture[str], opened: Index) -> None:
    capsys.readouterr()
    assert main(["info", str(built / "index")]) == 0
    text = capsys.readouterr().out
    letters = len(fold(STORY)) + len(fold(POEM))
    for words in (
        "works       2\n",
        f"letters     {letters:,}\n",
        design_in_words(opened.bloom.design),
        opened.digest,
        "20 letters a gram",
    ):
        assert words in text
    assert "story.txt" not in text
    assert main(["info", str(built / "index"), "--works"]) == 0
    assert "library/story.txt" in capsys.readouterr().out


def test_info_in_json(built: Path, capsys: pytest.CaptureFixture[str], opened: Index) -> None:
    capsys.readouterr()
    assert main(["info", str(built / "index"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["works"] == 2
    assert facts["grams"] == sum(work.grams for work in opened.works)
    assert facts["size_bytes"] == sum(file.stat().st_size for file in (built / "index").iterdir())
    assert facts["recipe"]["gram_letters"] == 20
    assert facts["bloom"]["false_positive_rate"] <= 1e-4
    assert facts["digest"] == opened.digest
    assert main(["info", str(built / "index"), "--json", "--works"]) == 0
    assert [work["id"] for work in json.loads(capsys.readouterr().out)["work_records"]] == [
        "library/poem.txt",
        "library/story.txt",
    ]


def test_info_of_a_missing_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"indexer: {tmp_path}: no index there")
