"""What several test files share: a small index of texts made on the spot, and the exact oracle over the same texts."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from exact_oracle import Oracle

from guard import Index, open_index
from guard.index.bloom import BloomFilter
from guard.index.file import write_index
from guard.index.fold import fold
from guard.index.grams import fingerprints
from guard.index.recipe import DEFAULT_RECIPE
from guard.index.works import WorkRecord

hypothesis.settings.register_profile("fast", max_examples=100, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "fast")


def make_index(directory: Path, works: Sequence[str]) -> Index:
    """An index of texts, without the indexer."""
    prints = [fingerprints(fold(work), DEFAULT_RECIPE) for work in works]
    bloom = BloomFilter.for_capacity(sum(map(len, prints)), 1e-4)
    for each in prints:
        bloom.add(each)
    write_index(directory, DEFAULT_RECIPE, bloom, [WorkRecord(id=f"work-{n}") for n in range(len(works))])
    return open_index(directory)


def random_prose(seed: int, words: int) -> str:
    """Prose-like text of words that nobody wrote: no two seeds share a run."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choice("aeioubcdfghlmnprstvw") for _ in range(rng.randint(2, 9))) for _ in range(400)]
    sentence = (rng.choice(vocabulary) + rng.choice(["", "", "", "", ",", "."]) for _ in range(words))
    return " ".join(sentence)


WORKS = (random_prose(1, 700), random_prose(2, 700), random_prose(3, 60) + " 1901 1902 " * 40 + random_prose(4, 200))


@pytest.fixture(scope="session")
def works() -> tuple[str, ...]:
    return WORKS


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return make_index(tmp_path_factory.mktemp("index"), WORKS)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    return Oracle(WORKS)
