"""What the guard itself puts on the wire."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson


def dumps(value: Any) -> bytes:
    """JSON, also of what orjson refuses: lone surrogates and integers of any size, as an upstream may send them."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def sse(event: Any) -> bytes:
    return b"data: " + dumps(event) + b"\n\n"


DONE: Final = b"data: [DONE]\n\n"


def error(message: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": "server_error", "param": None, "code": code}}


ERROR_WITHHELD: Final = error("The server's error message was withheld by the guard.", 500)
UPSTREAM_DIED: Final = error("The inference server broke off its answer.", 502)
