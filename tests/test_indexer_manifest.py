"""The manifest: what a line may say, and that a bad line is refused by its number while the others are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from indexer_samples import STORY, texts_of

from indexer.batches import pieces
from indexer.manifest import ManifestError, read_manifest
from indexer.sources import FileSource, InlineSource, Refusal, Source


def manifest_of(folder: Path, *lines: bytes | dict[str, Any]) -> Path:
    path = folder / "works.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


def sources_of(manifest: Path) -> list[Source]:
    return [source for source, _ in read_manifest(manifest)]


def test_paths_count_from_the_manifests_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text(STORY)
    line = {"path": "sub/a.txt", "id": "a", "title": "T", "author": "A", "rights_holder": "R", "licence": "L"}
    manifest = manifest_of(tmp_path, line | {"status": "licensed", "source": "S"}, {"path": "./sub/../sub/a.txt"})
    full, bare = sources_of(manifest)
    assert isinstance(full, FileSource)
    assert isinstance(bare, FileSource)
    assert (full.work.id, full.work.title, full.work.status, full.work.source) == ("a", "T", "licensed", "S")
    assert (full.work.author, full.work.rights_holder, full.work.licence) == ("A", "R", "L")
    assert (bare.work.id, bare.work.title, bare.work.status) == ("sub/a.txt", "a", "protected")
    assert texts_of(list(pieces([full, bare], None))) == [STORY, STORY]


def test_a_text_in_the_line(tmp_path: Path) -> None:
    manifest = manifest_of(
        tmp_path, b"\xef\xbb\xbf" + json.dumps({"text": "one"}).encode(), b"", {"text": "two", "id": "x"}
    )
    found = sources_of(manifest)
    assert [source.work.id for source in found if isinstance(source, InlineSource)] == ["works.jsonl:1", "x"]
    assert texts_of(list(pieces(found, None))) == ["one", "two"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"path": "a.txt"', "not valid JSON: Expecting ',' delimiter at column 17"),
        (b'["a.txt"]', "must be a JSON object, not a list"),
        (
            b'{"path": "a.txt", "autor": "x", "licens": "y"}',
            "unknown key 'autor', 'licens': the keys are path, text, id",
        ),
        (b'{"path": "a.txt", "text": "x"}', "either 'path' or 'text', and has both"),
        (b'{"id": "a"}', "either 'path' or 'text', and has neither"),
        (b'{"path": 5}', "'path' must be a string, not a number"),
        (b'{"path": ""}', "'path' '' is no path"),
        (b'{"path": "a\\u0000b"}', "is no path"),
        (b'{"path": "\\ud800"}', "is no path"),
        (b'{"text": ["x"]}', "'text' must be a string, not a list"),
        (b'{"path": "a.txt", "id": 5}', "'id' must be a string, not a number"),
        (b'{"path": "a.txt", "status": ""}', "'status' is empty"),
        (b'{"path": "a.txt", "title": "\\udfff"}', "surrogate"),
        (b'{"path": "missing.txt"}', "cannot be read: No such file"),
        (b'{"path": "."}', "is a folder: a manifest line names one file"),
        (b'{"path": "a.txt", "title": "\xff"}', "not valid UTF-8: 0xFF at byte 28 (line 2)"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(line: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(STORY)
    manifest = manifest_of(tmp_path, {"path": "a.txt", "id": "first"}, line, {"text": "third"})
    first, bad, third = sources_of(manifest)
    assert not isinstance(first, Refusal)
    assert not isinstance(third, Refusal)
    assert isinstance(bad, Refusal)
    assert bad.source.startswith(f"{manifest}:2")
    assert reason in bad.reason


def test_a_refused_line_still_claims_its_file(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, {"path": "a.txt", "autor": "x"}, {"path": "b.txt"})
    assert [named for _, named in read_manifest(manifest)] == [tmp_path / "a.txt", tmp_path / "b.txt"]


def test_a_manifest_that_changes_while_it_is_read(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, {"text": "one"}, {"text": "two"})
    found = sources_of(manifest)
    manifest.write_bytes(b'{"text": 5}   \n')
    first, second = texts_of(list(pieces(found, None)))
    assert "must be a string" in first
    assert f"{manifest}:2: " in second
    manifest.unlink()
    assert "cannot be read: No such file" in texts_of(list(pieces(found, None)))[0]


def test_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"No such file.*--manifest"):
        sources_of(tmp_path / "missing.jsonl")
    with pytest.raises(ManifestError, match="directory"):
        sources_of(tmp_path)
    (tmp_path / "wide.jsonl").write_bytes('{"text": "a"}'.encode("utf-16"))
    with pytest.raises(ManifestError, match="UTF-16-LE: convert it to UTF-8"):
        sources_of(tmp_path / "wide.jsonl")
