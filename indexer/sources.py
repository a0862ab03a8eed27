"""What is to be read, in order: files and manifest lines, each with what is known of the work, and early refusals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guard.errors import WorkRefused
from guard.index.works import WorkRecord


@dataclass(frozen=True, slots=True)
class Refusal:
    """A work that isn't built: where it came from (path, or path:line), and why."""

    source: str
    reason: str

    @classmethod
    def of(cls, error: WorkRefused) -> Refusal:
        return cls(error.source, error.reason)

    @classmethod
    def unopened(cls, source: str, error: OSError) -> Refusal:
        return cls(source, f"cannot be read: {error.strerror or error}")

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of `size` bytes: one work, or many if its format holds rows. `source` names it in messages.

    `work` is the record so far, without letters and grams; for a file of many it gives what its rows don't say.
    """

    source: str
    path: Path
    size: int
    work: WorkRecord


@dataclass(frozen=True, slots=True)
class InlineSource:
    """A manifest line that holds the text itself, by place: the text is read when its turn comes."""

    source: str
    manifest: Path
    offset: int
    size: int
    work: WorkRecord


Source = FileSource | InlineSource | Refusal
