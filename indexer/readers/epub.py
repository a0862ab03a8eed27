"""EPUB: the documents of the spine, in reading order."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from guard.errors import WorkRefused
from indexer.readers import document
from indexer.readers.document import Document, needs_extra, too_large, unreadable
from indexer.readers.html import read_html

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CONTAINER: Final = "META-INF/container.xml"
ENCRYPTION: Final = "META-INF/encryption.xml"
TEXT_TYPES: Final = frozenset({"application/xhtml+xml", "text/html", "application/xml", "text/xml"})
# What the zip library says of archives that are damaged, cut short, or packed in ways it doesn't know.
BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


def read_epub(book: Document) -> str:
    """Raises WorkRefused for a damaged or encrypted book, and for one whose spine holds no text."""
    try:
        with zipfile.ZipFile(io.BytesIO(book.data)) as archive:
            parts = [read_html(part) for part in _spine(archive, book.source) if part.data]
    except BROKEN as error:
        raise unreadable(book.source, "EPUB", error) from None
    if not parts:
        raise WorkRefused(book.source, "an EPUB whose spine holds no text")
    return "\n".join(parts)


def _spine(archive: zipfile.ZipFile, source: str) -> Iterator[Document]:
    """The text documents in reading order, without the table of contents."""
    package_path = _package_path(archive, source)
    package = _xml(archive, package_path, source)
    items = {item.get("id", ""): item for item in package.iterfind(".//{*}manifest/{*}item")}
    locked, unpacked = _encrypted(archive, source), 0
    for reference in package.iterfind(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or item.get("media-type") not in TEXT_TYPES or "nav" in item.get("properties", "").split():
            continue
        href = unquote(urlsplit(item.get("href", "")).path)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(package_path), href))
        if path in locked:
            raise WorkRefused(source, f"encrypted: {path} is under DRM; give a copy without it")
        data = _member(archive, path, source)
        unpacked += len(data)
        if unpacked > document.LARGEST_WORK:
            raise too_large(source)
        yield Document(f"{source} ({path})", data)


def _package_path(archive: zipfile.ZipFile, source: str) -> str:
    container = _xml(archive, CONTAINER, source)
    root = container.find(".//{*}rootfile")
    path = None if root is None else root.get("full-path")
    if not path:
        raise WorkRefused(source, f"not an EPUB: {CONTAINER} names no package document")
    return path


def _encrypted(archive: zipfile.ZipFile, source: str) -> frozenset[str]:
    """Paths of encrypted members. Fonts often are, in books without DRM too."""
    if ENCRYPTION not in archive.namelist():
        return frozenset()
    found = _xml(archive, ENCRYPTION, source).iterfind(".//{*}CipherReference")
    return frozenset(unquote(reference.get("URI", "")) for reference in found)


def _xml(archive: zipfile.ZipFile, path: str, source: str) -> Element:
    """A parsed member. Entities are refused: no package needs them, and a billion laughs would fill the memory."""
    try:
        from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
        from defusedxml.ElementTree import ParseError, fromstring  # type: ignore[import-untyped]
    except ImportError as error:
        raise needs_extra(source, "epub", error) from None
    try:
        root: Element = fromstring(_member(archive, path, source))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise unreadable(f"{source} ({path})", "XML", error) from None
    return root


def _member(archive: zipfile.ZipFile, path: str, source: str) -> bytes:
    try:
        info = archive.getinfo(path)
    except KeyError:
        raise WorkRefused(source, f"not a whole EPUB: it lacks {path}") from None
    if info.file_size > document.LARGEST_WORK:
        raise too_large(source)
    return archive.read(info)
