"""The demo's processes, and the whole demo end to end with the real commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard.demo.client import ask
from guard.demo.processes import Child, Children, DemoError, free_port
from guard.demo.scenes import scenes
from guard.errors import GuardError

MARKER = "[…]"


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that announces itself and then ignores being asked to stop."""
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
    )
    (tmp_path / "a_stubborn_sleeper.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return "a_stubborn_sleeper"


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_no_process_outlives_its_block(sleeper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.demo.processes._SECONDS_TO_STOP", 0.2)
    started: list[Child] = []

    def interrupted() -> None:
        with Children(tmp_path) as children:
            started.append(children.start("sleeper", sleeper))
            wait_for(lambda: started[0].log.read_text() == "up\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started[0].process.returncode == -signal.SIGKILL


def test_a_failing_process_is_quoted(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(DemoError, match="no_such_module_here") as caught:
        children.finish(children.start("nothing", "no_such_module_here"))
    assert isinstance(caught.value, GuardError)


def test_a_process_that_failed_is_blamed(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        done = children.start("the platform", "platform")
        children.finish(done)
        children.check()
        children.start("nothing", "no_such_module_here").process.wait()
        with pytest.raises(DemoError, match="nothing ended too early"):
            children.check()


def test_a_server_that_is_gone_is_an_error_of_the_demo() -> None:
    with pytest.raises(DemoError, match="broke off"):
        ask(free_port(), scenes()[0].request, lambda _: None)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment that marks every process of a demo; on leaving, none of them may be left, nor any file."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    name = f"demo-test-{uuid.uuid4()}"
    yield os.environ | {"TMPDIR": str(temporary), "COLUMNS": "80", "DEMO_TEST": name}
    wait_for(lambda: not marked_processes(name))
    assert list(temporary.iterdir()) == []


def marked_processes(name: str) -> list[str]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if name.encode() in environment.read_bytes():
                found.append(environment.parent.name)
        except OSError:
            continue
    return found


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "guard", "demo", "--token-ms", "1", *arguments]


def test_the_demo_end_to_end(mark: dict[str, str], tmp_path: Path) -> None:
    kept = tmp_path / "index"
    done = subprocess.run(demo("--keep", str(kept)), env=mark, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    out = done.stdout
    assert "stand-in" in out
    assert out.count("letters of a protected work recited") == len(scenes()) - 1
    assert "the same answer, character for character" in out
    assert "finish_reason: content_filter" in out
    got_out = [int(letters) for letters in re.findall(r"✓ (\d+) of the \d+ letters got out", out)]
    assert len(got_out) == len(scenes()) - 1
    assert max(got_out) <= 40
    assert out.count(MARKER) == 2
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert (kept / "manifest.json").exists()


def test_the_demo_cleans_up_when_interrupted(mark: dict[str, str]) -> None:
    with subprocess.Popen(demo(), env=mark, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "the model alone" not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 130


def test_the_demo_quotes_a_command_that_fails(mark: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("a file, not a folder")
    command = demo("--keep", str(tmp_path / "in-the-way"))
    narrow = mark | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=narrow, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "indexer build failed" in done.stderr
    assert "in-the-way" in done.stderr
