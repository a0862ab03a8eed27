"""Which reader takes which file: one table, by suffix. Libraries are imported by the reader that needs them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from indexer.readers import document
from indexer.readers.document import Document, too_large, unreadable
from indexer.readers.epub import read_epub
from indexer.readers.html import read_html
from indexer.readers.json_lines import line_portions
from indexer.readers.markdown import read_markdown
from indexer.readers.parquet import row_portions
from indexer.readers.pdf import read_pdf
from indexer.readers.plain import read_plain
from indexer.readers.rows import Portions

READERS: Final[dict[str, Callable[[Document], str]]] = {
    ".epub": read_epub,
    ".htm": read_html,
    ".html": read_html,
    ".markdown": read_markdown,
    ".md": read_markdown,
    ".pdf": read_pdf,
    ".xhtml": read_html,
    # Every other suffix is plain text or source code; what is neither is refused as binary.
}
LINES: Final = frozenset({".jsonl", ".ndjson"})
TABLES: Final = frozenset({".parquet"})


def suffix_of(path: Path) -> str:
    """In lower case, that of what is packed where the file is packed: `.html` for page.HTML.gz."""
    return Path(path.stem).suffix.lower() if _packed(path) else path.suffix.lower()


def stem_of(path: Path) -> str:
    """The name without its suffixes: the title of a work that has no other."""
    return Path(path.stem).stem if _packed(path) else path.stem


def holds_many(path: Path) -> bool:
    """Whether a file's rows are works, rather than the file."""
    return suffix_of(path) in LINES or path.suffix.lower() in TABLES


def portions(path: Path, source: str, encoding: str | None) -> Portions:
    """The rows of a file that holds many. Raises WorkRefused, also midway, and OSError if it can't be opened."""
    if suffix_of(path) in LINES:
        return line_portions(path, source, encoding)
    return row_portions(path, source)


def read_work(path: Path, source: str, encoding: str | None) -> tuple[str, int]:
    """Text of a file that is one work, and the number of bytes it was read from. Raises WorkRefused and OSError."""
    with path.open("rb") as file:
        data = _unpacked(file, source) if _packed(path) else file.read(document.LARGEST_WORK + 1)
    if len(data) > document.LARGEST_WORK:
        raise too_large(source)
    return READERS.get(suffix_of(path), read_plain)(Document(source, data, encoding)), len(data)


def _unpacked(file: IO[bytes], source: str) -> bytes:
    try:
        return gzip.GzipFile(fileobj=file).read(document.LARGEST_WORK + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(source, "gzip", error) from None


def _packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
