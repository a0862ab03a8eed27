"""Sources cut into pieces, and pieces gathered into batches: what a worker is given at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from guard.errors import WorkRefused
from indexer.pieces import FilePiece, InlinePiece, LinesPiece, Piece, RefusedPiece, TablePiece
from indexer.readers import holds_many, portions
from indexer.readers.rows import PORTION_BYTES, Lines
from indexer.sources import FileSource, InlineSource, Refusal, Source

# However small they are: the progress bar should move.
BATCH_PIECES: Final = 256

Batch = list[Piece]


def batches(sources: Sequence[Source], encoding: str | None) -> Iterator[Batch]:
    """All pieces in input order, in batches of about PORTION_BYTES; a larger file is a batch of its own."""
    batch: Batch = []
    size = 0
    for piece in pieces(sources, encoding):
        batch.append(piece)
        size += piece.size
        if size >= PORTION_BYTES or len(batch) >= BATCH_PIECES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def pieces(sources: Sequence[Source], encoding: str | None) -> Iterator[Piece]:
    for source in sources:
        match source:
            case Refusal():
                yield RefusedPiece(source)
            case InlineSource():
                yield InlinePiece(source)
            case FileSource(size=0):
                yield RefusedPiece(Refusal(source.source, "empty"))
            case FileSource() if holds_many(source.path):
                yield from _rows(source, encoding)
            case FileSource():
                yield FilePiece(source, encoding)


def _rows(file: FileSource, encoding: str | None) -> Iterator[Piece]:
    found = False
    try:
        for rows in portions(file.path, file.source, encoding):
            if isinstance(rows, Lines):
                found = found or not rows.data.isspace()
                yield LinesPiece(file, rows)
            else:
                found = True
                yield TablePiece(file, rows)
        if not found:
            yield RefusedPiece(Refusal(file.source, "holds no rows"))
    except WorkRefused as error:
        yield RefusedPiece(Refusal.of(error))
    except OSError as error:
        yield RefusedPiece(Refusal.unopened(file.source, error))
