"""The demo's sample works, and what the stand-in remembers of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.demo import memory
from guard.demo.generation import tokens_of

WORKS = memory.load_works()
STORY, POEM, CODE = WORKS


def test_the_manifest_names_every_work_in_the_folder_as_protected() -> None:
    records = [json.loads(line) for line in memory.WORKS_MANIFEST.read_text(encoding="utf-8").splitlines()]
    files = {path.name for path in memory.WORKS_FOLDER.iterdir() if path.is_file()}
    assert {record["path"] for record in records} == files - {memory.WORKS_MANIFEST.name}
    assert {record["status"] for record in records} == {"protected"}
    assert {record["licence"] for record in records} == {"all rights reserved"}
    assert len({record["id"] for record in records}) == len(records) == 3


@pytest.fixture
def kiln(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The sample source file as a module."""
    spec = importlib.util.spec_from_file_location("kiln_schedule", memory.WORKS_FOLDER / "kiln_schedule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_sample_source_file_works(kiln: ModuleType) -> None:
    steps = kiln.parse("60 to 200, hold 30  # dry\n\nfull to 1220, hold 15")
    assert list(kiln.curve(steps, start=20.0))[:3] == [(0.0, 20.0), (180.0, 200.0), (210.0, 200.0)]
    assert kiln.reading_at(steps, 90.0, start=20.0) == 110.0
    assert kiln.warnings(steps) == ["step 2 passes 573 at 280 an hour; slow down"]
    assert 5.0 < kiln.bill(steps) < 12.0
    with pytest.raises(kiln.ScheduleError, match="line 1"):
        kiln.parse("as hot as it gets")


@given(work=st.sampled_from(WORKS), place=st.floats(0.05, 0.95), length=st.integers(80, 400))
def test_a_prompt_cut_from_a_work_is_continued_verbatim(work: memory.Memorised, place: float, length: int) -> None:
    cut = max(length, int(place * len(work.body)))
    assert memory.continue_from("Please go on. " + work.body[cut - length : cut], WORKS) == work.body[cut:]


def test_words_are_recognised_in_any_case_and_layout() -> None:
    prompt = "SHE KEEPS A STALL -- WHERE TWO WINDS MEET, behind the corn\n\nexchange"
    assert (memory.continue_from(prompt, WORKS) or "").startswith(",\nand mends the rain")


@pytest.mark.parametrize("prompt", ["", "…", "the sea", "What is a Bloom filter?", "She keeps a stall of apples"])
def test_an_innocent_prompt_calls_nothing_up(prompt: str) -> None:
    assert memory.continue_from(prompt, WORKS) is None
    assert memory.answer_to_request(prompt, WORKS) is None


def test_a_work_is_recited_when_asked_for_by_title() -> None:
    assert memory.answer_to_request("Please recite “The Mender of Umbrellas”!", WORKS) == POEM.body
    assert memory.answer_to_request("Is “The Mender of Umbrellas” any good?", WORKS) is None
    opening = memory.answer_to_request("read me the beginning of the tide clerk", WORKS)
    assert opening is not None
    assert STORY.body.split("\n\n")[0] in opening
    assert opening.endswith("Shall I go on?")


def test_a_quoted_line_is_continued() -> None:
    line = "and cloth will always tell."
    told = memory.answer_to_request(f"Continue this poem: “{line}” Thank you.", WORKS)
    assert told == POEM.body.partition(line)[2].lstrip('”"') or told == POEM.body.partition(line)[2]


@given(st.text())
def test_tokens_are_small_and_lose_nothing(text: str) -> None:
    assert "".join(tokens_of(text)) == text


def test_tokens_of_a_work_are_short() -> None:
    tokens = tokens_of(STORY.body)
    assert max(map(len, tokens)) <= 6
    assert 3.0 < sum(map(len, tokens)) / len(tokens) < 5.0
