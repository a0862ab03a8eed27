"""The demo's other processes: started together, watched until they answer, and stopped whatever happens."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from guard.errors import GuardError

_SECONDS_TO_BUILD = 120.0
_SECONDS_TO_ANSWER = 60.0  # a first start compiles the kernels
_SECONDS_TO_STOP = 3.0
_SECONDS_TO_DIE = 0.2  # a process's connections break a moment before its end can be seen
_LINES_OF_TAIL = 15


class DemoError(GuardError):
    """A part of the demo didn't start, or broke off."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def failed(self, what: str) -> DemoError:
        """An error that says what went wrong and quotes the end of the process's output."""
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_OF_TAIL:]
        said = "\n".join(f"    {line}" for line in tail) or "    (it said nothing)"
        return DemoError(f"{self.name} {what}. The end of what it said:\n{said}")

    def check(self) -> None:
        """Raises DemoError if the process has ended."""
        status = self.process.poll()
        if status is not None:
            raise self.failed(f"ended too early, with status {status}")


class Children:
    """A context manager: on leaving it, every process started in it has ended. Output goes to files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        processes = [child.process for child in self._children]
        try:
            for process in processes:
                process.terminate()
            deadline = time.monotonic() + _SECONDS_TO_STOP
            for process in processes:
                process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()

    def start(self, name: str, module: str, *arguments: str) -> Child:
        """Start `python -m module arguments...`."""
        log = self._folder / f"{len(self._children)}.log"
        # The operator's own GUARD_* settings are for the operator's guard. A session of its own, so that Ctrl-C reaches
        # the demo alone, which then stops the others in order.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GUARD_")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def finish(self, child: Child) -> None:
        """Wait for a process to end. Raises DemoError if it takes too long or its exit status isn't 0."""
        try:
            status = child.process.wait(_SECONDS_TO_BUILD)
        except subprocess.TimeoutExpired:
            raise child.failed(f"did not end within {_SECONDS_TO_BUILD:.0f} seconds") from None
        if status != 0:
            raise child.failed(f"failed with status {status}")

    def check(self) -> None:
        """Raises DemoError if a process has failed: the likely reason for a connection that broke."""
        time.sleep(_SECONDS_TO_DIE)
        for child in self._children:
            if child.process.poll():
                child.check()


def wait_until_ready(child: Child, port: int, path: str) -> None:
    """Poll `path` until it answers 200. Raises DemoError if the process ends or stays silent."""
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    while time.monotonic() < deadline:
        child.check()
        if _status_of(port, path) == http.client.OK:
            return
        time.sleep(0.03)
    raise child.failed(f"did not answer GET {path} on port {port} within {_SECONDS_TO_ANSWER:.0f} seconds")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Let signals that would end this process at once raise KeyboardInterrupt, so that context managers clean up."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _status_of(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
