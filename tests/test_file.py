"""The index on disk: the same after a round trip, whole or refused, and never harmed by a failed build."""

from __future__ import annotations

import contextlib
import errno
import gc
import hashlib
import json
import os
import resource
import shutil
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import WORKS, make_index, random_prose

from guard.errors import GuardError, IndexFormatError
from guard.index.bloom import BloomFilter
from guard.index.file import FORMAT_VERSION, MAGIC, MANIFEST, PAGE, Index, open_index, write_index
from guard.index.fold import fold
from guard.index.grams import fingerprints
from guard.index.recipe import DEFAULT_RECIPE, Recipe
from guard.index.works import WorkRecord

PRINTS = fingerprints(fold(WORKS[0]), DEFAULT_RECIPE)
RECORDS = [
    WorkRecord(id="a", title="A Title\u2028of two lines\n", author="Ä. Üthor", letters=3000, grams=len(PRINTS)),
    WorkRecord(id="b", status="licensed", source="b.txt", letters=7),
]


def write(directory: Path, records: list[WorkRecord] = RECORDS, recipe: Recipe = DEFAULT_RECIPE) -> Path:
    bloom = BloomFilter.for_capacity(len(PRINTS), 1e-2)
    bloom.add(PRINTS)
    return write_index(directory, recipe, bloom, records)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "index")
    return tmp_path / "index"


def segment_of(folder: Path) -> Path:
    (segment,) = folder.glob("segment-*.rgs")
    return segment


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def facts(index: Index) -> tuple[object, ...]:
    return index.recipe, index.works, index.manifest, index.bloom.design, index.bloom.words.tobytes()


def test_round_trip(folder: Path) -> None:
    index = open_index(folder)
    bloom = BloomFilter.for_capacity(len(PRINTS), 1e-2)
    bloom.add(PRINTS)
    assert (index.directory, index.recipe, index.works) == (folder, DEFAULT_RECIPE, RECORDS)
    assert index.bloom.design == bloom.design
    assert np.array_equal(index.bloom.words, bloom.words)
    assert index.bloom.contains(PRINTS).all()
    assert index.size_bytes == segment_of(folder).stat().st_size
    assert {key: index.manifest[key] for key in ("works", "letters", "grams")} == {
        "works": 2,
        "letters": 3007,
        "grams": len(PRINTS),
    }


def test_the_recipe_comes_from_the_index(tmp_path: Path) -> None:
    recipe = Recipe(gram_letters=16, stride=3, seed=9)
    write(tmp_path, recipe=recipe)
    assert open_index(tmp_path).recipe == recipe
    assert open_index(tmp_path).scanner.recipe == recipe


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write(tmp_path / name)
    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert open_index(tmp_path / "first").digest == open_index(tmp_path / "second").digest


def test_other_input_gives_another_digest(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", RECORDS[:1])
    write(tmp_path / "seed", recipe=Recipe(seed=1))
    assert len({open_index(path).digest for path in (folder, tmp_path / "other", tmp_path / "seed")}) == 3


def test_the_layout_is_as_written_down(folder: Path) -> None:
    raw = segment_of(folder).read_bytes()
    magic, version, length = struct.unpack_from("<8sII", raw)
    assert (magic, version) == (b"RGUARD\r\n", 1) == (MAGIC, FORMAT_VERSION)
    header = json.loads(raw[16 : 16 + length])
    assert set(header) == {"recipe", "bloom", "sections"}
    body = -(-(16 + length + 32) // PAGE) * PAGE
    for entry in header["sections"].values():
        assert entry["offset"] % PAGE == 0
        assert body + entry["offset"] + entry["length"] <= len(raw)
    assert len(raw) % PAGE == 0


def test_the_filter_is_mapped_not_read(folder: Path) -> None:
    words = open_index(folder).bloom.words
    assert not words.flags.owndata
    assert not words.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        words[0] = 1


def test_an_open_index_leaves_no_file_open(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        before = len(list(Path("/proc/self/fd").iterdir()))
        index = open_index(folder)
        gc.collect()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1  # the mapping's own
        del index


def test_the_index_holds_no_text_of_the_works(tmp_path: Path) -> None:
    make_index(tmp_path, WORKS)
    words = {word.strip(",.") for work in WORKS for word in work.split()}
    words = {word for word in words if len(word) > 5}
    assert len(words) > 200
    for raw in content(tmp_path).values():
        for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
            found = [word for word in words for form in (word, word.upper()) if form.encode(encoding) in raw]
            assert found == []


# --- damage ---


def refused_or_unchanged(folder: Path, expected: tuple[object, ...]) -> bool:
    """True where it is refused; a damage that doesn't show, as in the padding, must change no answer."""
    try:
        index = open_index(folder)
    except IndexFormatError:
        return True
    assert facts(index) == expected
    return False


def test_a_flipped_byte_anywhere_is_noticed(folder: Path) -> None:
    expected, segment = facts(open_index(folder)), segment_of(folder)
    raw = segment.read_bytes()
    _, _, length = struct.unpack_from("<8sII", raw)
    covered = 16 + length + 32
    sections = json.loads(raw[16 : 16 + length])["sections"].values()
    body = -(-covered // PAGE) * PAGE
    inside = [at for e in sections for at in range(body + e["offset"], body + e["offset"] + e["length"], 97)]
    ends = [body + entry["offset"] + entry["length"] - 1 for entry in sections]
    flipped = bytearray(raw)
    for at in [*range(0, 64), *range(64, covered, 7), *inside, *ends]:
        for bits in (0x01, 0x80):
            flipped[at] ^= bits
            segment.write_bytes(flipped)
            assert refused_or_unchanged(folder, expected), f"byte {at} ^ {bits:#x}"
            flipped[at] ^= bits
    for at in (covered, body - 1, len(raw) - 1):  # padding
        flipped[at] ^= 0xFF
        segment.write_bytes(flipped)
        refused_or_unchanged(folder, expected)
        flipped[at] ^= 0xFF


def test_a_flipped_byte_of_the_manifest_is_noticed(folder: Path) -> None:
    expected, path = facts(open_index(folder)), folder / MANIFEST
    raw = path.read_bytes()
    for at in range(len(raw)):
        for bits in (0x01, 0x20):
            path.write_bytes(raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :])
            noticed = refused_or_unchanged(folder, expected)
            assert noticed or raw[at : at + 1].isspace(), f"byte {at} ^ {bits:#x}"


@pytest.mark.parametrize("name", ["segment", "manifest"])
def test_a_truncated_file_is_noticed(folder: Path, name: str) -> None:
    expected = facts(open_index(folder))
    path = segment_of(folder) if name == "segment" else folder / MANIFEST
    raw = path.read_bytes()
    end = len(raw.rstrip(b"\0" if name == "segment" else b"\n"))  # without the padding
    for length in [*range(0, min(end, 700), 11), *range(700, end, 997), end - 1]:
        path.write_bytes(raw[:length])
        assert refused_or_unchanged(folder, expected), f"cut to {length} bytes"
    for harmless in (raw[:end], raw + b"\n"):
        path.write_bytes(harmless)
        assert not refused_or_unchanged(folder, expected)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"", "damaged manifest"),
        (b"\xff\xfe", "damaged manifest"),
        (b"[]", "damaged manifest"),
        (b"null", "damaged manifest"),
        (b"{}", "damaged manifest"),
        (b'{"version": 2}', r"format version 2, this guard reads 1: upgrade the guard"),
        (b'{"version": "1"}', r"format version 1, this guard reads 1: upgrade the guard"),
        (b'{"version": 1, "segments": [{}, {}]}', "indexes of one segment; upgrade the guard"),
        (b'{"version": 1, "segments": []}', "indexes of one segment"),
        (b'{"version": 1, "segments": [{}]}', "damaged manifest"),
        (b'{"version": 1, "segments": ["x"]}', "damaged manifest"),
        (b'{"version": 1, "segments": [{"file": 3, "header_sha256": ""}]}', "damaged manifest"),
        (b'{"version": 1, "segments": [{"file": "x.rgs", "header_sha256": ""}]}', "No such file .* build it again"),
        (b'{"version": 1, "segments": [{"file": "", "header_sha256": ""}]}', "build it again"),
    ],
)
def test_a_manifest_that_is_none(folder: Path, manifest: bytes, message: str) -> None:
    (folder / MANIFEST).write_bytes(manifest)
    with pytest.raises(IndexFormatError, match=message) as caught:
        open_index(folder)
    assert str(folder) in str(caught.value)


def test_a_segment_of_a_newer_version_is_refused(folder: Path) -> None:
    segment = segment_of(folder)
    raw = bytearray(segment.read_bytes())
    struct.pack_into("<I", raw, 8, FORMAT_VERSION + 1)
    segment.write_bytes(raw)
    with pytest.raises(IndexFormatError, match=f"format version {FORMAT_VERSION + 1}, this guard reads .* upgrade"):
        open_index(folder)


def test_a_file_that_is_no_segment_is_refused(folder: Path) -> None:
    segment_of(folder).write_bytes(b"PK\x03\x04" + bytes(100_000))
    with pytest.raises(IndexFormatError, match=r"not an index segment .* build it again"):
        open_index(folder)


def test_a_segment_of_another_index_is_refused(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", RECORDS[:1])
    shutil.copy(segment_of(tmp_path / "other"), segment_of(folder))
    with pytest.raises(IndexFormatError, match="damaged header"):
        open_index(folder)


def test_a_missing_segment_is_refused(folder: Path) -> None:
    segment_of(folder).unlink()
    with pytest.raises(IndexFormatError, match="No such file or directory; build it again"):
        open_index(folder)


def test_a_missing_index_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(IndexFormatError, match=f"{folder}: no index there .* --out {folder}") as caught:
            open_index(folder)
        assert isinstance(caught.value, GuardError)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(IndexFormatError, match="no index there"):
        open_index(file)


def rewritten(folder: Path, **changes: object) -> None:
    """Change the header of a segment and make all digests right again: what a later version might write."""
    path, raw = segment_of(folder), segment_of(folder).read_bytes()
    _, _, length = struct.unpack_from("<8sII", raw)
    header = json.loads(raw[16 : 16 + length])
    body = raw[-(-(16 + length + 32) // PAGE) * PAGE :]
    header.update(changes)
    encoded = json.dumps(header, sort_keys=True).encode()
    prefix = struct.pack("<8sII", MAGIC, FORMAT_VERSION, len(encoded)) + encoded + hashlib.sha256(encoded).digest()
    path.write_bytes(prefix + bytes(-len(prefix) % PAGE) + body)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["segments"][0]["header_sha256"] = hashlib.sha256(encoded).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def header_of(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    raw = segment_of(folder).read_bytes()
    return json.loads(raw[16 : 16 + struct.unpack_from("<8sII", raw)[2]])  # type: ignore[no-any-return]


def test_sections_of_later_versions_are_skipped(folder: Path) -> None:
    before = open_index(folder)
    sections = header_of(folder)["sections"]
    rewritten(folder, sections={**sections, "pairs": sections["works"]}, tokens={})
    after = open_index(folder)
    assert (after.works, after.bloom.words.tobytes()) == (before.works, before.bloom.words.tobytes())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {**DEFAULT_RECIPE.to_json(), "fold_digest": "f" * 16}}, "built with fold ffffffffffffffff"),
        ({"recipe": {**DEFAULT_RECIPE.to_json(), "pairs": 3}}, "not known to this version"),
        ({"recipe": []}, "not known to this version"),
        ({"bloom": {}}, "damaged header"),
        ({"bloom": {"keys": 10**9, "bits_per_key": 22.0, "probes": 12, "false_positive_rate": 1e-4}}, "needs .* bytes"),
        ({"sections": {}}, "damaged header"),
    ],
)
def test_a_header_that_this_version_cannot_follow_is_refused(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    rewritten(folder, **changes)
    with pytest.raises(IndexFormatError, match=message):
        open_index(folder)


# --- writing ---


def test_a_new_index_replaces_the_old_one(folder: Path) -> None:
    before = segment_of(folder).name
    write(folder, RECORDS[:1])
    assert segment_of(folder).name != before  # the only one
    assert open_index(folder).works == RECORDS[:1]
    assert sorted(content(folder)) == [MANIFEST, segment_of(folder).name]


def test_writing_the_same_index_again_changes_nothing(folder: Path) -> None:
    before = content(folder)
    write(folder)
    assert content(folder) == before


def test_readers_of_the_old_index_go_on(folder: Path) -> None:
    index = open_index(folder)
    before = facts(index)
    write(folder, RECORDS[:1], Recipe(seed=3))
    assert facts(index) == before
    assert index.bloom.contains(PRINTS).all()


def test_other_files_in_the_folder_stay(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    write(folder, RECORDS[:1])
    assert (folder / "notes.txt").read_text() == "mine"


@contextlib.contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """What a full disk is to one process: writes past the limit fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size_bytes", [0, 100, 5000, 9000])
def test_a_full_disk_leaves_the_old_index_whole(folder: Path, size_bytes: int) -> None:
    before = content(folder)
    with file_size_limit(size_bytes), pytest.raises(OSError, match="File too large") as caught:
        write(folder, RECORDS[:1])
    assert caught.value.errno == errno.EFBIG
    assert content(folder) == before


def test_a_full_disk_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with file_size_limit(5000), pytest.raises(OSError, match="File too large"):
        write(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace", "unlink"])
@pytest.mark.parametrize("nth", range(4))
def test_wherever_writing_fails_an_index_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    """The old one, as it was, or the new one once its manifest has its name; and no temporary file."""
    old, before = facts(open_index(folder)), content(folder)
    owner = os if call == "fsync" else Path
    real, calls = getattr(owner, call), 0

    def failing(*args: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == nth + 1:
            raise OSError(errno.EIO, "Input/output error")
        return real(*args, **options)

    monkeypatch.setattr(owner, call, failing)
    with contextlib.suppress(OSError):
        write(folder, RECORDS[:1])
    monkeypatch.undo()
    found = open_index(folder)
    assert (facts(found), content(folder)) == (old, before) or found.works == RECORDS[:1]
    assert not list(folder.glob(".*"))
    write(folder, RECORDS[:1])  # and the next try works and tidies up
    assert sorted(content(folder)) == [MANIFEST, segment_of(folder).name]
    assert open_index(folder).works == RECORDS[:1]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "index")


def test_an_index_without_works_can_be_opened(tmp_path: Path) -> None:
    write_index(tmp_path, DEFAULT_RECIPE, BloomFilter.for_capacity(0, 1e-4), [])
    index = open_index(tmp_path)
    assert index.works == []
    state = index.scanner.start()
    assert index.scanner.scan(random_prose(5, 100), state) == 0
