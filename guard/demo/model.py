"""The stand-in: an OpenAI-compatible server that behaves like vLLM with a model that has memorised the sample works.

There is no model in it. It recites what `memory` looks up and answers everything else from `answers`, a token every few
milliseconds. Run it alone with `python -m guard.demo.model --port 8000`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator

import orjson
import uvicorn

from guard.asgi import BodyTooLarge, ClientLeft, Receive, Scope, Send, read_body
from guard.demo.generation import BadRequestError, Generation, generate
from guard.demo.memory import load_works
from guard.demo.wire_shapes import Dialect, Json, Response, model_list, refusal

MODEL = "stand-in"
_OWNER = "guard demo (a stand-in, not a language model)"
_LONGEST_REQUEST = 1 << 20  # bytes
_DIALECTS = {"/v1/completions": Dialect.COMPLETION, "/v1/chat/completions": Dialect.CHAT}


class StandInModel:
    """An ASGI app. It stops generating when the client leaves, as vLLM does; temperature and seed change nothing."""

    def __init__(self, token_ms: float = 8.0) -> None:
        self._works = load_works()
        self._token_seconds = token_ms / 1000.0
        self._born = int(time.time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        route = (scope["method"], scope["path"])
        if scope["method"] == "POST" and scope["path"] in _DIALECTS:
            await self._generate(scope, receive, send)
        elif route == ("GET", "/v1/models"):
            await _send_json(send, 200, model_list(MODEL, self._born, _OWNER))
        elif route == ("GET", "/version"):
            await _send_json(send, 200, {"version": _OWNER})
        elif route == ("GET", "/health"):
            await _send(send, 200, b"text/plain", b"")
        else:
            await _send_json(send, 404, {"detail": "Not Found"})

    async def _generate(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = _DIALECTS[scope["path"]]
        try:
            body = orjson.loads(await read_body(scope, receive, _LONGEST_REQUEST))
            generation = generate(dialect, body, self._works)
        except ClientLeft:
            return None
        except (orjson.JSONDecodeError, BodyTooLarge, BadRequestError) as error:
            param = error.param if isinstance(error, BadRequestError) else None
            return await _send_json(send, 400, refusal(str(error), "BadRequestError", param, 400))
        model = body.get("model") or MODEL
        if model != MODEL:
            message = f"The model `{model}` does not exist."
            return await _send_json(send, 404, refusal(message, "NotFoundError", "model", 404))
        response = Response(dialect, f"{dialect.value}-{uuid.uuid4().hex[:16]}", int(time.time()), MODEL)
        answering = asyncio.create_task(self._answer(response, generation, send))
        leaving = asyncio.create_task(_until_client_leaves(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            leaving.cancel()
            answering.cancel()
        return None

    async def _answer(self, response: Response, generation: Generation, send: Send) -> None:
        if not generation.stream:
            await asyncio.sleep(self._token_seconds * len(generation.steps()))
            return await _send_json(send, 200, response.whole(generation.whole(), generation.usage))
        await _start(send, 200, b"text/event-stream; charset=utf-8")
        async for event in self._events(response, generation):
            await send({"type": "http.response.body", "body": b"data: " + event + b"\n\n", "more_body": True})
        return await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, response: Response, generation: Generation) -> AsyncIterator[bytes]:
        for index in range(len(generation.choices)):
            if (opening := response.opening(index)) is not None:
                yield orjson.dumps(opening)
        # Due times, not sleeps between tokens: those would add up whatever each wake-up is late.
        loop = asyncio.get_running_loop()
        due = loop.time()
        for step in generation.steps():
            due += self._token_seconds
            await asyncio.sleep(max(0.0, due - loop.time()))
            for piece in step:
                yield orjson.dumps(response.piece(piece.index, piece.text, piece.finish_reason))
        if generation.include_usage:
            yield orjson.dumps(response.closing_usage(generation.usage))
        yield b"[DONE]"


async def _until_client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, content_type: bytes, length: int | None = None) -> None:
    headers = [(b"content-type", content_type)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    await _start(send, status, content_type, len(body))
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_json(send: Send, status: int, body: Json) -> None:
    await _send(send, status, b"application/json", orjson.dumps(body))


def main(argv: list[str] | None = None) -> int:
    """Serve the stand-in until it's told to stop."""
    parser = argparse.ArgumentParser(prog="python -m guard.demo.model", description="The stand-in model of guard demo.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument("--token-ms", type=float, default=8.0, help="milliseconds per token (default: %(default)g)")
    args = parser.parse_args(argv)
    app = StandInModel(token_ms=args.token_ms)
    uvicorn.run(app, host=args.host, port=args.port, interface="asgi3", lifespan="off", log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
