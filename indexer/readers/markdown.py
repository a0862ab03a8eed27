"""Markdown: rendered, then read as HTML, so that link targets don't break a run and embedded HTML is read as such."""

from __future__ import annotations

from markdown_it import MarkdownIt

from indexer.readers.decode import decode
from indexer.readers.document import Document, unreadable
from indexer.readers.html import text_of


def read_markdown(document: Document) -> str:
    """CommonMark with tables and strikethrough. Raises WorkRefused."""
    text = decode(document.data, document.source, document.encoding)
    try:
        markup = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    except (ValueError, IndexError, RecursionError) as error:
        raise unreadable(document.source, "Markdown", error) from None
    return text_of(markup, document.source)
