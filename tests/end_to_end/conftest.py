"""The real vLLM, an index of the story that its model knows by heart, and guards in front of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .servers import Server, free_port, running
from .setup_vllm import COMMAND, STORY, find_home
from .wiretap import Wiretap

MODEL = "reciter"
VLLM_START_SECONDS = 300
GUARD_START_SECONDS = 60
BIN = Path(sys.executable).parent


def pytest_runtest_setup(item: pytest.Item) -> None:
    home = find_home()
    if "vllm" in getattr(item, "fixturenames", ()) and not home.complete:
        pytest.skip(f"no vLLM with its model in {home.path}; make them with: {COMMAND}")


@pytest.fixture(scope="session")
def story() -> str:
    return STORY.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def vllm(logs: Path) -> Iterator[Server]:
    home = find_home()
    port = free_port()
    command: list[str | Path] = [home.python, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--model", home.model, "--served-model-name", MODEL]
    command += ["--max-model-len", "2048", "--dtype", "bfloat16", "--enforce-eager"]
    # A cached prefix changes the rounding, and so now and then the answer to the very same prompt.
    command += ["--no-enable-prefix-caching"]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    env = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    with running(command, port, "/health", logs / "vllm.log", VLLM_START_SECONDS, env) as server:
        yield server


@pytest.fixture(scope="session")
def story_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index") / "story"
    subprocess.run([BIN / "indexer", "build", STORY, "--out", out], check=True, timeout=120)
    return out


class Guards:
    """Starts each guard once, when a test first asks for it."""

    def __init__(self, index: Path, logs: Path, stack: ExitStack) -> None:
        self._index = index
        self._logs = logs
        self._stack = stack
        self._started: dict[tuple[str, str], Server] = {}

    def start(self, action: str, upstream: Server | Wiretap) -> Server:
        key = (action, upstream.url)
        if key not in self._started:
            port = free_port()
            command: list[str | Path] = [BIN / "guard", "serve", "--index", self._index, "--upstream", upstream.url]
            command += ["--listen", f"127.0.0.1:{port}", "--action", action]
            log = self._logs / f"guard-{action}-{port}.log"
            starting = running(command, port, "/guard/health", log, GUARD_START_SECONDS, {})
            self._started[key] = self._stack.enter_context(starting)
        return self._started[key]


@pytest.fixture(scope="session")
def guards(story_index: Path, logs: Path) -> Iterator[Guards]:
    with ExitStack() as stack:
        yield Guards(story_index, logs, stack)


@pytest.fixture(scope="session")
def blocking(guards: Guards, vllm: Server) -> Server:
    return guards.start("block", vllm)


@pytest.fixture(scope="session")
def redacting(guards: Guards, vllm: Server) -> Server:
    return guards.start("redact", vllm)


@pytest.fixture(params=["block", "redact"])
def guarded(request: pytest.FixtureRequest, guards: Guards, vllm: Server) -> Server:
    action: str = request.param
    return guards.start(action, vllm)


@pytest.fixture(scope="session")
def wiretap(vllm: Server) -> Iterator[Wiretap]:
    with Wiretap(vllm.port) as tap:
        yield tap
