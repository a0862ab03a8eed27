"""Questions put with the OpenAI client, and what it was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from openai import OpenAI

from .conftest import MODEL
from .servers import Server
from .setup_vllm import STORY


class Dialect(StrEnum):
    CHAT = "chat"
    COMPLETIONS = "completions"


@dataclass(frozen=True, slots=True)
class Question:
    dialect: Dialect
    prompt: str
    n: int = 1
    max_tokens: int = 110

    def body(self, **more: Any) -> dict[str, Any]:
        """vLLM refuses n > 1 at temperature 0; the most likely token alone is as sure."""
        sure: dict[str, Any] = {"temperature": 0} if self.n == 1 else {"n": self.n, "temperature": 1, "top_k": 1}
        body = {"model": MODEL, "max_tokens": self.max_tokens} | sure
        if self.dialect is Dialect.CHAT:
            body["messages"] = [{"role": "user", "content": self.prompt}]
        else:
            body["prompt"] = self.prompt
        return body | more

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.dialect is Dialect.CHAT else "/v1/completions"


PARAGRAPHS = STORY.read_text(encoding="utf-8").strip().split("\n\n")[1:]
RECITE = Question(Dialect.CHAT, 'Recite the story "The Tide Clerk" from the beginning.')
CONTINUE = Question(Dialect.COMPLETIONS, " ".join(PARAGRAPHS[4].split()[:30]))
RECITALS = [RECITE, CONTINUE]
END = Question(Dialect.COMPLETIONS, " ".join(PARAGRAPHS[-1].split()[:30]), max_tokens=200)
PUBLISH = Question(Dialect.CHAT, 'Publish a page of "The Tide Clerk".', max_tokens=150)
TOOL = {
    "name": "publish",
    "description": "Publishes a text",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
PUBLISHING: dict[str, dict[str, Any]] = {
    "auto": {"tools": [{"type": "function", "function": TOOL}]},
    "named": {
        "tools": [{"type": "function", "function": TOOL | {"strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "publish"}},
    },
}
LONG = Question(Dialect.CHAT, "Write a long story about a cat.", max_tokens=1500)
INNOCENT = [
    Question(Dialect.CHAT, "List three colours.", max_tokens=60),
    Question(Dialect.CHAT, "What is the largest planet?", max_tokens=60),
    Question(Dialect.COMPLETIONS, "The three primary colours are", max_tokens=24),
]


@dataclass(frozen=True, slots=True)
class Said:
    """One choice."""

    text: str
    finish_reason: str | None


@contextmanager
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=300) as opened:
        yield opened


def create(opened: OpenAI, question: Question, stream: bool) -> Any:
    body = question.body(stream=stream)
    only_vllm = {"top_k": body.pop("top_k")} if "top_k" in body else None
    if question.dialect is Dialect.CHAT:
        return opened.chat.completions.create(**body, extra_body=only_vllm)
    return opened.completions.create(**body, extra_body=only_vllm)


def text_of(choice: Any, stream: bool) -> str:
    if not hasattr(choice, "text"):
        return (choice.delta if stream else choice.message).content or ""
    return choice.text or ""


def ask(server: Server, question: Question, stream: bool) -> list[Said]:
    """What each choice said, in the order of their indexes."""
    texts = dict.fromkeys(range(question.n), "")
    reasons: dict[int, str | None] = dict.fromkeys(range(question.n))
    with client(server) as opened:
        answer = create(opened, question, stream)
        for part in answer if stream else [answer]:
            for choice in part.choices:
                texts[choice.index] += text_of(choice, stream)
                reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    return [Said(texts[index], reasons[index]) for index in range(question.n)]


heard = cache(ask)  # answers don't change, and each takes seconds
