"""Traffic of the real vLLM, recorded by `tests/end_to_end/record.py`, through the guard in any cut."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import make_index
from exact_oracle import Oracle
from test_answer import events, new_answer, texts

from guard import Action, Index
from guard.wire.answer import Answer
from guard.wire.chat import CHAT
from guard.wire.completions import COMPLETIONS

RECORDED = Path(__file__).parent / "end_to_end" / "recorded"
STORY = (Path(__file__).parents[1] / "guard" / "demo" / "works" / "the-tide-clerk.txt").read_text(encoding="utf-8")
EXCHANGES: dict[str, Any] = json.loads((RECORDED / "exchanges.json").read_text(encoding="utf-8"))
NAMES = sorted(name for name, each in EXCHANGES.items() if each["status"] == 200 and "logprobs" not in name)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return make_index(tmp_path_factory.mktemp("story"), [STORY])


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle([STORY])


def answer_to(name: str, index: Index, action: Action = Action.REDACT) -> Answer:
    exchange = EXCHANGES[name]
    dialect = CHAT if "chat" in exchange["path"] else COMPLETIONS
    n = dialect.choices(exchange["request"])
    return new_answer(index, action, dialect, n=n, whole=name.endswith(".json"))


def through(answer: Answer, name: str, seed: int) -> bytes:
    """`seed` 0: in one piece, 1: byte by byte, else in random pieces."""
    raw = (RECORDED / name).read_bytes()
    if name.endswith(".json"):
        return answer.body(raw)
    rng = random.Random(seed)
    at = {0: [], 1: list(range(len(raw)))}.get(seed) or sorted(rng.sample(range(len(raw)), 60 if seed else 0))
    ends = [*at, len(raw)]
    return b"".join(answer.feed(raw[a:b]) for a, b in zip([0, *ends], ends, strict=False)) + answer.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_bytes_are_identical_when_nothing_matches(index: Index, name: str, seed: int) -> None:
    answer = answer_to(name, index)
    assert through(answer, name, seed) == (RECORDED / name).read_bytes()
    assert not answer.withheld_fields


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".sse")])
@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_the_recited_story_is_withheld_in_any_cut(story: Index, oracle: Oracle, name: str, action: Action) -> None:
    outs = [through(answer_to(name, story, action), name, seed) for seed in range(4)]
    found = [texts(out) for out in outs]
    assert found[1:] == found[:1] * 3
    for key, text in texts((RECORDED / name).read_bytes()).items():
        runs = oracle.runs(text, 128)
        left = found[0].get(key, "")
        assert sum(run.letters for run in oracle.runs(left, 41)) == 0 or not runs
        if not runs:
            assert left == text
    assert events(outs[0])[-1] == "[DONE]"
