"""HTML and Markdown: the text in order, what no reader sees left out, in the encoding the page names."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import WorkRefused
from guard.index.fold import fold
from indexer.readers.document import Document
from indexer.readers.html import read_html, text_of
from indexer.readers.markdown import read_markdown


def letters(text: str) -> bytes:
    return fold(text).tobytes()


def read(markup: str | bytes, encoding: str | None = None) -> str:
    return read_html(Document("page.html", markup.encode() if isinstance(markup, str) else markup, encoding))


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one<b>t</b>wo</p>three", "\nonetwo\nthree"),
        ("a<br>b<hr/>c", "a\nb\nc"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("a<script>if (1 < 2) x = '<p>no</p>'</script>b<style>p {}</style>c", "abc"),
        ("a<noscript><p>enable it</p></noscript>b<template><p>no</p></template>c", "abc"),
        ("a<template>x<noscript>y</noscript>z</template>b", "ab"),
        ("a<!-- no <p>no</p> -->b", "ab"),
        ("a<![CDATA[ & <b>]]>c", "a & <b>c"),
        ("fish &amp; chips &#x2014; caf&eacute;&nbsp;!", "fish & chips — café !"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字", "漢字"),
        ('<p title="no">a<img alt="no">b', "ab"),
        ("<script/>a<title/>b", "a b"),
        ("<nav>menu</nav><main>text</main>", "menu\n\ntext"),
        ("plain, no markup at all", "plain, no markup at all"),
        ("a < b && c > d", "a < b && c > d"),
    ],
)
def test_text_in_order(markup: str, text: str) -> None:
    assert " ".join(read(markup).split()) == " ".join(text.split())


@pytest.mark.parametrize("tag", ["noscript", "template"])
def test_an_element_that_never_ends_keeps_its_text(tag: str) -> None:
    assert letters(read(f"<p>one<{tag}><p>two<p>three")) == letters("one two three")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_any_markup_is_read_or_refused(markup: str) -> None:
    with contextlib.suppress(WorkRefused):
        text_of(markup, "page.html")


@pytest.mark.parametrize(
    ("page", "encoding"),
    [
        ('<meta charset="iso-8859-1"><p>caf\xe9 “quoted”', "cp1252"),
        ("<META CHARSET=windows-1252><p>caf\xe9", "cp1252"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2"><p>żółw', "iso-8859-2"),
        ('<?xml version="1.0" encoding="koi8-r"?><p>проза', "koi8-r"),
        ('<meta charset="utf-8"><p>проза', "utf-8"),
        ('<meta charset="gb2312"><p>漢字', "gb18030"),
    ],
)
def test_the_page_names_its_encoding(page: str, encoding: str) -> None:
    assert read(page.encode(encoding)).strip().split("\n")[-1] in page


def test_a_mark_or_the_override_beats_the_pages_word() -> None:
    page = '<meta charset="koi8-r"><p>проза'
    assert "проза" in read(page.encode("utf-8-sig"))
    assert "проза" in read(page.encode("iso-8859-5"), "iso-8859-5")


def test_without_a_word_it_is_utf8() -> None:
    with pytest.raises(WorkRefused, match="not valid UTF-8: 0xE9"):
        read(b"<p>caf\xe9</p>")


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(WorkRefused, match=r"unknown encoding 'klingon'.*--encoding"):
        read('<meta charset="klingon">')


MARKDOWN = """# A *title*

Some **bo**ld text with [a link](https://example.org/very-long-address "and a title"), `code`
and ![a picture](picture.png).

> quoted
> lines

| left | right |
|------|-------|
| a    | b     |

<div>embedded <script>no()</script>html</div>

    indented code

<!-- a comment -->
~~struck~~ &copy; end
"""


def test_markdown_without_its_marks() -> None:
    text = read_markdown(Document("a.md", MARKDOWN.encode()))
    expected = "A title Some bold text with a link, code and . quoted lines left right a b embedded html indented code"
    expected += " struck end"
    assert letters(text) == letters(expected)


def test_markdown_is_decoded_strictly() -> None:
    with pytest.raises(WorkRefused, match="byte 2"):
        read_markdown(Document("a.md", b"# \xff"))
