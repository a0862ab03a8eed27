"""What a reader is given, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from guard.errors import WorkRefused

# A work is read as a whole, and takes some ten times its size in memory. The longest books are some 20 MB; a file that
# is larger than this is a collection, which belongs into JSON lines, or an archive made to fill the memory.
LARGEST_WORK: Final = 2**30


@dataclass(frozen=True, slots=True)
class Document:
    """One file's bytes. `source` names it in messages; `encoding` is the operator's override, if any."""

    source: str
    data: bytes
    encoding: str | None = None


def too_large(source: str) -> WorkRefused:
    return WorkRefused(
        source, f"more than {LARGEST_WORK >> 20:,} MB of text as one work: split it, or give its parts as JSON lines"
    )


def needs_extra(source: str, extra: str, error: ImportError) -> WorkRefused:
    """The refusal of a work whose reader isn't installed."""
    return WorkRefused(
        source, f"reading it needs the module {error.name!r}: run pip install 'regurgitation-guard[{extra}]'"
    )


def unreadable(source: str, what: str, error: BaseException) -> WorkRefused:
    """The refusal of a work on which a format's library failed, on one line whatever the library wrote."""
    detail = " ".join(str(error).split())[:200] or "no detail"
    return WorkRefused(source, f"cannot be read as {what} ({type(error).__name__}: {detail})")
