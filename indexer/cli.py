"""The `indexer` command."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

from guard.errors import GuardError
from indexer.commands import build, info, verify

COMMANDS: Final = (
    ("build", build, "build an index of protected works"),
    ("info", info, "show what an index holds"),
    ("verify", verify, "check that an index is whole and finds texts again"),
)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status: 2 after an error, 128 + the signal's number after a signal."""
    args = parser().parse_args(argv)
    try:
        with _signals_unwind():
            status = int(args.run(args))
            sys.stdout.flush()
            return status
    except GuardError as error:
        print(f"indexer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("indexer: interrupted: nothing was written", file=sys.stderr)
        return 128 + signal.SIGINT
    except _Stopped as stopped:
        print("indexer: stopped: nothing was written", file=sys.stderr)
        return 128 + stopped.signal
    except BrokenPipeError:  # whoever read our output has left
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="indexer", description="Build and check indexes of protected works.")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for name, module, line in COMMANDS:
        command = commands.add_parser(name, help=line)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


class _Stopped(BaseException):
    """A signal to end, as an exception, so that temporary files and processes are cleared away."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
