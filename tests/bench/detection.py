"""Detection on real model outputs: `python tests/bench/detection.py --data DIR` (DIR: where GUARD_DATA points).

Indexes the five novels with `indexer build`, replays every output of `regurgitated.jsonl.gz` and every benign text as a
stream in three cuts (whole, one code point at a time, random tokens), and judges by the exact oracle of the tests.
Exit status 1 if a run was missed, more than 40 letters of one left, the output depends on the cut, or benign text
without a run of 124 letters was acted on.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from exact_oracle import LargeOracle, oracle_fold

from guard import Action, Index, Policy, Release, StreamGuard, Withhold, open_index

SETS = (("regurgitated", "output"), ("benign_summaries", "text"), ("benign_answers", "text"))
PROMISED_LETTERS = 40


@dataclass
class Tally:
    texts: int = 0
    with_run: int = 0  # texts in which the oracle finds a run of 128 letters
    runs: int = 0
    acted_on: int = 0
    missed: int = 0
    wrongly: int = 0  # acted on, but no run of 124 letters in it
    worst_leak: int = 0
    cut_dependent: int = 0


def released(index: Index, deltas: list[str]) -> list[bool]:
    """For each code point of the text whether it left."""
    guard = StreamGuard(index, Policy(action=Action.REDACT))
    left: list[bool] = []
    for event in [event for delta in deltas for event in guard.feed(delta)] + list(guard.close()):
        match event:
            case Release(text):
                left += [True] * len(text)
            case Withhold(code_points, _):
                left += [False] * code_points
    return left


def cuts(text: str, rng: random.Random) -> Iterator[list[str]]:
    yield [text]
    yield list(text)
    at = [0, *sorted(rng.sample(range(len(text) + 1), len(text) // 4)), len(text)]
    yield [text[a:b] for a, b in pairwise(at)]


def judge(index: Index, oracle: LargeOracle, texts: Iterator[str]) -> Tally:
    tally, rng = Tally(), random.Random(0)
    for text in texts:
        outcomes = [released(index, deltas) for deltas in cuts(text, rng)]
        left = outcomes[0]
        places = oracle_fold(text)[1]
        nearly = oracle.runs(text, 124)
        runs = [run for run in nearly if run.letters >= 128]
        tally.texts += 1
        tally.with_run += bool(runs)
        tally.runs += len(runs)
        tally.acted_on += not all(left)
        tally.missed += bool(runs) and all(left)
        tally.wrongly += not nearly and not all(left)
        tally.cut_dependent += any(outcome != left for outcome in outcomes)
        leaks = [sum(left[place] for place in places[run.first : run.last]) for run in runs]
        tally.worst_leak = max([tally.worst_leak, *leaks])
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("GUARD_DATA"), required="GUARD_DATA" not in os.environ
    )
    data = Path(parser.parse_args().data)
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "indexer", "build", str(data / "works"), "--out", folder]
        subprocess.run(build, check=True, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
        index = open_index(Path(folder))
        oracle = LargeOracle(path.read_text(encoding="utf-8") for path in sorted((data / "works").glob("*.txt")))
        print("| texts | number | with a run ≥ 128 | runs | acted on | missed | acted on without a run ≥ 124 | "
              "most letters of a run that left | output depends on the cut |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|")
        good = True
        for name, field in SETS:
            with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
                t = judge(index, oracle, (json.loads(line)[field] for line in lines))
            print(f"| {name} | {t.texts} | {t.with_run} | {t.runs} | {t.acted_on} | {t.missed} | {t.wrongly} | "
                  f"{t.worst_leak} | {t.cut_dependent} |", flush=True)  # fmt: skip
            good = good and not (t.missed or t.cut_dependent) and t.worst_leak <= PROMISED_LETTERS
            good = good and not (t.wrongly and name.startswith("benign"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
