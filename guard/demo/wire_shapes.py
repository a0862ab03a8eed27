"""The JSON that vLLM sends, field for field: what the guard meets in production is what it meets in the demo.

Taken from the response classes of vLLM 0.32 as its server serialises them, nulls and order of keys included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

Json = dict[str, object]


class Dialect(Enum):
    """Which of the two endpoints is answered; the value begins the response's id."""

    COMPLETION = "cmpl"
    CHAT = "chatcmpl"


class FinishReason(Enum):
    """Why a choice ended: at the model's own end of text, or at max_tokens."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens. `as_json` has no details, as in a stream; a whole response names them, as null."""

    prompt_tokens: int
    completion_tokens: int

    def as_json(self) -> Json:
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens": self.completion_tokens,
        }


@dataclass(frozen=True, slots=True)
class Spoken:
    """One choice of a response that is sent in one piece."""

    text: str
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Response:
    """What all the events of one response have in common."""

    dialect: Dialect
    response_id: str
    created: int
    model: str

    def opening(self, index: int) -> Json | None:
        """The event that names the speaker of a chat choice; completions have none."""
        if self.dialect is Dialect.COMPLETION:
            return None
        choice = {
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        return self._chunk([choice]) | {"prompt_token_ids": None, "prompt_text": None}

    def piece(self, index: int, text: str, finish_reason: FinishReason | None) -> Json:
        """One token of one choice; the last one carries the reason why the choice ended."""
        reason = finish_reason.value if finish_reason else None
        if self.dialect is Dialect.COMPLETION:
            choice: Json = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
            choice |= {"stop_reason": None, "prompt_token_ids": None, "token_ids": None}
            return self._chunk([choice])
        choice = {"index": index, "delta": {"content": text}, "logprobs": None, "finish_reason": reason}
        if finish_reason:
            choice["stop_reason"] = None
        return self._chunk([choice | {"token_ids": None}])

    def closing_usage(self, usage: Usage) -> Json:
        """The event without choices that ends a stream asked to `include_usage`."""
        return self._chunk([]) | {"usage": usage.as_json()}

    def whole(self, choices: Sequence[Spoken], usage: Usage) -> Json:
        """The response to a request that doesn't stream."""
        kind = "text_completion" if self.dialect is Dialect.COMPLETION else "chat.completion"
        told = [self._whole_choice(index, spoken) for index, spoken in enumerate(choices)]
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        body: Json = {"id": self.response_id, "object": kind, "created": self.created, "model": self.model}
        body |= {"choices": told, "service_tier": None, "system_fingerprint": None, "usage": usage.as_json() | details}
        if self.dialect is Dialect.CHAT:
            body |= {"prompt_logprobs": None, "prompt_token_ids": None, "prompt_text": None}
        return body | {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}

    def _chunk(self, choices: Sequence[Json]) -> Json:
        kind = "text_completion" if self.dialect is Dialect.COMPLETION else "chat.completion.chunk"
        body: Json = {"id": self.response_id, "object": kind, "created": self.created, "model": self.model}
        return body | {"choices": choices}

    def _whole_choice(self, index: int, spoken: Spoken) -> Json:
        reason = spoken.finish_reason.value
        if self.dialect is Dialect.COMPLETION:
            choice: Json = {"index": index, "text": spoken.text, "logprobs": None, "finish_reason": reason}
            choice |= {"stop_reason": None, "token_ids": None, "prompt_logprobs": None, "prompt_token_ids": None}
            return choice | {"routed_experts": None}
        message: Json = {"role": "assistant", "content": spoken.text, "refusal": None, "annotations": None}
        message |= {"audio": None, "function_call": None, "reasoning": None}
        choice = {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
        return choice | {"stop_reason": None, "token_ids": None, "routed_experts": None}


def refusal(message: str, kind: str, param: str | None, status: int) -> Json:
    """The body of an error, in vLLM's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def model_list(model: str, created: int, owner: str) -> Json:
    """The body of `GET /v1/models` for one model."""
    permission: Json = {"id": "modelperm-0000000000000000", "object": "model_permission", "created": created}
    permission |= {"allow_create_engine": False, "allow_sampling": True, "allow_logprobs": True}
    permission |= {"allow_search_indices": False, "allow_view": True, "allow_fine_tuning": False}
    permission |= {"organization": "*", "group": None, "is_blocking": False}
    card: Json = {"id": model, "object": "model", "created": created, "owned_by": owner, "root": model, "parent": None}
    return {"object": "list", "data": [card | {"max_model_len": 4096, "permission": [permission]}]}
