"""The route table: what is guarded, what passes and why it can't emit a model's text. Everything else is denied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from guard.wire.chat import CHAT
from guard.wire.completions import COMPLETIONS
from guard.wire.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Guarded:
    """Its answers are checked, in this dialect."""

    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Passed:
    """Its answers pass unchecked, for this reason."""

    reason: str


Route = Guarded | Passed

ROUTES: Final[Mapping[tuple[str, str], Route]] = {
    ("POST", "/v1/chat/completions"): Guarded(CHAT),
    ("POST", "/v1/completions"): Guarded(COMPLETIONS),
    ("GET", "/v1/models"): Passed("names of models"),
    ("GET", "/health"): Passed("a status without a body"),
    ("GET", "/ping"): Passed("a status without a body"),
    ("POST", "/ping"): Passed("a status without a body"),
    ("GET", "/version"): Passed("a version number"),
    ("GET", "/load"): Passed("a number"),
    ("GET", "/metrics"): Passed("numbers under fixed names"),
    ("POST", "/tokenize"): Passed("the client's own text as numbers"),
}


def find_route(method: str, path: str) -> Route | None:
    """None: denied. A HEAD is a GET without a body."""
    return ROUTES.get(("GET" if method == "HEAD" else method, path))
