"""Files, folders and a manifest become one ordered list, wherever the command is started."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexer_samples import STORY

from indexer.gather import GatherError, gather
from indexer.sources import FileSource, Refusal, Source


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {STORY}")
    return root


def ids(sources: list[Source]) -> list[str]:
    return [source.work.id if isinstance(source, FileSource) else str(source) for source in sources]


def test_a_folder_in_the_order_of_names(tmp_path: Path) -> None:
    library = tree(tmp_path / "library", "b.txt", "a/z.py", "a/B.md", "a.txt", "Ä.txt", ".git/x", "a/.hidden")
    found = gather([library])
    assert ids(found.sources) == ["library/a/B.md", "library/a/z.py", "library/a.txt", "library/b.txt", "library/Ä.txt"]
    assert found.hidden == 2
    assert found.size == sum(source.size for source in found.sources if isinstance(source, FileSource)) > 0


def test_ids_do_not_depend_on_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tree(tmp_path / "library", "a/b.txt", "c.txt")
    expected = ["library/a/b.txt", "library/c.txt"]
    assert ids(gather([library]).sources) == expected
    for folder, argument in ((tmp_path, "library"), (tmp_path, "./library/"), (library, "."), (library / "a", "..")):
        monkeypatch.chdir(folder)
        assert ids(gather([Path(argument)]).sources) == expected
    monkeypatch.chdir(library / "a")
    assert ids(gather([Path("b.txt")]).sources) == ids(gather([library / "a" / "b.txt"]).sources) == ["b.txt"]


def test_the_title_is_the_files_stem(tmp_path: Path) -> None:
    library = tree(tmp_path / "library", "A Book.v2.txt", "page.html.gz")
    assert [s.work.title for s in gather([library]).sources if isinstance(s, FileSource)] == ["A Book.v2", "page"]


def test_a_file_given_twice_is_taken_once(tmp_path: Path) -> None:
    library = tree(tmp_path / "library", "a.txt", "b.txt")
    (library / "c.txt").symlink_to("a.txt")
    (library / "again").symlink_to(".")
    (tmp_path / "linked").symlink_to("library")
    found = gather([library, library / "b.txt", library, tmp_path / "linked"])
    assert ids(found.sources) == ["library/a.txt", "library/b.txt"]


def test_a_link_keeps_its_own_name(tmp_path: Path) -> None:
    tree(tmp_path, "real/a.txt")
    (tmp_path / "named").symlink_to("real")
    assert ids(gather([tmp_path / "named"]).sources) == ["named/a.txt"]


def test_a_hidden_file_given_by_name_is_read(tmp_path: Path) -> None:
    assert ids(gather([tree(tmp_path, ".a.txt") / ".a.txt"]).sources) == [".a.txt"]


def test_what_cannot_be_a_work_is_refused(tmp_path: Path) -> None:
    library = tree(tmp_path / "library", "a.txt")
    (library / "broken").symlink_to("nowhere")
    os.mkfifo(library / "pipe")
    (tmp_path / "empty").mkdir()
    refused = [s for s in gather([library, tmp_path / "empty", tmp_path / "missing"]).sources if isinstance(s, Refusal)]
    assert [str(refusal).removeprefix(f"{tmp_path}/") for refusal in refused] == [
        "library/broken: cannot be read: No such file or directory",
        "library/pipe: not a regular file",
        "empty: a folder without files",
        "missing: cannot be read: No such file or directory",
    ]


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, real = tree(tmp_path / "library", "a/b.txt", "c.txt"), os.scandir

    def scandir(path: Path) -> os._ScandirIterator[str]:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return real(str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    assert ids(gather([library]).sources) == [f"{library}/a: cannot be read: Permission denied", "library/c.txt"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text(STORY)
    (source,) = gather([tmp_path]).sources
    assert isinstance(source, FileSource)
    assert source.work.id == f"{tmp_path.name}/caf\\xe9.txt"
    assert source.source == f"{tmp_path}/caf\\xe9.txt"
    assert source.path.exists()


def manifest(folder: Path, *lines: dict[str, str]) -> Path:
    path = folder / "works.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_the_manifest_describes_files_of_the_command_line(tmp_path: Path) -> None:
    library = tree(tmp_path / "library", "a.txt", "b.txt", "c.txt", "elsewhere.txt")
    lines = {"path": "b.txt", "id": "bee"}, {"path": "c.txt", "wrong": "x"}, {"text": STORY, "id": "inline"}
    found = gather([library / "a.txt", library], manifest(library, *lines)).sources
    assert isinstance(found[0], FileSource)
    assert found[0].work.id == "bee"
    assert isinstance(found[1], Refusal)
    assert ids(found[3:]) == ["a.txt", "library/elsewhere.txt"]


def test_a_manifest_alone_and_twice_the_same_file(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt")
    found = gather([], manifest(tmp_path, {"path": "a.txt", "id": "one"}, {"path": "a.txt", "id": "two"})).sources
    assert ids(found) == ["one", "two"]


def test_the_index_itself_is_not_read(tmp_path: Path) -> None:
    library = tree(tmp_path / "library", "a.txt", "index/manifest.json")
    assert ids(gather([library], out=library / "index").sources) == ["library/a.txt"]
    with pytest.raises(GatherError, match="another --out"):
        gather([library], out=tmp_path / "library" / ".." / "library")


@given(st.lists(st.lists(st.sampled_from(["a", "b", "ab", "B", "é", "a.txt"]), min_size=1, max_size=4), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_every_file_is_met_once_in_order(tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]]) -> None:
    root = tmp_path_factory.mktemp("tree") / "root"
    root.mkdir()
    made = set()
    for parts in paths:
        path = root.joinpath(*parts)
        if any((root.joinpath(*parts[:n])).is_file() for n in range(1, len(parts))) or path.is_dir():
            continue
        tree(root, "/".join(parts))
        made.add("/".join(["root", *parts]))
    found = ids(gather([root]).sources)
    if made:
        assert found == sorted(made, key=lambda name: name.split("/"))
