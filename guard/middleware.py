"""The guard as a pure ASGI class: it works in front of any ASGI app that speaks the dialects."""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson

from guard.asgi import (
    DEFAULT_MAX_BODY_BYTES,
    App,
    BodyTooLarge,
    ClientLeft,
    Message,
    Receive,
    Scope,
    Send,
    read_body,
    send_error,
    send_too_large,
)
from guard.control import PREFIX, control_app
from guard.errors import RequestRefused
from guard.index.file import Index
from guard.metrics import Metrics, Outcome
from guard.policy import Action, Policy
from guard.responder import Responder
from guard.routes import Guarded, Passed, find_route
from guard.stream import StreamGuard
from guard.wire.answer import Answer
from guard.wire.dialect import Dialect

logger = logging.getLogger(__name__)


class GuardMiddleware:
    """Guards the answers of `app`. Routes that the table doesn't name are refused, upgrades and WebSockets too.

    Raises what `app` raises once an answer is under way; before that, faults become answers.
    """

    def __init__(
        self,
        app: App,
        *,
        index: Index,
        policy: Policy,
        metrics: Metrics | None = None,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> None:
        policy.limits(index.recipe)  # refuse a policy that this index can't keep now, not at the first request
        self._app = app
        self._index = index
        self._policy = policy
        self._max_body_bytes = max_body_bytes
        self.metrics = metrics or Metrics()
        self.metrics.index_works.set(len(index.works))
        self.metrics.index_bytes.set(index.size_bytes)
        self._control = control_app(index, self.metrics)
        warm = StreamGuard(index, Policy(action=Action.REDACT))  # compiles the kernels before the first request
        warm.feed("warm")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._refuse_websocket(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path.startswith(PREFIX):
            await self._control(scope, receive, send)
            return
        upgrade = any(name == b"upgrade" for name, _ in scope["headers"])
        match None if upgrade else find_route(method, path):
            case Guarded(dialect):
                await self._guarded(dialect, scope, receive, send)
            case Passed():
                await self._app(scope, receive, send)
            case None:
                await self._deny(method, path, send)

    async def _deny(self, method: str, path: str, send: Send) -> None:
        logger.warning("denied %s %r: not in the guard's route table", method, path)
        self.metrics.requests.labels("other", "denied").inc()
        message = f"{method} {path} isn't guarded, so the guard in front of this server doesn't let it through."
        await send_error(send, 404, message=message, kind="invalid_request_error", code="route_not_guarded")

    async def _refuse_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.metrics.requests.labels("other", "denied").inc()
        await receive()
        if "websocket.http.response" in scope.get("extensions", {}):
            body = orjson.dumps({"error": {"message": "WebSockets aren't guarded.", "code": "route_not_guarded"}})
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            await send({"type": "websocket.http.response.body", "body": body})
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _guarded(self, dialect: Dialect, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            responder, replay = await self._prepared(dialect, scope, receive, send)
        except ClientLeft:
            return
        except BodyTooLarge as error:
            self.metrics.requests.labels(scope["path"], "refused").inc()
            await send_too_large(send, error)
            return
        except RequestRefused as error:
            self.metrics.requests.labels(scope["path"], "refused").inc()
            await send_error(
                send, 400, message=str(error), kind="invalid_request_error", code=error.code, parameter=error.parameter
            )
            return
        self.metrics.open_streams.inc()
        try:
            await responder.run(self._app, scope, replay)
        finally:
            self.metrics.open_streams.dec()
            self._count(scope["path"], responder)

    async def _prepared(
        self, dialect: Dialect, scope: Scope, receive: Receive, send: Send
    ) -> tuple[Responder, Receive]:
        """Reads and checks the request. Apart from `run`, so that no long prompt stays in a frame while it streams."""
        body = await read_body(scope, receive, self._max_body_bytes)
        request = _parsed(body)
        dialect.check_request(request)
        choices, created_seconds = dialect.choices(request), int(time.time())
        model = {"model": request.get("model")}

        def new_answer(whole: bool) -> Answer:
            envelope = dialect.envelope(model, created_seconds, whole=whole)
            return Answer(dialect, self._new_guard, choices, envelope, whole=whole)

        return Responder(send, new_answer, streamed=request.get("stream") is True), _replayed(body, receive)

    def _new_guard(self) -> StreamGuard:
        return StreamGuard(self._index, self._policy)

    def _count(self, path: str, responder: Responder) -> None:
        metrics, answer = self.metrics, responder.answer
        outcome = responder.outcome
        if answer is not None:
            metrics.events.inc(answer.events)
            action = self._policy.action.value
            for match in answer.matches:
                metrics.matches.labels(action).inc()
                metrics.letters.labels(action).inc(match.letters)
            if answer.withheld_fields:
                metrics.withheld_fields.inc(len(answer.withheld_fields))
                logger.warning("%s: fields withheld: %s", path, sorted(set(answer.withheld_fields)))
            if outcome is Outcome.CLEAN and answer.matches:
                outcome = Outcome.BLOCKED if answer.blocked else Outcome.REDACTED
        if outcome is Outcome.FAILED_CLOSED:
            metrics.failures.labels(responder.failure).inc()
        metrics.requests.labels(path, outcome.value).inc()


def _parsed(body: bytes) -> dict[str, Any]:
    """Raises RequestRefused where the body is no JSON object: what can't be read can't be judged."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRefused(f"The request's body isn't JSON: {error}.", "invalid_json") from None
    if type(request) is not dict:
        raise RequestRefused("The request's body must be a JSON object.", "invalid_json")
    return request


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body, which was read already, then what the client does next."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay
