"""The index on disk: a directory with a manifest that names segments, each an immutable file.

A segment: magic (8 bytes), format version and header length (little-endian uint32 each), the header (JSON, UTF-8), its
SHA-256, then the sections at offsets that are multiples of a page. The header holds the recipe, the filter's design
and, for each section, offset, length and SHA-256. Sections that a reader doesn't need are skipped, so later versions
can add some (the near channel's pairs and postings) without a new format. Nothing in the files depends on time or
machine: the same works give the same bytes. No section holds text of a work.

Writing is atomic: files go to a temporary name, are synced and renamed, the manifest last; an existing index stays
whole until that last rename, whatever fails before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import ConfigError, IndexFormatError
from guard.index.bloom import BloomDesign, BloomFilter
from guard.index.grams import GramScanner
from guard.index.recipe import Recipe
from guard.index.works import WorkRecord

MAGIC: Final = b"RGUARD\r\n"  # a transfer in text mode shows at once
FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
PAGE: Final = 4096
_PREFIX: Final = struct.Struct("<8sII")
_REBUILD: Final = "build it again with `indexer build`, or restore it from a copy"


@dataclass(frozen=True, slots=True)
class Index:
    """An open index. `bloom` reads the mapped file; `digest` identifies the content (SHA-256 of the manifest).
    `scanner` serves all streams of one thread.
    """

    directory: Path
    recipe: Recipe
    bloom: BloomFilter
    works: list[WorkRecord]
    manifest: dict[str, Any]
    size_bytes: int
    digest: str
    scanner: GramScanner


def write_index(directory: Path, recipe: Recipe, bloom: BloomFilter, works: Sequence[WorkRecord]) -> Path:
    """Write an index of one segment; returns the manifest's path. Raises OSError with the old index untouched."""
    records = "".join(json.dumps(work.to_json(), ensure_ascii=False, sort_keys=True) + "\n" for work in works)
    sections = {"bloom": bloom.words.data.cast("B"), "works": memoryview(records.encode())}
    header = _header(recipe, bloom.design, sections)
    digest = hashlib.sha256(header).hexdigest()
    name = f"segment-{digest[:16]}.rgs"
    directory.mkdir(parents=True, exist_ok=True)
    segment = directory / name
    was_there = segment.exists()
    _write_atomically(segment, _segment_parts(header, sections))
    manifest = _manifest(name, digest, works)
    path = directory / MANIFEST
    try:
        _sync_folder(directory)
        _write_atomically(path, [json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"])
    except BaseException:
        if not was_there:  # no manifest names it
            segment.unlink(missing_ok=True)
        raise
    _sync_folder(directory)
    for other in directory.glob("segment-*.rgs"):
        if other.name != name:  # a reader that has it open keeps it
            other.unlink(missing_ok=True)
    return path


def _manifest(segment: str, header_sha256: str, works: Sequence[WorkRecord]) -> dict[str, Any]:
    return {
        "format": "regurgitation-guard index",
        "version": FORMAT_VERSION,
        "segments": [{"file": segment, "header_sha256": header_sha256}],
        "works": len(works),
        "letters": sum(work.letters for work in works),
        "grams": sum(work.grams for work in works),
    }


def _header(recipe: Recipe, design: BloomDesign, sections: Mapping[str, memoryview]) -> bytes:
    """The offsets stand in the header, whose length shifts them: they count from the end of the header's page."""
    table, offset = {}, 0
    for name, content in sections.items():
        table[name] = {"offset": offset, "length": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        offset += -(-len(content) // PAGE) * PAGE
    fields = {"recipe": recipe.to_json(), "bloom": design.to_json(), "sections": table}
    return json.dumps(fields, sort_keys=True).encode()


def _segment_parts(header: bytes, sections: Mapping[str, memoryview]) -> list[bytes | memoryview]:
    prefix = _PREFIX.pack(MAGIC, FORMAT_VERSION, len(header)) + header + hashlib.sha256(header).digest()
    parts: list[bytes | memoryview] = [prefix, bytes(-len(prefix) % PAGE)]
    for content in sections.values():
        parts += [content, bytes(-len(content) % PAGE)]
    return parts


def _write_atomically(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _sync_folder(directory: Path) -> None:
    """Make the renames in it last. Apart from them: when it fails they have happened."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_index(directory: Path) -> Index:
    """Map an index and check all its digests. Raises IndexFormatError with the remedy."""
    manifest, digest = _read_manifest(directory)
    segments = manifest.get("segments")
    if not isinstance(segments, list) or len(segments) != 1:
        raise IndexFormatError(f"{directory / MANIFEST}: this version reads indexes of one segment; upgrade the guard")
    try:
        path, header_sha256 = directory / segments[0]["file"], str(segments[0]["header_sha256"])
    except (KeyError, TypeError):
        raise IndexFormatError(f"{directory / MANIFEST}: damaged manifest; {_REBUILD}") from None
    header, body_offset = _read_header(path, header_sha256)
    try:
        recipe = Recipe.from_json(header["recipe"])
        design = BloomDesign(**header["bloom"])
        sections = {
            name: _checked_section(path, name, body_offset, entry) for name, entry in header["sections"].items()
        }
        bloom = BloomFilter(design, _map_words(path, *sections["bloom"]))
        works = _read_works(path, *sections["works"])
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise IndexFormatError(f"{path}: damaged header or section ({error!r}); {_REBUILD}") from error
    if manifest != _manifest(path.name, header_sha256, works):  # it has no digest, but no fact of its own either
        raise IndexFormatError(f"{directory / MANIFEST}: damaged manifest (not what its segment says); {_REBUILD}")
    scanner = GramScanner(bloom, recipe)
    return Index(directory, recipe, bloom, works, manifest, path.stat().st_size, digest, scanner)


def _read_manifest(directory: Path) -> tuple[dict[str, Any], str]:
    path = directory / MANIFEST
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise IndexFormatError(
            f"{directory}: no index there ({error.strerror}): build one with `indexer build WORK... --out {directory}`"
        ) from None
    try:
        manifest = json.loads(raw)
        version = manifest["version"]
    except (ValueError, KeyError, TypeError):
        raise IndexFormatError(f"{path}: damaged manifest; {_REBUILD}") from None
    if version != FORMAT_VERSION:
        raise IndexFormatError(
            f"{path}: format version {version}, this guard reads {FORMAT_VERSION}: upgrade the guard"
        )
    return manifest, hashlib.sha256(raw).hexdigest()


def _read_header(path: Path, expected_sha256: str) -> tuple[dict[str, Any], int]:
    """The segment's header and the offset at which its sections begin."""
    try:
        with path.open("rb") as file:
            prefix = file.read(_PREFIX.size)
            magic, version, length = _PREFIX.unpack(prefix) if len(prefix) == _PREFIX.size else (b"", 0, 0)
            if magic != MAGIC:
                raise IndexFormatError(f"{path}: not an index segment (wrong magic); {_REBUILD}")
            if version != FORMAT_VERSION:
                raise IndexFormatError(f"{path}: format version {version}, this guard reads {FORMAT_VERSION}: upgrade")
            header, digest = file.read(length), file.read(32)
    except OSError as error:
        raise IndexFormatError(f"{path}: {error.strerror}; {_REBUILD}") from None
    actual = hashlib.sha256(header)
    if actual.digest() != digest or actual.hexdigest() != expected_sha256:
        raise IndexFormatError(f"{path}: damaged header (SHA-256 differs); {_REBUILD}")
    return json.loads(header), -(-(_PREFIX.size + length + 32) // PAGE) * PAGE


def _checked_section(path: Path, name: str, body_offset: int, entry: dict[str, Any]) -> tuple[int, int]:
    """Offset in the file and length of a section whose digest is right. Read, not mapped: checking costs no memory."""
    offset, length = body_offset + int(entry["offset"]), int(entry["length"])
    digest, left = hashlib.sha256(), length
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while left and (piece := file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    if left:
        raise IndexFormatError(f"{path}: truncated: section {name} lacks {left} of {length} bytes; {_REBUILD}")
    if digest.hexdigest() != entry["sha256"]:
        raise IndexFormatError(f"{path}: damaged section {name} (SHA-256 differs); {_REBUILD}")
    return offset, length


def _map_words(path: Path, offset: int, length: int) -> NDArray[np.uint64]:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype="<u8", count=length // 8, offset=offset)


def _read_works(path: Path, offset: int, length: int) -> list[WorkRecord]:
    with path.open("rb") as file:
        file.seek(offset)
        # Not splitlines: a title may hold U+2028 or another separator that JSON leaves as it is.
        return [WorkRecord.from_json(json.loads(line)) for line in file.read(length).decode().split("\n") if line]
