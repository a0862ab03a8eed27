"""Files for the indexer's tests, made on the spot: the formats at their smallest, and texts to put into them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from conftest import random_prose

from guard.index.works import WorkRecord
from indexer.describe import with_fields
from indexer.pieces import Piece, Text
from indexer.sources import FileSource, Refusal

STORY = random_prose(21, 120)
POEM = random_prose(22, 120)
ESSAY = random_prose(23, 120)


def file_source(path: Path, **known: str) -> FileSource:
    return FileSource(str(path), path, path.stat().st_size, with_fields(WorkRecord(path.name), known))


def texts_of(pieces: Sequence[Piece]) -> list[str]:
    """Texts, or the refusals' reasons."""
    return [found.text if isinstance(found, Text) else str(found) for piece in pieces for found in piece.texts()]


def refusals_of(pieces: Sequence[Piece]) -> list[Refusal]:
    return [found for piece in pieces for found in piece.texts() if isinstance(found, Refusal)]


def pdf_of(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF 1.4 of lines of ASCII text."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    for number, lines in enumerate(pages):
        shown = "".join(f"({line}) Tj T*\n" for line in lines)
        stream = f"BT /F1 10 Tf 12 TL 20 800 Td\n{shown}ET".encode()
        page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 820] /Resources << /Font << /F1 3 0 R >> >> "
        objects.append(f"{page}/Contents {5 + 2 * number} 0 R >>".encode())
        objects.append(f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    tail = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + (head + table + tail).encode()


CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def opf_of(items: Mapping[str, str], spine: Sequence[str], properties: Mapping[str, str] | None = None) -> str:
    """A package document. `items`: id to href."""
    extra = properties or {}
    listed = "".join(
        f'<item id="{name}" href="{href}" media-type="application/xhtml+xml" properties="{extra.get(name, "")}"/>'
        for name, href in items.items()
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine)
    package = '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/>'
    return f"<?xml version='1.0'?>{package}<manifest>{listed}</manifest><spine>{order}</spine></package>"


def zip_of(members: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def epub_of(chapters: Sequence[str], **members: str) -> bytes:
    """An EPUB 3 whose chapters are files `ch 0.xhtml` and so on, listed backwards and read forwards."""
    ids = [f"c{number}" for number in range(len(chapters))]
    items = {name: f"text/ch%20{name[1:]}.xhtml" for name in reversed(ids)} | {"toc": "nav.xhtml"}
    pages = {
        f"OEBPS/text/ch {number}.xhtml": f'<?xml version="1.0" encoding="UTF-8"?><html><body>{chapter}</body></html>'
        for number, chapter in enumerate(chapters)
    }
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": opf_of(items, ["toc", *ids], {"toc": "nav"}),
        "OEBPS/nav.xhtml": "<html><body>Table of contents</body></html>",
    }
    return zip_of({**files, **pages, **members})
