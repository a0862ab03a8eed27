"""What the demo asks, and with which action the guard answers."""

from __future__ import annotations

from dataclasses import dataclass

from guard.demo.client import Request
from guard.demo.memory import WORKS_FOLDER
from guard.demo.model import MODEL
from guard.policy import Action


@dataclass(frozen=True, slots=True)
class Scene:
    """One question, asked twice: of the model itself, and of a guard that takes `action`."""

    title: str
    prompt: str
    request: Request
    action: Action


def _chat(message: str, max_tokens: int) -> Request:
    messages = [{"role": "user", "content": message}]
    return Request("/v1/chat/completions", {"model": MODEL, "messages": messages, "max_tokens": max_tokens})


def _completion(prompt: str, max_tokens: int) -> Request:
    return Request("/v1/completions", {"model": MODEL, "prompt": prompt, "max_tokens": max_tokens})


def _excerpt(file: str, begins: str, ends: str) -> str:
    """A stretch of a sample work: quoted from the file, so that the prompts can't drift from the works."""
    text = (WORKS_FOLDER / file).read_text(encoding="utf-8")
    start = text.index(begins)
    return text[start : text.index(ends, start) + len(ends)]


def scenes() -> tuple[Scene, ...]:
    """The scenes in order: an ordinary question first, since that's what nearly all of them are."""
    ordinary = "Why are there two high tides a day?"
    story = "Read me the opening of “The Tide Clerk”."
    poem = _excerpt("the-mender-of-umbrellas.txt", "She keeps a stall", "small change.")
    code = _excerpt("kiln_schedule.py", "def reading_at", "and worry.")
    return (
        Scene("an ordinary question", ordinary, _chat(ordinary, 200), Action.REDACT),
        Scene("a story, asked for by its title", story, _chat(story, 220), Action.REDACT),
        Scene("a poem, from its first verse on", poem, _completion(poem, 120), Action.REDACT),
        Scene("code, from the head of a function on", code, _completion(code, 132), Action.BLOCK),
    )
