"""Plain text and source code: the text is the file."""

from __future__ import annotations

from indexer.readers.decode import decode
from indexer.readers.document import Document


def read_plain(document: Document) -> str:
    """Raises WorkRefused for empty, binary and wrongly encoded files."""
    return decode(document.data, document.source, document.encoding)
