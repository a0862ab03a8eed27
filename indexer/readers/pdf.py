"""PDF: the text layer, page by page."""

from __future__ import annotations

import io
import logging

from guard.errors import WorkRefused
from indexer.readers.document import Document, needs_extra, unreadable


def read_pdf(document: Document) -> str:
    """Raises WorkRefused for a damaged or encrypted file, and for one without a text layer (scanned pages)."""
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise needs_extra(document.source, "pdf", error) from None
    # It warns of every oddity that it mends.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(document.data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise WorkRefused(document.source, "encrypted: it needs a password; give a copy without one")
        text = "\n".join(page.extract_text() for page in reader.pages)
    except WorkRefused:
        raise
    except Exception as error:  # broken files raise whatever the first missing object leads to
        raise unreadable(document.source, "PDF", error) from None
    if not text.strip():
        raise WorkRefused(document.source, "a PDF without text (scanned pages?): run OCR on it first")
    return text
