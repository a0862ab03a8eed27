"""Records what the real vLLM sends, byte for byte, as samples for the other tests.

    python -m tests.end_to_end.record URL        (from the repository's root; URL of a vLLM that serves `reciter`)

One file per answer: the body as it came, dechunked. `exchanges.json` says which request gave which file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .answers import INNOCENT, PUBLISH, PUBLISHING, RECITALS, Question
from .servers import Server

RECORDED = Path(__file__).with_name("recorded")
USAGE = {"stream_options": {"include_usage": True}}


def exchanges() -> dict[str, tuple[str, dict[str, Any]]]:
    chat, completion = RECITALS
    wanted: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, question in (("chat", chat), ("completion", completion)):
        short = Question(question.dialect, question.prompt, max_tokens=64)
        two = Question(question.dialect, question.prompt, n=2, max_tokens=48)
        wanted[f"{name}-stream.sse"] = question.path, short.body(stream=True)
        wanted[f"{name}-stream-n2-usage.sse"] = question.path, two.body(stream=True, **USAGE)
        wanted[f"{name}-stream-continuous-usage.sse"] = (
            question.path,
            short.body(stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True}),
        )
        wanted[f"{name}.json"] = question.path, short.body()
        wanted[f"{name}-n2.json"] = question.path, two.body()
        wanted[f"{name}-error.json"] = question.path, short.body() | {"model": "nobody"}
        wanted[f"{name}-stream-logprobs.sse"] = (
            question.path,
            short.body(stream=True, max_tokens=8, logprobs=True if name == "chat" else 2),
        )
    innocent = INNOCENT[0]
    wanted["chat-innocent-stream.sse"] = innocent.path, innocent.body(stream=True)
    for choice, tools in PUBLISHING.items():
        wanted[f"chat-tool-{choice}-stream.sse"] = PUBLISH.path, PUBLISH.body(stream=True, **tools)
        wanted[f"chat-tool-{choice}.json"] = PUBLISH.path, PUBLISH.body(**tools)
    return wanted


def main() -> None:
    server = Server(urlsplit(sys.argv[1]).port or 8000)
    RECORDED.mkdir(exist_ok=True)
    listed: dict[str, Any] = {}
    for name, (path, body) in exchanges().items():
        answer = server.ask("POST", path, json.dumps(body).encode())
        (RECORDED / name).write_bytes(answer.body)
        listed[name] = {"path": path, "request": body, "status": answer.status, "headers": answer.headers}
        print(f"{name}: {answer.status}, {len(answer.body)} bytes")
    (RECORDED / "exchanges.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
