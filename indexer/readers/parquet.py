"""Parquet: each row a work, with a column `text` and columns for a work's fields if it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from guard.errors import WorkRefused
from indexer.describe import KEYS
from indexer.readers.document import needs_extra, unreadable
from indexer.readers.rows import PORTION_BYTES, Portions, Table

# Rows decoded at a time, since a row may be a whole book; and handed on at a time, however short they are.
BATCH_ROWS: Final = 64
PORTION_ROWS: Final = 8192


def row_portions(path: Path, source: str) -> Portions:
    """The file's rows, some megabytes at a time. Raises WorkRefused where the file or the rest of it can't be read."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise needs_extra(source, "parquet", error) from None
    first, size, rows = 1, 0, list[dict[str, Any]]()
    file_size = path.stat().st_size
    try:
        with parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            columns, total = _columns(file.schema_arrow.names, source), max(1, file.metadata.num_rows)
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False):
                fresh = batch.to_pylist()
                rows += fresh
                size += sum(len(row["text"]) for row in fresh if isinstance(row["text"], str))
                if size >= PORTION_BYTES or len(rows) >= PORTION_ROWS:
                    yield Table(first, rows, size, file_size * len(rows) // total)
                    first, size, rows = first + len(rows), 0, []
            if rows:
                yield Table(first, rows, size, file_size * len(rows) // total)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        where = source if first == 1 else f"{source}:{first}"
        raise unreadable(where, "Parquet", error) from None


def _columns(names: list[str], source: str) -> list[str]:
    if "text" not in names:
        raise WorkRefused(
            source, f"has no column 'text' (its columns: {', '.join(names[:20])}): rename the one that holds it"
        )
    return [name for name in ("text", *KEYS) if name in names]
