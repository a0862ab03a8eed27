"""`indexer build` from end to end: what is in the index, what is refused, and what the exit status says."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import random_prose
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexer_samples import ESSAY, POEM, STORY, epub_of, pdf_of

from guard import open_index
from guard.index.bloom import BloomFilter
from guard.index.fold import fold
from guard.index.grams import fingerprints
from guard.index.recipe import DEFAULT_RECIPE
from indexer.cli import main
from indexer.measure import FOLDED_AT_ONCE, letters_of
from indexer.report import design_in_words

SHORT = "A short work of only a few letters."


@dataclass
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        status = main([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        return Ran(status, captured.out, captured.err)


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def bytes_of(index: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in index.iterdir()}


def test_every_format_ends_up_in_the_index(run: Run, tmp_path: Path) -> None:
    texts = [random_prose(seed, 60) for seed in range(30, 38)]
    library = write(
        tmp_path / "library",
        a__txt=texts[0],
        b__md=f"# {texts[1]}",
        c__html=f"<p>{texts[2]}</p>",
        d__py=f"'''{texts[3]}'''",
        e__epub=epub_of([texts[4]]),
        f__pdf=pdf_of([[texts[5][at : at + 80] for at in range(0, len(texts[5]), 80)]]),
        g__jsonl=json.dumps({"text": texts[6]}),
        h__txt__gz=gzip.compress(texts[7].encode()),
    )
    ran = run("build", library, "--out", tmp_path / "index")
    assert (ran.status, ran.err) == (0, "")
    index = open_index(tmp_path / "index")
    assert [work.id for work in index.works] == [
        *(f"library/{name}" for name in ("a.txt", "b.md", "c.html", "d.py", "e.epub", "f.pdf", "g.jsonl:1", "h.txt.gz"))
    ]
    for work, text in zip(index.works, texts, strict=True):
        letters = fold(text)
        assert (work.letters, work.grams) == (len(letters), len(fingerprints(letters, DEFAULT_RECIPE)))
        assert index.bloom.contains(fingerprints(letters, DEFAULT_RECIPE)).all()


def test_the_summary(run: Run, tmp_path: Path) -> None:
    library = write(tmp_path / "library", a__txt=STORY, b__txt=STORY.upper(), c__txt=SHORT, d__txt=b"\xff")
    ran = run("build", library, "--out", tmp_path / "index")
    letters = len(fold(STORY))
    size = sum(file.stat().st_size for file in (tmp_path / "index").iterdir())
    assert ran.status == 3
    lines = ran.out.splitlines()
    assert lines[0] == f"index written to {tmp_path / 'index'}"
    facts = dict(line.strip().split(maxsplit=1) for line in lines[1:4])
    assert facts == {"works": "3", "letters": f"{2 * letters + len(fold(SHORT)):,}", "grams": facts["grams"]}
    assert f"{size / 1000:.1f} kB" in lines[4]
    design = open_index(tmp_path / "index").bloom.design
    assert design_in_words(design) in lines[5]
    once = [len(fingerprints(fold(text), DEFAULT_RECIPE)) for text in (STORY, SHORT)]
    assert design.keys == sum(once)  # the twin's grams take no room
    assert "/s per core (" in lines[6]
    assert lines[7:] == [
        "1 work shorter than the threshold of 128 letters (below 124 letters they can never be acted on):",
        f"  library/c.txt ({len(fold(SHORT))} letters)",
        "1 work with the same letters as an earlier one (both are kept):",
        "  library/b.txt = library/a.txt",
        "1 refused:",
        f"  {library}/d.txt: not valid UTF-8: 0xFF at byte 0 (line 1); "
        "give --encoding NAME, such as cp1252, or convert it",
    ]


def test_bad_works_are_refused_and_the_others_built(run: Run, tmp_path: Path) -> None:
    library = write(
        tmp_path / "library",
        good__txt=STORY,
        empty__txt="",
        blank__txt=" \n\n",
        binary__bin=bytes(range(256)),
        picture__png=b"\x89PNG\r\n\x1a\n\0\0",
        short__txt="nineteen letters on it",
        latin__txt="na\xefve".encode("latin-1"),
        broken__epub=b"PK",
        broken__pdf=b"%PDF",
    )
    manifest = write(
        tmp_path,
        works__jsonl='{"path": "library/good.txt", "id": "good"}\n{"path": \n{"text": "' + POEM + '", "id": "good"}',
    )
    ran = run("build", library, "--manifest", manifest / "works.jsonl", "--out", tmp_path / "index")
    assert ran.status == 3
    assert [work.id for work in open_index(tmp_path / "index").works] == ["good"]
    refused = [line.removeprefix(f"  {tmp_path}/") for line in ran.out.splitlines() if line.startswith(f"  {tmp_path}")]
    assert [line.partition(" (")[0] for line in refused] == [
        "works.jsonl:2: not valid JSON: Expecting value at column 10",
        "works.jsonl:3: its id 'good' is that of " + f"{tmp_path}/works.jsonl:1",
        "library/binary.bin: binary, not text: it has NUL bytes and isn't UTF-8 from byte 128",
        "library/blank.txt: no letters: shorter than a gram of 20, it could never be matched",
        "library/broken.epub: cannot be read as EPUB",
        "library/broken.pdf: cannot be read as PDF",
        "library/empty.txt: empty",
        "library/latin.txt: not valid UTF-8: 0xEF at byte 2",
        "library/picture.png: binary, not text: it has NUL bytes and isn't UTF-8 from byte 0",
        "library/short.txt: only 19 letters: shorter than a gram of 20, it could never be matched",
    ]
    assert "10 refused:" in ran.out


def test_nothing_built_leaves_nothing(run: Run, tmp_path: Path) -> None:
    library = write(tmp_path / "library", a__txt="")
    ran = run("build", library, tmp_path / "missing", "--out", tmp_path / "new" / "index")
    assert ran.status == 2
    assert ran.out.startswith("nothing was built")
    assert "2 refused:" in ran.out
    assert not (tmp_path / "new").exists()


def test_strict_stops_at_the_first_refusal(run: Run, tmp_path: Path) -> None:
    library = write(tmp_path / "library", a__txt=STORY, b__txt="", c__txt=b"\xff")
    ran = run("build", library, "--out", tmp_path / "index", "--strict")
    assert (ran.status, ran.out) == (2, "")
    assert f"{library}/b.txt: empty" in ran.err
    assert "c.txt" not in ran.err
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("broken", ["refusals", "strict", "rate", "encoding"])
def test_an_index_that_was_there_survives(broken: str, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "index"
    assert run("build", write(tmp_path / "library", a__txt=STORY), "--out", out).status == 0
    before = bytes_of(out)
    commands: dict[str, list[object]] = {
        "refusals": [write(tmp_path / "bad", a__txt="")],
        "strict": [write(tmp_path / "half", a__txt=POEM, b__txt=""), "--strict"],
        "rate": [tmp_path / "library", "--false-positive-rate", "0.9"],
        "encoding": [tmp_path / "library", "--encoding", "utf-32"],
    }
    assert run("build", *commands[broken], "--out", out).status == 2
    assert bytes_of(out) == before
    open_index(out)


def test_a_new_index_replaces_the_old_one(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run("build", write(tmp_path / "one", a__txt=STORY), "--out", out)
    assert run("build", write(tmp_path / "two", b__txt=POEM), "--out", out).status == 0
    assert [work.id for work in open_index(out).works] == ["two/b.txt"]
    assert len(bytes_of(out)) == 2


def test_a_folder_of_something_else_is_not_written_over(run: Run, tmp_path: Path) -> None:
    library = write(tmp_path / "library", a__txt=STORY)
    other = write(tmp_path / "site", manifest__json='{"name": "my web app"}')
    ran = run("build", library, "--out", other)
    assert (ran.status, ran.err) == (
        2,
        f"indexer: {other}/manifest.json belongs to something else: it isn't overwritten; give another --out\n",
    )
    assert bytes_of(other) == {"manifest.json": b'{"name": "my web app"}'}
    assert run("build", library, "--out", library / "a.txt").status == 2
    assert run("build", library, "--out", library).status == 2
    assert bytes_of(library) == {"a.txt": STORY.encode()}


def test_a_damaged_index_can_be_built_anew(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "index"
    library = write(tmp_path / "library", a__txt=STORY)
    run("build", library, "--out", out)
    (out / "manifest.json").write_bytes(b"")
    assert run("build", library, "--out", out).status == 0
    open_index(out)


def test_the_encoding_can_be_given(run: Run, tmp_path: Path) -> None:
    library = write(tmp_path / "library", a__txt=("naïve café " + STORY).encode("cp1252"))
    assert run("build", library, "--out", tmp_path / "index", "--encoding", "cp1252").status == 0


def test_titles_with_any_character_come_back(run: Run, tmp_path: Path) -> None:
    titles = ["line\u2028separator\x85", "tab\tand\nnewline", "日本語", '"quotes" \\ and /']
    rows = "\n".join(json.dumps({"text": STORY, "id": str(n), "title": title}) for n, title in enumerate(titles))
    write(tmp_path, works__jsonl=rows)
    assert run("build", tmp_path / "works.jsonl", "--out", tmp_path / "index").status == 0
    assert [work.title for work in open_index(tmp_path / "index").works] == titles


def test_rows_and_manifest_defaults_go_together(run: Run, tmp_path: Path) -> None:
    write(tmp_path, rows__jsonl="\n".join(json.dumps({"text": text, "licence": "x"}) for text in (STORY, POEM)))
    write(tmp_path, works__jsonl='{"path": "rows.jsonl", "id": "set", "author": "A", "licence": "y"}')
    assert run("build", "--manifest", tmp_path / "works.jsonl", "--out", tmp_path / "index").status == 0
    works = open_index(tmp_path / "index").works
    assert [(work.id, work.author, work.licence) for work in works] == [("set:1", "A", "x"), ("set:2", "A", "x")]


def test_no_works_is_an_error(run: Run, tmp_path: Path) -> None:
    ran = run("build", "--out", tmp_path / "index")
    assert (ran.status, ran.err) == (2, "indexer: no works: name files or folders, or a --manifest\n")


@given(st.text(max_size=300))
def test_letters_do_not_depend_on_where_the_fold_is_cut(text: str) -> None:
    long = text * (1 + FOLDED_AT_ONCE // max(1, len(text)))
    assert letters_of(long).tobytes() == fold(long).tobytes()


@given(seeds=st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_filter_holds_every_gram_of_every_work(tmp_path_factory: pytest.TempPathFactory, seeds: list[int]) -> None:
    folder = tmp_path_factory.mktemp("build")
    library = write(folder / "library", **{f"w{seed}__txt": random_prose(seed, 50) for seed in seeds})
    assert main(["build", str(library), "--out", str(folder / "index")]) == 0
    index = open_index(folder / "index")
    prints = [fingerprints(fold(random_prose(seed, 50)), DEFAULT_RECIPE) for seed in seeds]
    expected = BloomFilter.for_capacity(sum(map(len, prints)), 1e-4)
    for each in prints:
        expected.add(each)
    assert index.bloom.words.tobytes() == expected.words.tobytes()


def test_identical_for_any_number_of_jobs(run: Run, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"w{n}__txt": random_prose(n, 30 + n) for n in range(60, 90)}
    library = write(
        tmp_path / "library", **files, rows__jsonl=f'{{"text": "{ESSAY}"}}\n' * 3, bad__txt=b"\xff", twin__txt=STORY
    )
    one = run("build", library, "--out", tmp_path / "one", "--jobs", "1")
    two = run("build", library, "--out", tmp_path / "two", "--jobs", "2")
    assert (one.status, two.status) == (3, 3)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert one.out.split("same letters")[1] == two.out.split("same letters")[1]
    assert two.err == ""
