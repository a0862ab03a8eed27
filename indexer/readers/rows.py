"""Files that hold many works: what their readers yield. Rows are cut off in the parent process, parsed in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

# Text handed to a worker at a time: enough that the hand-over costs nothing, little enough that what is in flight
# stays small.
PORTION_BYTES: Final = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a JSON lines file, the first of them numbered `first`, still to be decoded from `encoding`.

    `advance`: bytes of the file on disk that these lines take, for the progress bar.
    """

    first: int
    data: bytes
    encoding: str
    advance: int

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a Parquet file, the first of them numbered `first` (from 1): column to value."""

    first: int
    rows: list[dict[str, Any]]
    size: int
    advance: int


Portions = Iterator[Lines | Table]
