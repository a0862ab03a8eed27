"""EPUB and PDF: whole ones are read in order, broken and locked ones refused with the reason."""

from __future__ import annotations

import io
import random
import sys

import pypdf
import pytest
from indexer_samples import CONTAINER, ESSAY, POEM, STORY, epub_of, opf_of, pdf_of, zip_of

from guard.errors import WorkRefused
from guard.index.fold import fold
from indexer.readers import document
from indexer.readers.document import Document
from indexer.readers.epub import read_epub
from indexer.readers.pdf import read_pdf


def letters(text: str) -> bytes:
    return fold(text).tobytes()


def refusal(data: bytes, kind: str) -> str:
    with pytest.raises(WorkRefused) as refused:
        (read_epub if kind == "epub" else read_pdf)(Document("a book", data))
    assert str(refused.value).startswith("a book")
    assert "\n" not in str(refused.value)
    return refused.value.reason


def test_an_epub_in_reading_order() -> None:
    book = epub_of([f"<p>{STORY}</p>", f"<script/><h1>{POEM}</h1>", f"<p>{ESSAY}</p>"])
    assert letters(read_epub(Document("a.epub", book))) == letters(STORY + POEM + ESSAY)


def test_an_epub_with_encrypted_fonts_is_read() -> None:
    locked = '<encryption><CipherReference URI="OEBPS/font.otf"/></encryption>'
    book = epub_of([STORY], **{"META-INF/encryption.xml": locked})
    assert letters(read_epub(Document("a.epub", book))) == letters(STORY)


def test_an_epub_with_drm_is_refused() -> None:
    locked = '<e xmlns:x="u"><x:CipherReference URI="OEBPS/text/ch%200.xhtml"/></e>'
    assert "DRM" in refusal(epub_of([STORY], **{"META-INF/encryption.xml": locked}), "epub")


BOMB = '<!DOCTYPE c [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><container>&b;</container>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"not a zip", "cannot be read as EPUB (BadZipFile"),
        (zip_of({"a.txt": "a"}), "lacks META-INF/container.xml"),
        (zip_of({"META-INF/container.xml": "<container/>"}), "names no package document"),
        (zip_of({"META-INF/container.xml": "<container>"}), "cannot be read as XML (ParseError"),
        (zip_of({"META-INF/container.xml": BOMB}), "EntitiesForbidden"),
        (zip_of({"META-INF/container.xml": CONTAINER}), "lacks OEBPS/book.opf"),
        (zip_of({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": opf_of({}, [])}), "holds no text"),
        (zip_of({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": opf_of({"a": "b"}, ["a"])}), "lacks OEBPS/b"),
        (epub_of([STORY], **{"OEBPS/text/ch 0.xhtml": "a\0b"}), "NUL"),
    ],
)
def test_a_broken_epub_is_refused(data: bytes, reason: str) -> None:
    assert reason in refusal(data, "epub")


def test_an_epub_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LARGEST_WORK", 1000)
    assert "JSON lines" in refusal(epub_of(["a" * 2000]), "epub")
    assert "JSON lines" in refusal(epub_of(["a" * 600, "a" * 600]), "epub")


def test_a_damaged_epub_never_raises_anything_else() -> None:
    rng, book = random.Random(5), epub_of([STORY, POEM])
    for _ in range(150):
        damaged = bytearray(book)
        for _ in range(rng.randint(1, 30)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            read_epub(Document("a.epub", bytes(damaged[: rng.randint(1, len(book))])))
        except WorkRefused:
            continue


def lines_of(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[at : at + 8]) for at in range(0, len(words), 8)]


def test_a_pdf_page_by_page() -> None:
    book = pdf_of([lines_of(STORY), lines_of(POEM)])
    assert letters(read_pdf(Document("a.pdf", book))) == letters(STORY + POEM)


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of([lines_of(STORY)])))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.filterwarnings("default")  # of the cipher, which only the test chooses
def test_a_pdf_behind_a_password_is_refused() -> None:
    assert letters(read_pdf(Document("a.pdf", encrypted("")))) == letters(STORY)
    assert "password" in refusal(encrypted("secret"), "pdf")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf_of([[]]), "OCR"),
        (b"%PDF-1.4\n" + b"nothing" * 50, "cannot be read as PDF"),
        (b"no pdf", "cannot be read as PDF"),
        (pdf_of([["x"]])[:150], "cannot be read as PDF"),
    ],
)
def test_a_pdf_without_text_is_refused(data: bytes, reason: str) -> None:
    assert reason in refusal(data, "pdf")


def test_a_damaged_pdf_never_raises_anything_else() -> None:
    rng, book = random.Random(6), pdf_of([lines_of(STORY)])
    for _ in range(60):
        damaged = bytearray(book)
        for _ in range(rng.randint(1, 30)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            read_pdf(Document("a.pdf", bytes(damaged)))
        except WorkRefused:
            continue


@pytest.mark.parametrize(("module", "extra"), [("pypdf", "pdf"), ("defusedxml", "epub")])
def test_a_missing_library_names_the_extra(module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'regurgitation-guard[{extra}]'" in refusal(epub_of([STORY]) if extra == "epub" else b"", extra)
