"""From the command line's files, folders and manifest to one ordered list of sources, the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from guard.errors import GuardError
from guard.index.works import WorkRecord
from indexer.describe import printable
from indexer.manifest import read_manifest
from indexer.readers import READERS, stem_of, suffix_of
from indexer.sources import FileSource, Refusal, Source


class GatherError(GuardError):
    """The command line asks for something that can't be meant."""


@dataclass(slots=True)
class Gathered:
    """`sources` in input order; `hidden`: entries of folders left out because their name begins with a dot."""

    sources: list[Source] = field(default_factory=list)
    hidden: int = 0

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(source.size for source in self.sources if not isinstance(source, Refusal))

    @property
    def effort(self) -> int:
        """Size in bytes of plain text that cost as much to read: markup and PDF cost about ten times as much."""
        files = (source for source in self.sources if isinstance(source, FileSource))
        return self.size + sum(9 * file.size for file in files if suffix_of(file.path) in READERS)


def gather(works: Sequence[Path], manifest: Path | None = None, out: Path | None = None) -> Gathered:
    """The manifest's works in its order, then those files of `works` that it doesn't name, each a work of its own.

    A file given twice, or through a link, is taken once. `out`, the index to be written, is never read. Raises
    GatherError if it is one of the folders to read, ManifestError if the manifest can't be read.
    """
    walk = _Walk(out)
    if manifest is not None:
        for source, named in read_manifest(manifest):
            walk.found.sources.append(source)
            if named is not None:
                walk.taken.add(named)
        walk.taken.add(manifest.resolve())
    for work in works:
        walk.add(work)
    return walk.found


class _Walk:
    """All paths in it are real ones, so that a file is known again by whatever way it is reached."""

    def __init__(self, out: Path | None) -> None:
        self.found = Gathered()
        self.taken: set[Path] = set()
        self.out = out.resolve() if out else None
        self.met = 0  # files and troubles, those already taken included

    def add(self, work: Path) -> None:
        """One argument. Ids count from the folder that holds it, so they don't depend on the current directory."""
        real, shown = work.resolve(), printable(str(work))
        if real == self.out:
            raise GatherError(f"{shown}: the index can't be written into a folder of works: give another --out")
        name = os.path.basename(os.path.normpath(work.absolute()))  # noqa: PTH119  (a link keeps its own name)
        if not real.is_dir():
            self._file(real, shown, name)
        elif real not in self.taken:
            before = self.met
            self._folder(real, shown, name)
            if self.met == before:
                self.found.sources.append(Refusal(shown, "a folder without files"))

    def _folder(self, real: Path, shown: str, identity: str) -> None:
        if real in self.taken or real == self.out:
            return
        self.taken.add(real)
        for entry, is_folder in self._entries(real, shown):
            inner = Path(entry.path).resolve() if entry.is_symlink() else Path(entry.path)
            visit = self._folder if is_folder else self._file
            visit(inner, f"{shown.rstrip('/')}/{printable(entry.name)}", f"{identity}/{entry.name}")

    def _entries(self, real: Path, shown: str) -> Iterator[tuple[os.DirEntry[str], bool]]:
        """In the order of their names, which is that of code points whatever the locale."""
        try:
            with os.scandir(real) as scan:
                entries = [(entry, entry.is_dir()) for entry in scan]
        except OSError as error:
            self.met += 1
            self.found.sources.append(Refusal.unopened(shown, error))
            return
        visible = [entry for entry in entries if not entry[0].name.startswith(".")]
        self.found.hidden += len(entries) - len(visible)
        yield from sorted(visible, key=lambda entry: entry[0].name)

    def _file(self, real: Path, shown: str, identity: str) -> None:
        self.met += 1
        if real not in self.taken:
            self.taken.add(real)
            self.found.sources.append(_file_source(real, shown, printable(identity)))


def _file_source(path: Path, shown: str, identity: str) -> Source:
    try:
        size = path.stat().st_size
    except OSError as error:
        return Refusal.unopened(shown, error)
    if not path.is_file():
        return Refusal(shown, "not a regular file")
    return FileSource(shown, path, size, WorkRecord(id=identity, title=stem_of(Path(identity))))
