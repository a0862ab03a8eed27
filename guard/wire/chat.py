"""The dialect of POST /v1/chat/completions."""

from __future__ import annotations

from typing import Any, Final

from guard.wire import fields
from guard.wire.dialect import Dialect, asked_choices

_LOGPROBS: Final = "log-probabilities spell out text that the guard doesn't check yet"
_TOKENS: Final = "token ids spell out text that the guard doesn't check yet"


def _chunk_choice(begun: bool) -> dict[str, Any]:
    return {"delta": {} if begun else {"role": "assistant", "content": ""}}


def _answer_choice() -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": "", "tool_calls": []}}


CHAT: Final = Dialect(
    name="chat",
    chunk_shape=fields.CHAT_CHUNK,
    answer_shape=fields.CHAT_ANSWER,
    chunk_object="chat.completion.chunk",
    answer_object="chat.completion",
    id_prefix="chatcmpl-",
    refused={
        "logprobs": _LOGPROBS,
        "top_logprobs": _LOGPROBS,
        "prompt_logprobs": _LOGPROBS,
        "return_token_ids": _TOKENS,
        "return_tokens_as_token_ids": _TOKENS,
        "echo": "it repeats text that the guard doesn't check yet",
    },
    choices=asked_choices,
    empty_chunk_choice=_chunk_choice,
    empty_answer_choice=_answer_choice,
)
