"""From a request's JSON to the pieces of text that the stand-in sends: everything about an answer but its timing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from guard.demo.answers import ordinary_answer
from guard.demo.memory import Memorised, answer_to_request, continue_from
from guard.demo.wire_shapes import Dialect, FinishReason, Spoken, Usage
from guard.errors import GuardError

_MOST_CHOICES = 16

# Cut as a language model's tokens are: a word carries the space before it, long words come in parts, line breaks alone.
_PIECE = re.compile(r"\n+|[^\S\n]?[^\W_]{1,5}|[^\S\n]?[^\w\s]{1,5}|_+|[^\S\n]+")


class BadRequestError(GuardError):
    """The stand-in can't answer the request. `param` names the field at fault."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of one choice; `finish_reason` is set on a choice's last one."""

    index: int
    text: str
    finish_reason: FinishReason | None


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer before it's spoken: the tokens of each choice, and why each of them ends."""

    choices: tuple[tuple[str, ...], ...]
    finish_reasons: tuple[FinishReason, ...]
    prompt_tokens: int
    stream: bool
    include_usage: bool

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, sum(map(len, self.choices)))

    def whole(self) -> tuple[Spoken, ...]:
        """Every choice in one piece."""
        return tuple(Spoken("".join(c), r) for c, r in zip(self.choices, self.finish_reasons, strict=True))

    def steps(self) -> tuple[tuple[Piece, ...], ...]:
        """The pieces in the order of sending: each step holds the next token of every choice that isn't through."""
        lanes = [_pieces(i, *choice) for i, choice in enumerate(zip(self.choices, self.finish_reasons, strict=True))]
        return tuple(tuple(piece for piece in step if piece) for step in zip_longest(*lanes))


def tokens_of(text: str) -> tuple[str, ...]:
    """Cut a text into the stand-in's tokens, of one to six characters; joined they are the text again."""
    return tuple(_PIECE.findall(text))


def generate(dialect: Dialect, body: object, works: Sequence[Memorised]) -> Generation:
    """Answer a request of `/v1/completions` or `/v1/chat/completions`. Raises BadRequestError."""
    if not isinstance(body, dict):
        raise BadRequestError("The request body must be a JSON object.", None)
    copies = _count(body, "n", 1, most=_MOST_CHOICES)
    limit = _count(body, "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens", 4096)
    if dialect is Dialect.CHAT:
        message = _last_message(body)
        prompts, texts = [message], [answer_to_request(message, works) or ordinary_answer(message)]
    else:
        prompts = _prompts(body)
        texts = [continue_from(prompt, works) or ordinary_answer(prompt) for prompt in prompts]
    tokens = [each for text in texts for each in [tokens_of(text)] * copies]
    options = body.get("stream_options")
    return Generation(
        choices=tuple(each[:limit] for each in tokens),
        finish_reasons=tuple(FinishReason.LENGTH if len(each) > limit else FinishReason.STOP for each in tokens),
        prompt_tokens=len(tuple(chain.from_iterable(map(tokens_of, prompts)))),
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _pieces(index: int, tokens: Sequence[str], reason: FinishReason) -> list[Piece]:
    """vLLM's last event carries the last token at max_tokens, and no text at the model's own end."""
    if reason is FinishReason.STOP:
        return [*(Piece(index, token, None) for token in tokens), Piece(index, "", reason)]
    return [*(Piece(index, token, None) for token in tokens[:-1]), Piece(index, tokens[-1], reason)]


def _count(body: Mapping[str, object], name: str, default: int, most: int | None = None) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most is not None and value > most):
        bound = f" and at most {most}" if most else ""
        raise BadRequestError(f"{name} must be a whole number of at least 1{bound}.", name)
    return value


def _prompts(body: Mapping[str, object]) -> list[str]:
    prompt = body.get("prompt")
    given = prompt if isinstance(prompt, list) else [prompt]
    prompts = [each for each in given if isinstance(each, str)]
    if not prompts or len(prompts) < len(given):
        raise BadRequestError(
            "prompt must be a string or a list of strings: the stand-in knows no token ids.", "prompt"
        )
    return prompts


def _last_message(body: Mapping[str, object]) -> str:
    """The text of the last message; a content in parts is put together from its text parts."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        raise BadRequestError("messages must be a list of at least one message.", "messages")
    content = messages[-1].get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise BadRequestError("The last message must have a content that is text.", "messages")
    return content
