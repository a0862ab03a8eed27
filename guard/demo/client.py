"""A streaming client of the OpenAI API on nothing but the standard library, with a stopwatch."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from guard.demo.processes import DemoError

_SECONDS_OF_SILENCE = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask: a path of the API and the body to post there, without `stream`."""

    path: str
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class Heard:
    """A streamed answer. Times are in seconds from the request; `first_text` is None if no text came."""

    text: str
    finish_reason: str | None
    first_text: float | None
    all_of_it: float

    @property
    def blocked(self) -> bool:
        """Did the answer end as OpenAI's API says that something was kept back?"""
        return self.finish_reason == "content_filter"


def ask(port: int, request: Request, on_text: Callable[[str], None]) -> Heard:
    """Stream the first choice of an answer; `on_text` gets all the text so far whenever there is more of it.

    Raises DemoError if the answer isn't a stream that ends as it should.
    """
    text, reason, first = "", None, None
    begun = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS_OF_SILENCE)) as connection:
        for event in _events(connection, request):
            for choice in event.get("choices", ()):
                reason = choice.get("finish_reason") or reason
                if more := choice.get("text") or choice.get("delta", {}).get("content"):
                    first = first if first is not None else time.perf_counter() - begun
                    text += more
                    on_text(text)
    return Heard(text, reason, first, time.perf_counter() - begun)


def _events(connection: http.client.HTTPConnection, request: Request) -> Iterator[dict[str, Any]]:
    """Post the request; the JSON of each server-sent event, up to [DONE]."""
    try:
        body = json.dumps(request.body | {"stream": True})
        connection.request("POST", request.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            said = response.read(2000).decode(errors="replace")
            raise DemoError(f"{request.path} on port {connection.port} answered {response.status}: {said}")
        while line := response.readline():
            kind, _, value = line.decode().rstrip("\r\n").partition(":")
            if kind != "data":
                continue
            if value.strip() == "[DONE]":
                return
            yield json.loads(value)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DemoError(f"the stream of {request.path} on port {connection.port} broke off: {error!r}") from error
    raise DemoError(f"the stream of {request.path} on port {connection.port} ended without [DONE]")
