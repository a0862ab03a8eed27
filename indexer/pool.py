"""Work spread over processes: results in the order of the input, a bounded number under way."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from guard.errors import GuardError

_In = TypeVar("_In")
_Out = TypeVar("_Out")

# Items under way for each process: a slow one doesn't leave the others idle at once, and memory stays bounded.
AHEAD: Final = 4


class WorkersDiedError(GuardError):
    """A worker process ended without an answer."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered_map(function: Callable[[_In], _Out], items: Iterable[_In], jobs: int) -> Generator[_Out]:
    """`function` of each item, in order; with one job in this process. `function` and items must be picklable.

    Raises WorkersDiedError if a process is killed. If the iterator is closed early, or fails, the workers are stopped.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    with _processes(jobs) as executor:
        under_way: deque[Future[_Out]] = deque()
        try:
            for item in items:
                with _signals_blocked():
                    under_way.append(executor.submit(function, item))
                if len(under_way) >= AHEAD * jobs:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise WorkersDiedError(
                "a worker process died, most likely for lack of memory: nothing was written; try fewer --jobs"
            ) from None


@contextlib.contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, not forks: a fork would share this process's threads and open files."""
    others = set(multiprocessing.active_children())
    with _signals_blocked():
        executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_leave_with_parent)
    try:
        yield executor
    except BaseException:  # an interrupt too: nobody wants the answers any more
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        executor.shutdown(cancel_futures=True)
        raise
    executor.shutdown()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Processes started in here inherit the mask: a signal that a terminal or a service manager sends to all of them is
    the parent's to handle. It ends its workers itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with_parent() -> None:
    """In a worker: end when the parent does, even if it is killed outright."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
