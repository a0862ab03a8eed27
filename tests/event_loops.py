"""Runs a test's coroutine on asyncio's loop and on uvloop, and fails it for leaked tasks and lost exceptions."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

LIMIT_SECONDS = 20
"""A test that waits for ever fails instead."""


def on_each_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A decorator for `async def test_…`; its fixtures and parameters work as ever."""

    def run(*args: Any, loop_name: str, **kwargs: Any) -> None:
        run_on(loop_name, test(*args, **kwargs))

    functools.update_wrapper(run, test)
    own = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.signature(test)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), own])  # type: ignore[attr-defined]
    parametrized: Callable[..., None] = pytest.mark.parametrize("loop_name", LOOPS)(run)
    return parametrized


def run_on(loop_name: str, test: Coroutine[Any, Any, None]) -> None:
    """Run to the end; assert that nothing is left running and that no callback or forgotten task failed."""
    faults: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        async with asyncio.timeout(LIMIT_SECONDS):
            await test
        for _ in range(3):  # what was cancelled or closed gets its turn to end
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        runner.run(watched())
    assert not faults
