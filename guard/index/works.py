"""The record of a work: what the index says about it. Never its text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from guard.errors import IndexFormatError


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """`letters`: length after the fold; `grams`: fingerprints of it in the index. No status: protected."""

    id: str
    title: str = ""
    author: str = ""
    rights_holder: str = ""
    licence: str = ""
    status: str = "protected"
    source: str = ""
    letters: int = 0
    grams: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> WorkRecord:
        unknown = set(record) - {field.name for field in fields(cls)}
        if unknown or "id" not in record:
            raise IndexFormatError(
                f"work record with unknown keys {sorted(unknown)}: upgrade the guard, or rebuild the index"
            )
        return cls(**record)
