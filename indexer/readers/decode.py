"""From bytes to text, strictly: a guess that goes wrong would index letters that no answer will ever hold."""

from __future__ import annotations

import codecs
from typing import Final

from guard.errors import WorkRefused

# UTF-32 before UTF-16: the little-endian mark of the one begins with that of the other.
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def marked_encoding(data: bytes) -> str | None:
    """The encoding that a byte order mark at the start names, if there is one."""
    return next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)


def known_encoding(name: str) -> str | None:
    """Python's name of a text encoding; None if it knows no such encoding, or one of something else, such as base64."""
    try:
        codec = codecs.lookup(name).name
        b"text".decode(codec)
    except UnicodeError:  # known, and these four bytes aren't in it
        return codec
    except (LookupError, ValueError):
        return None
    return codec


def decode(data: bytes, source: str, encoding: str | None = None, *, first_line: int = 1) -> str:
    """Text of a file or a line: in `encoding` if given, else as its byte order mark says, else UTF-8.

    `first_line` is the line number of the data's start. Raises WorkRefused for empty, binary and wrongly encoded data,
    naming byte offset and line.
    """
    if not data:
        raise WorkRefused(source, "empty")
    codec = encoding or marked_encoding(data) or "utf-8"
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise WorkRefused(source, _why_not(data, codec, error, encoding, first_line)) from None
    if (nul := text.find("\0")) >= 0:
        at = nul if text.isascii() else len(text[:nul].encode(codec, "surrogatepass"))
        line = text.count("\n", 0, nul) + first_line
        hint = "" if encoding else "; if it is UTF-16 without a byte order mark, give --encoding utf-16-le"
        raise WorkRefused(source, f"binary, not text: a NUL at byte {at:,} (line {line:,}){hint}")
    return text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")


def _why_not(data: bytes, codec: str, error: UnicodeDecodeError, encoding: str | None, first_line: int) -> str:
    line = data[: error.start].decode(codec, "ignore").count("\n") + first_line
    where = f"byte {error.start:,} (line {line:,})"
    if b"\0" in data[:4096] and not codec.startswith(("utf-16", "utf-32")):
        return f"binary, not text: it has NUL bytes and isn't {codec.upper()} from {where} on"
    found = " ".join(f"0x{byte:02X}" for byte in data[error.start : error.end])
    remedy = (
        f"not what --encoding {encoding} says" if encoding else "give --encoding NAME, such as cp1252, or convert it"
    )
    return f"not valid {codec.upper()}: {found or 'the end of the data'} at {where}; {remedy}"
