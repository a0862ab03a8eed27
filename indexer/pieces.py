"""The input cut into pieces that a worker can be given: each reads itself and yields its works or their refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from guard.errors import WorkRefused
from guard.index.works import WorkRecord
from indexer.describe import described, kind_of, with_fields
from indexer.readers import read_work
from indexer.readers.json_lines import parse_line
from indexer.readers.rows import Lines, Table
from indexer.sources import FileSource, InlineSource, Refusal

OUT_OF_MEMORY: Final = "not enough memory to read it as one work: split it, or try fewer --jobs"


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one work, read from `size` bytes."""

    source: str
    work: WorkRecord
    text: str
    size: int


class Piece(Protocol):
    """`size`: bytes of text, roughly; `advance`: bytes of the input on disk that the piece stands for."""

    @property
    def size(self) -> int: ...

    @property
    def advance(self) -> int: ...

    def texts(self) -> Iterator[Text | Refusal]:
        """The works in it. A bad one is a Refusal, never an exception."""
        ...


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A file that is one work."""

    file: FileSource
    encoding: str | None

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def advance(self) -> int:
        return self.file.size

    def texts(self) -> Iterator[Text | Refusal]:
        try:
            text, size = read_work(self.file.path, self.file.source, self.encoding)
            yield Text(self.file.source, self.file.work, text, size)
        except WorkRefused as error:
            yield Refusal.of(error)
        except OSError as error:
            yield Refusal.unopened(self.file.source, error)
        except MemoryError:
            yield Refusal(self.file.source, OUT_OF_MEMORY)


@dataclass(frozen=True, slots=True)
class InlinePiece:
    """A manifest line that holds its text."""

    line: InlineSource

    @property
    def size(self) -> int:
        return self.line.size

    @property
    def advance(self) -> int:
        return self.line.size

    def texts(self) -> Iterator[Text | Refusal]:
        try:
            with self.line.manifest.open("rb") as file:
                file.seek(self.line.offset)
                fields = parse_line(file.read(self.line.size), "utf-8", self.line.source, 1)
            yield Text(self.line.source, self.line.work, _text(fields, self.line.source), self.line.size)
        except WorkRefused as error:
            yield Refusal.of(error)
        except OSError as error:
            yield Refusal.unopened(self.line.source, error)


@dataclass(frozen=True, slots=True)
class LinesPiece:
    """Some lines of a JSON lines file."""

    file: FileSource
    lines: Lines

    @property
    def size(self) -> int:
        return len(self.lines.data)

    @property
    def advance(self) -> int:
        return self.lines.advance

    def texts(self) -> Iterator[Text | Refusal]:
        for number, line in enumerate(self.lines.data.split(b"\n"), self.lines.first):
            if not line or line.isspace():
                continue
            source = f"{self.file.source}:{number}"
            try:
                fields = parse_line(line, self.lines.encoding, source, number)
                yield _row(self.file, number, source, fields, len(line) + 1)
            except WorkRefused as error:
                yield Refusal.of(error)


@dataclass(frozen=True, slots=True)
class TablePiece:
    """Some rows of a Parquet file."""

    file: FileSource
    table: Table

    @property
    def size(self) -> int:
        return self.table.size

    @property
    def advance(self) -> int:
        return self.table.advance

    def texts(self) -> Iterator[Text | Refusal]:
        for number, fields in enumerate(self.table.rows, self.table.first):
            source = f"{self.file.source}:{number}"
            try:
                row = _row(self.file, number, source, fields, 0)
                yield replace(row, size=len(row.text.encode("utf-8", "surrogatepass")))
            except WorkRefused as error:
                yield Refusal.of(error)


@dataclass(frozen=True, slots=True)
class RefusedPiece:
    """What was refused before it came to reading: it keeps its place in the order."""

    refusal: Refusal
    size: int = 0
    advance: int = 0

    def texts(self) -> Iterator[Text | Refusal]:
        yield self.refusal


def _row(file: FileSource, number: int, source: str, fields: dict[str, Any], size: int) -> Text:
    """A row's own fields, else those of its file, whose id and title get the row's number."""
    text, known = _text(fields, source), described(fields, source, numbers=True)
    title = f"{file.work.title}:{number}" if file.work.title else ""
    work = replace(file.work, id=f"{file.work.id}:{number}", title=title)
    return Text(source, with_fields(work, known), text, size)


def _text(fields: dict[str, Any], source: str) -> str:
    text = fields.get("text")
    if isinstance(text, str):
        return text
    if text is None and isinstance(fields.get("path"), str):
        raise WorkRefused(source, "has a 'path' and no 'text': give a list of paths with --manifest")
    raise WorkRefused(source, f"'text' must be a string, not {kind_of(text)}" if "text" in fields else "lacks a 'text'")
