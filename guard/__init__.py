"""Regurgitation Guard: stops language models from giving out protected works word for word.

`StreamGuard` is the heart; `guard serve` and `GuardMiddleware` put it in front of an inference server.
"""

from __future__ import annotations

from guard.errors import GuardError
from guard.index.file import Index, open_index
from guard.match import Kind, Match
from guard.policy import Action, Policy
from guard.stream import Block, Redact, Release, StreamGuard, Withhold

__all__ = [
    "Action",
    "Block",
    "GuardError",
    "Index",
    "Kind",
    "Match",
    "Policy",
    "Redact",
    "Release",
    "StreamGuard",
    "Withhold",
    "open_index",
]
