"""Servers as processes of their own, each in its own process group, with its log in a file."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOG_TAIL = 4000


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """One plain request, without any client library's opinions; the body is what came, dechunked."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Metrics:
    """vLLM's own account of what it is doing."""

    running: float
    generated: float

    @classmethod
    def of(cls, server: Server) -> Metrics:
        text = server.ask("GET", "/metrics").body.decode()

        def total(name: str) -> float:
            return sum(float(v) for v in re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

        return cls(total("vllm:num_requests_running"), total("vllm:generation_tokens_total"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(server: Server, process: subprocess.Popen[bytes], path: str, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if server.ask("GET", path).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    state = "ended" if process.poll() is not None else f"wasn't healthy after {seconds:.0f} s"
    raise RuntimeError(f"{process.args!r} {state}:\n{log.read_text(errors='replace')[-LOG_TAIL:]}")


@contextmanager
def running(
    command: Sequence[str | Path], port: int, health: str, log: Path, seconds: float, env: Mapping[str, str]
) -> Iterator[Server]:
    """Nothing that a guard would take for a setting comes from the tester's own environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GUARD_")}
    server = Server(port)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**inherited, **env},
        )
    try:
        wait_until_healthy(server, process, health, log, seconds)
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole process group: vLLM's engine is a child of its server."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, ending)
            process.wait(timeout=15)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=15)
