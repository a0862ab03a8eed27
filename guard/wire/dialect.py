"""What tells one API dialect from another: shapes of its events and answers, and how a block looks in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from guard.errors import RequestRefused
from guard.wire.fields import Shape

# As hosted filters name it (Azure OpenAI), so that clients can tell a block from a stop.
FILTERED: Final[Mapping[str, Any]] = {"protected_material_text": {"filtered": True, "detected": True}}
NOT_CHECKED: Final[Mapping[str, Any]] = {"protected_material_text": {"filtered": True, "detected": False}}

MAX_CHOICES: Final = 1024


@dataclass(frozen=True, slots=True)
class Dialect:
    """`refused`: request fields that would bring text out through fields not guarded yet → why. `choices`: how many
    choices a request asks for. `empty_…_choice`: the text-bearing part of a choice without text.
    """

    name: str
    chunk_shape: Shape
    answer_shape: Shape
    chunk_object: str
    answer_object: str
    id_prefix: str
    refused: Mapping[str, str]
    choices: Callable[[Mapping[str, Any]], int]
    empty_chunk_choice: Callable[[bool], dict[str, Any]]
    empty_answer_choice: Callable[[], dict[str, Any]]

    def check_request(self, request: Mapping[str, Any]) -> None:
        """Raises RequestRefused for a field whose answer couldn't be guarded, or that servers could read two ways."""
        if type(request.get("stream", False)) not in (bool, type(None)):
            raise RequestRefused("The field 'stream' must be true or false.", "invalid_value", "stream")
        if self.choices(request) > MAX_CHOICES:
            raise RequestRefused(f"At most {MAX_CHOICES} choices may be asked for.", "invalid_value", "n")
        for name, reason in self.refused.items():
            value = request.get(name)
            if value is not None and value is not False:
                raise RequestRefused(
                    f"The field '{name}' is refused by the guard in front of this model: {reason}. Leave it out.",
                    "unsupported_parameter",
                    name,
                )

    def envelope(self, request: Mapping[str, Any], created_seconds: int, *, whole: bool) -> dict[str, Any]:
        """The outer fields of an answer that the upstream gave none for."""
        model = request.get("model")
        return {
            "id": f"{self.id_prefix}guard-{created_seconds}",
            "object": self.answer_object if whole else self.chunk_object,
            "created": created_seconds,
            "model": model if isinstance(model, str) else "",
        }

    def block_chunk(
        self, envelope: Mapping[str, Any], index: int, *, begun: bool, results: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The last event of a blocked choice; `begun`: whether the choice had an event before."""
        choice = {"index": index, **self.empty_chunk_choice(begun), **block_reason(results)}
        return {**envelope, "choices": [choice]}

    def block_answer(self, envelope: Mapping[str, Any], choices: int, results: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer of which nothing leaves."""
        blocked = [{"index": n, **self.empty_answer_choice(), **block_reason(results)} for n in range(choices)]
        return {**envelope, "choices": blocked}


def block_reason(results: Mapping[str, Any]) -> dict[str, Any]:
    return {"logprobs": None, "finish_reason": "content_filter", "content_filter_results": dict(results)}


def asked_choices(request: Mapping[str, Any]) -> int:
    """Raises RequestRefused for an `n` that servers could read differently."""
    number = request.get("n")
    if number is None:
        return 1
    if type(number) is not int or number < 1:
        raise RequestRefused("The field 'n' must be a whole number from 1 on.", "invalid_value", "n")
    return number
