"""The field table: for every field of an answer, in each dialect, what it is to the guard. The one place that says it.

A field that isn't in the table is withheld unless its value is null, a boolean or a number (default deny); so are log
probabilities and token ids, which a later version guards. A new dialect is a new table and its `Dialect`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class Field(enum.Enum):
    TEXT = enum.auto()  # the model's words: a channel of its own
    JSON_TEXT = enum.auto()  # the model's words as JSON in a string: escapes are decoded, structure is kept
    NAME = enum.auto()  # chosen by the server (ids, roles, model names): must be the same as before or match nothing
    FINISH = enum.auto()  # a name whose presence ends the choice
    NUMBERS = enum.auto()  # objects of numbers, nested


@dataclass(frozen=True, slots=True)
class Each:
    """A list of objects, told apart by their `index`."""

    fields: Shape


Shape = Mapping[str, "Field | Each | Shape"]

_TOOL_CALL: Final[Shape] = {
    "id": Field.NAME,
    "type": Field.NAME,
    "function": {"name": Field.TEXT, "arguments": Field.JSON_TEXT},
}
_MESSAGE: Final[Shape] = {
    "role": Field.NAME,
    "content": Field.TEXT,
    "reasoning": Field.TEXT,
    "reasoning_content": Field.TEXT,
    "refusal": Field.TEXT,
    "tool_calls": Each(_TOOL_CALL),
}
_ENVELOPE: Final[Shape] = {
    "id": Field.NAME,
    "object": Field.NAME,
    "model": Field.NAME,
    "system_fingerprint": Field.NAME,
    "service_tier": Field.NAME,
    "usage": Field.NUMBERS,
}
_CHOICE: Final[Shape] = {"finish_reason": Field.FINISH, "stop_reason": Field.TEXT}

CHAT_CHUNK: Final[Shape] = {**_ENVELOPE, "choices": Each({**_CHOICE, "delta": _MESSAGE})}
CHAT_ANSWER: Final[Shape] = {**_ENVELOPE, "choices": Each({**_CHOICE, "message": _MESSAGE})}
COMPLETION: Final[Shape] = {**_ENVELOPE, "choices": Each({**_CHOICE, "text": Field.TEXT})}
ERROR: Final[Shape] = {
    "object": Field.NAME,
    "message": Field.TEXT,
    "type": Field.NAME,
    "param": Field.NAME,
    "code": Field.NAME,
    "error": {"message": Field.TEXT, "type": Field.NAME, "param": Field.NAME, "code": Field.NAME},
}
