"""Cost of matching: `python tests/bench/matching.py --index DIR TEXT...`.

Feeds text token by token (4.3 characters on average) to a StreamGuard, as one stream and as 100 interleaved streams,
and compares it with folding alone and with doing nothing. Best of five runs, one core.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from guard import Index, Policy, StreamGuard, open_index
from guard.index.fold import fold

MEAN_CHARACTERS = 4.3


def tokens(text: str) -> list[str]:
    rng, out, at = random.Random(0), [], 0
    while at < len(text):
        size = rng.choice((2, 3, 4, 4, 5, 5, 6, 6)) if rng.random() < 0.9 else 4
        out.append(text[at : at + size])
        at += size
    return out


def best_microseconds(run: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) / count * 1e6


def stream(index: Index, parts: list[str], streams: int) -> None:
    guards = [StreamGuard(index, Policy()) for _ in range(streams)]
    for number, part in enumerate(parts):
        guards[number % streams].feed(part)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("texts", type=Path, nargs="+", metavar="TEXT")
    args = parser.parse_args()
    index = open_index(args.index)
    text = "\n".join(path.read_text(encoding="utf-8") for path in args.texts)[:1_000_000]
    parts = tokens(text)
    stream(index, parts[:100], 1)
    print(f"{len(parts)} tokens of {len(text) / len(parts):.2f} characters, {len(index.works)} works, "
          f"{index.bloom.words.nbytes / 1e6:.1f} MB of filter")  # fmt: skip
    rows: list[tuple[str, Callable[[], object]]] = [
        ("nothing (the loop)", lambda: [None for part in parts if part is None]),
        ("fold alone", lambda: [fold(part) for part in parts]),
        ("StreamGuard, one stream", lambda: stream(index, parts, 1)),
        ("StreamGuard, 100 streams", lambda: stream(index, parts, 100)),
    ]
    print("| what | µs a token |\n|---|---|")
    for name, run in rows:
        print(f"| {name} | {best_microseconds(run, len(parts)):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
