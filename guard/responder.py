"""One guarded response: takes the app's ASGI messages, gives the client those that may leave."""

from __future__ import annotations

import asyncio
import enum
import logging
import zlib
from collections.abc import Callable
from typing import Final

from guard.asgi import App, Headers, Message, Receive, Scope, Send
from guard.errors import UpstreamError, WireError
from guard.metrics import Outcome
from guard.wire.answer import Answer
from guard.wire.emit import ERROR_WITHHELD, UPSTREAM_DIED, dumps, sse
from guard.wire.strict_json import parse, strings_of

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
# Clients and proxies in between give up on a silent stream after 30 to 60 seconds.
SILENCE_SECONDS: Final = 10.0
# They describe the bytes as the upstream sent them.
DESCRIBES_BYTES: Final = frozenset(
    (b"content-length", b"content-encoding", b"etag", b"digest", b"content-digest", b"repr-digest", b"content-md5")
)


class StopAnswerError(OSError):
    """Tells the app that nobody listens any more, as a server does whose client has left (`send` raises OSError)."""


class _Mode(enum.Enum):
    STREAM = enum.auto()
    WHOLE = enum.auto()
    ERROR = enum.auto()
    EMPTY = enum.auto()


class Responder:
    """`run` it once. Afterwards `outcome` says how it ended, `failure` why it couldn't be checked, `answer` what was
    seen.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_finished",
        "_mode",
        "_new_answer",
        "_ping",
        "_send",
        "_size",
        "_start",
        "_started",
        "_streamed",
        "answer",
        "failure",
        "outcome",
    )

    def __init__(self, send: Send, new_answer: Callable[[bool], Answer], *, streamed: bool) -> None:
        self._send = send
        self._new_answer = new_answer
        self._streamed = streamed
        self._start: Message = {}
        self._started = False
        self._finished = False
        self._mode = _Mode.WHOLE
        self._decoder: zlib._Decompress | None = None
        self._buffer: list[bytes] = []
        self._size = 0
        self._ping: asyncio.TimerHandle | None = None
        self.answer: Answer | None = None
        self.outcome = Outcome.CLEAN
        self.failure = ""

    async def run(self, app: App, scope: Scope, receive: Receive) -> None:
        """Run the app. Raises what it raises once the response has begun, so that the server cuts the connection."""
        try:
            await app(scope, receive, self._take)
            if not self._finished and self.outcome is Outcome.CLEAN:
                self.outcome = Outcome.CLIENT_LEFT
        except Exception as error:
            if self._finished:  # it was told to stop
                return
            self.outcome = Outcome.UPSTREAM_ERROR
            logger.warning("%s: %s", scope["path"], error)
            await self._break_off(error)
        finally:
            self._stop_ping()

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body":
            return
        if self._finished:
            raise StopAnswerError
        try:
            if not self._buffer and self.answer is None:
                self._begin()
            out, more = self._checked(message.get("body", b""), more=message.get("more_body", False))
        except Exception as error:  # whatever goes wrong in the check, the answer ends as a block
            await self._fail(error)
            raise StopAnswerError from error
        await self._give(out, more=more)
        if not more and message.get("more_body", False):
            raise StopAnswerError  # the answer is over; the app need not go on

    def _begin(self) -> None:
        """The first piece of the body has come: decide how to read it. Raises WireError for what can't be read."""
        headers = {name.lower(): value for name, value in self._start.get("headers", ())}
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"gzip", b"x-gzip", b"deflate"):
            self._decoder = zlib.decompressobj(wbits=47 if encoding != b"deflate" else 15)
        elif encoding not in (b"identity", b""):
            raise WireError(f"the upstream's answer has the encoding {encoding!r}, though none was asked for")
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if self._start["status"] >= 400:
            self._mode = _Mode.ERROR
        elif kind == b"text/event-stream":
            self._mode, self._streamed = _Mode.STREAM, True
            self.answer = self._new_answer(False)
        elif kind == b"application/json":
            self.answer = self._new_answer(True)
        else:
            self._mode = _Mode.EMPTY

    def _decoded(self, piece: bytes, *, more: bool) -> bytes:
        if self._decoder is None:
            return piece
        out = self._decoder.decompress(piece, MAX_ANSWER_BYTES)
        if self._decoder.unconsumed_tail or self._decoder.unused_data:
            raise WireError("the upstream's answer unpacks to more than the guard takes, or goes on after its end")
        if not more and not self._decoder.eof:
            raise WireError("the upstream's compressed answer is incomplete")
        return out

    def _checked(self, piece: bytes, *, more: bool) -> tuple[bytes, bool]:
        """What may leave of a piece, and whether more may follow."""
        piece = self._decoded(piece, more=more)
        if self._mode is _Mode.STREAM:
            assert self.answer is not None
            out = self.answer.feed(piece) if piece else b""
            if not more:
                out += self.answer.close()
            return out, more and not self.answer.stopped
        self._size += len(piece)
        if self._size > MAX_ANSWER_BYTES:
            raise WireError(f"the upstream's answer is longer than {MAX_ANSWER_BYTES:,} bytes")
        self._buffer.append(piece)
        return (b"", True) if more else (self._whole(b"".join(self._buffer)), False)

    def _whole(self, body: bytes) -> bytes:
        if self._mode is _Mode.ERROR:
            return self._error(body)
        if self._mode is _Mode.EMPTY:
            if body:
                raise WireError("the upstream's answer is neither JSON nor an event stream")
            return body
        assert self.answer is not None
        return self.answer.body(body)

    def _error(self, body: bytes) -> bytes:
        """An error of the upstream passes, unless it quotes a protected work."""
        text: str | None
        try:
            text = "\n".join(strings_of(parse(body)))
        except WireError:
            text = None if body.lstrip()[:1] in (b"{", b"[", b'"') else body.decode(errors="replace")
        if text is not None and self._new_answer(True).names_pass(text):
            return body
        self._start = {**self._start, "headers": [(b"content-type", b"application/json")]}
        return dumps(ERROR_WITHHELD)

    async def _give(self, out: bytes, *, more: bool) -> None:
        self._finished = not more
        if not self._started and (self._mode is _Mode.STREAM or not more):
            self._started = True
            await self._send(self._start_message(out))
        if out or not more:
            self._stop_ping()
            await self._send({"type": "http.response.body", "body": out, "more_body": more})
        elif self._ping is None and self._mode is _Mode.STREAM:
            self._ping = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._say_alive)

    def _start_message(self, out: bytes) -> Message:
        """The app's start, with the headers right for what leaves."""
        if self._mode is not _Mode.STREAM and self._decoder is None and out == b"".join(self._buffer):
            return self._start
        headers: Headers = [pair for pair in self._start.get("headers", ()) if pair[0].lower() not in DESCRIBES_BYTES]
        if self._mode is not _Mode.STREAM:
            headers.append((b"content-length", b"%d" % len(out)))
        return {**self._start, "headers": headers}

    async def _fail(self, error: Exception) -> None:
        """Fail closed: a native block, never a 5xx, which clients would retry."""
        self.outcome = Outcome.FAILED_CLOSED
        self.failure = "wire" if isinstance(error, WireError) else "check"
        logger.error(
            "the check failed, the answer is blocked: %s", error, exc_info=None if self.failure == "wire" else error
        )
        streams = self._mode is _Mode.STREAM or (self._streamed and not self._started)
        if self.answer is None or (streams and self._mode is not _Mode.STREAM):
            self.answer = self._new_answer(not streams)
        body = self.answer.fail() if streams else self.answer.failed_body()
        if not self._started:
            kind = b"text/event-stream; charset=utf-8" if streams else b"application/json"
            self._start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
        await self._give(body, more=False)

    async def _break_off(self, error: Exception) -> None:
        """The app died: what was held below the threshold leaves, the error follows, the connection is cut."""
        if self._started:
            if self._mode is _Mode.STREAM and self.answer is not None:
                await self._give(self.answer.break_off() + sse(UPSTREAM_DIED), more=True)
            raise error
        if not isinstance(error, UpstreamError):
            raise error  # a fault of the app before it answered is the server's to report
        headers = [(b"content-type", b"application/json")]
        self._mode, self._start = _Mode.WHOLE, {"type": "http.response.start", "status": 502, "headers": headers}
        await self._give(dumps(UPSTREAM_DIED), more=False)

    def _say_alive(self) -> None:
        self._ping = None
        task = asyncio.ensure_future(
            self._send({"type": "http.response.body", "body": b": held\n\n", "more_body": True})
        )
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._ping = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._say_alive)

    def _stop_ping(self) -> None:
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None
