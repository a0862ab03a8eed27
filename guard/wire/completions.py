"""The dialect of POST /v1/completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from guard.wire import fields
from guard.wire.chat import CHAT
from guard.wire.dialect import Dialect, asked_choices


def _choices(request: Mapping[str, Any]) -> int:
    """A list of prompts (strings, or lists of token ids) gets n choices each."""
    prompt = request.get("prompt")
    several = isinstance(prompt, list) and prompt and not isinstance(prompt[0], int)
    return asked_choices(request) * (len(prompt) if several else 1)  # type: ignore[arg-type]


def _choice(_begun: bool = True) -> dict[str, Any]:
    return {"text": ""}


COMPLETIONS: Final = Dialect(
    name="completions",
    chunk_shape=fields.COMPLETION,
    answer_shape=fields.COMPLETION,
    chunk_object="text_completion",
    answer_object="text_completion",
    id_prefix="cmpl-",
    refused=CHAT.refused,
    choices=_choices,
    empty_chunk_choice=_choice,
    empty_answer_choice=_choice,
)
