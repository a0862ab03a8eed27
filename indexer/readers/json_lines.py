"""JSON lines: each line an object with a `text`, and the fields of a work if it has them."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from guard.errors import WorkRefused
from indexer.describe import kind_of
from indexer.readers.decode import decode, marked_encoding
from indexer.readers.document import unreadable
from indexer.readers.rows import PORTION_BYTES, Lines, Portions


def line_portions(path: Path, source: str, encoding: str | None) -> Portions:
    """The file's lines, some megabytes at a time; `.gz` is unpacked on the way.

    Raises OSError if the file can't be opened, WorkRefused where the rest of it can't be read.
    """
    number, rest, told = 1, [b""], 0
    with path.open("rb") as raw:
        file: IO[bytes] = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw  # type: ignore[assignment]
        try:
            start = file.read(PORTION_BYTES)
            codec = codecs.lookup(encoding or marked_encoding(start) or "utf-8").name
            wide = codec.startswith(("utf-16", "utf-32"))
            for block in _narrow(start, file, codec) if wide else _blocks(start, file):
                head, newline, tail = block.rpartition(b"\n")
                if newline:
                    data = b"".join(rest) + head + newline
                    yield Lines(number, data, "utf-8" if wide else codec, raw.tell() - told)
                    number, rest, told = number + data.count(b"\n"), [tail], raw.tell()
                else:
                    rest.append(block)
            if data := b"".join(rest):
                yield Lines(number, data, "utf-8" if wide else codec, raw.tell() - told)
        except UnicodeDecodeError as error:
            reason = f"from about here on not valid {codec.upper()} ({error.reason}): the rest is not read"
            raise WorkRefused(f"{source}:{number}", reason) from None
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(f"{source}:{number}", "the rest of a whole file", error) from None


def _blocks(start: bytes, file: IO[bytes]) -> Iterator[bytes]:
    yield start.removeprefix(codecs.BOM_UTF8)
    while block := file.read(PORTION_BYTES):
        yield block


def _narrow(start: bytes, file: IO[bytes], codec: str) -> Iterator[bytes]:
    """UTF-16 and UTF-32 as UTF-8, where a line feed is one byte."""
    decoder = codecs.getincrementaldecoder(codec)()
    yield decoder.decode(start).removeprefix("\ufeff").encode()
    while block := file.read(PORTION_BYTES):
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()


def parse_line(line: bytes, encoding: str, source: str, number: int) -> dict[str, Any]:
    """The object on line `number`. Raises WorkRefused for anything else, with the column of the mistake."""
    try:
        row = orjson.loads(line) if encoding == "utf-8" else _parse_slowly(line, encoding, source, number)
    except orjson.JSONDecodeError:
        row = _parse_slowly(line, encoding, source, number)
    if not isinstance(row, dict):
        raise WorkRefused(source, f"must be a JSON object, not {kind_of(row)}")
    return row


def _parse_slowly(line: bytes, encoding: str, source: str, number: int) -> Any:
    """Takes what orjson refuses and many programs write (lone surrogates, NaN), and names the column of a mistake."""
    text = decode(line, source, encoding, first_line=number).rstrip("\r\n")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise WorkRefused(source, f"not valid JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise WorkRefused(source, "not readable: JSON nested too deep") from None
