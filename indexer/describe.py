"""What is known of a work besides its text: the fields that a manifest line or a row of data may carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from guard.errors import WorkRefused
from guard.index.works import WorkRecord

KEYS: Final = ("id", "title", "author", "rights_holder", "licence", "status", "source")
# Without an id a work can't be named, and an empty status is more likely a slip than a decision.
NEVER_EMPTY: Final = ("id", "status")


def described(fields: Mapping[str, object], source: str, *, numbers: bool) -> dict[str, str]:
    """The fields of `KEYS` that are present and not null. `numbers`: whether a number may stand for its text, as ids
    in data sets do. Raises WorkRefused for a value of another type, an empty id or status, and broken Unicode.
    """
    found = {}
    for key in KEYS:
        value = fields.get(key)
        if value is None:
            continue
        if numbers and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise WorkRefused(source, f"{key!r} must be a string, not {kind_of(value)}")
        if key in NEVER_EMPTY and not value.strip():
            raise WorkRefused(source, f"{key!r} is empty: give it a value or leave the key out")
        if not encodable(value):
            raise WorkRefused(source, f"{key!r} holds half of a surrogate pair: mend its \\u escapes")
        found[key] = value
    return found


def with_fields(work: WorkRecord, known: Mapping[str, str]) -> WorkRecord:
    """The record with the fields that `described` found."""
    return WorkRecord.from_json(work.to_json() | dict(known))


def kind_of(value: object) -> str:
    """The JSON name of a value's type, with its article."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), f"of type {type(value).__name__}")


def encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """A file name that every terminal and index can hold: bytes that aren't UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
