"""The route table against the issue's words: what is guarded, what passes, and that everything else is denied."""

from __future__ import annotations

import pytest

from guard.routes import ROUTES, Guarded, Passed, find_route
from guard.wire.chat import CHAT
from guard.wire.completions import COMPLETIONS

PASSED = [
    ("GET", "/v1/models"),
    ("GET", "/health"),
    ("GET", "/ping"),
    ("POST", "/ping"),
    ("GET", "/version"),
    ("GET", "/load"),
    ("GET", "/metrics"),
    ("POST", "/tokenize"),
]


def test_the_routes_that_emit_text_are_guarded_in_their_dialect() -> None:
    guarded = {key: route.dialect for key, route in ROUTES.items() if isinstance(route, Guarded)}
    assert guarded == {("POST", "/v1/chat/completions"): CHAT, ("POST", "/v1/completions"): COMPLETIONS}


def test_the_routes_that_pass_say_why() -> None:
    passed = {key: route.reason for key, route in ROUTES.items() if isinstance(route, Passed)}
    assert list(passed) == PASSED
    assert all(passed.values())


@pytest.mark.parametrize(("method", "path"), list(ROUTES))
def test_a_route_of_the_table_is_found(method: str, path: str) -> None:
    assert find_route(method, path) is ROUTES[method, path]


@pytest.mark.parametrize("path", [path for method, path in PASSED if method == "GET"])
def test_a_head_is_a_get(path: str) -> None:
    assert find_route("HEAD", path) is ROUTES["GET", path]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        # vLLM's other routes: most of them emit text.
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/resp_1"),
        ("POST", "/v1/messages"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/audio/transcriptions"),
        ("POST", "/v1/realtime"),
        ("POST", "/inference/v1/generate"),
        ("POST", "/invocations"),
        ("POST", "/detokenize"),
        ("POST", "/cohere/v2/chat"),
        ("POST", "/score"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("GET", ""),
        # Known paths with another method.
        ("GET", "/v1/chat/completions"),
        ("HEAD", "/v1/completions"),
        ("PUT", "/v1/completions"),
        ("OPTIONS", "/v1/completions"),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/models"),
        ("HEAD", "/tokenize"),
        ("get", "/health"),
        # Spellings that an upstream might take for a known path.
        ("POST", "/v1/chat/completions/"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1//completions"),
        ("POST", "/V1/completions"),
        ("POST", "/v1/completions;a"),
        ("POST", "/v1/completions?a"),
        ("POST", "/v1/%63ompletions"),
        ("POST", "/v1/models/../completions"),
        ("GET", "/health/../v1/responses/resp_1"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/name"),
        ("GET", "/health\n"),
    ],
)
def test_everything_else_is_denied(method: str, path: str) -> None:
    assert find_route(method, path) is None
