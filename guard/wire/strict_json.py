"""JSON that every reader understands alike."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from guard.errors import WireError


def parse(data: bytes) -> Any:
    """Raises WireError for what isn't JSON, and for an object with the same name twice: readers differ in which of
    the two they take, so the text that was checked need not be the text that is read.
    """
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise WireError(f"what the upstream sent isn't JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("an object names a field twice")
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def strings_of(value: Any) -> list[str]:
    """All strings in a JSON value, keys included."""
    strings: list[str] = []
    left = [value]
    while left:
        match left.pop():
            case str() as text:
                strings.append(text)
            case dict() as fields:
                for name, part in reversed(fields.items()):
                    left += (part, name)
            case list() as parts:
                left += reversed(parts)
    return strings
