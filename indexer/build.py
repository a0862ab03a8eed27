"""Building an index: many processes read and measure works, fingerprints are spilled, the filter is made last."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from guard.errors import GuardError
from guard.index.bloom import BloomDesign, BloomFilter
from guard.index.file import MANIFEST, write_index
from guard.index.recipe import DEFAULT_RECIPE, Recipe
from guard.index.works import WorkRecord
from indexer.batches import batches
from indexer.destination import destination
from indexer.measure import Measured, MeasuredBatch, measure, measure_text
from indexer.pieces import Text
from indexer.pool import ordered_map
from indexer.sources import Refusal, Source
from indexer.spill import Spill

DEFAULT_RATE: Final = 1e-4


class BuildError(GuardError):
    """The build failed as a whole. Nothing was written; an index that was there before is untouched."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """`encoding`: override for text files; `strict`: the first refusal is a BuildError."""

    jobs: int = 1
    encoding: str | None = None
    false_positive_rate: float = DEFAULT_RATE
    strict: bool = False
    recipe: Recipe = DEFAULT_RECIPE


@dataclass(slots=True)
class BuildReport:
    """What was built; `design` is None if there were no works. `twins`: pairs of a work's id and that of the earlier
    work with the same letters. `source_bytes`: read for the works that were built. `core_seconds`: of all processes.
    """

    jobs: int
    works: list[WorkRecord] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    twins: list[tuple[str, str]] = field(default_factory=list)
    source_bytes: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0
    design: BloomDesign | None = None
    index_bytes: int = 0


def build_index(
    sources: Sequence[Source], out: Path, options: BuildOptions, progress: Callable[[int], object] = lambda _: None
) -> BuildReport:
    """Build an index of all works that can be read into the folder `out`; without any, nothing is written.

    `progress` is called with the number of input bytes done since the last call. The index's bytes depend on the
    sources alone, not on `jobs`. Raises BuildError, DestinationError, WorkersDiedError, ConfigError for a bad rate.
    """
    started, core_started = time.perf_counter(), _core_seconds()
    BloomDesign.for_rate(1, options.false_positive_rate)  # before hours of reading
    report = BuildReport(options.jobs)
    with destination(out), _disk_errors(out):
        with Spill(out) as spill:
            tally = _Tally(report, spill, options.strict)
            with contextlib.closing(_measured(sources, options)) as done:
                for batch in done:
                    tally.take(batch)
                    progress(batch.advance)
            bloom = _filter(spill, options.false_positive_rate) if report.works else None
        if bloom is not None:
            write_index(out, options.recipe, bloom, report.works)
            report.design, report.index_bytes = bloom.design, index_bytes(out)
    report.seconds, report.core_seconds = time.perf_counter() - started, _core_seconds() - core_started
    return report


def _core_seconds() -> float:
    """Of this process and the workers that have ended."""
    return sum(os.times()[:4])


def index_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / MANIFEST, *folder.glob("segment-*.rgs")))


def _measured(sources: Sequence[Source], options: BuildOptions) -> Generator[MeasuredBatch]:
    if options.jobs > 1:  # compile the kernels once, into their cache, before every worker would
        measure_text(Text("", WorkRecord(""), "compile " * 10, 0), options.recipe)
    step = functools.partial(measure, recipe=options.recipe)
    return ordered_map(step, batches(sources, options.encoding), options.jobs)


def _filter(spill: Spill, false_positive_rate: float) -> BloomFilter:
    try:
        bloom = BloomFilter.for_capacity(spill.keys, false_positive_rate)
    except MemoryError:
        raise BuildError(
            f"the filter of {spill.keys:,} grams doesn't fit into memory: build several indexes, raise "
            "--false-positive-rate, or use a machine with more"
        ) from None
    for block in spill.blocks(bloom.words.nbytes):
        bloom.add(block)
    return bloom


class _Tally:
    """Takes results in input order: what is kept, refused, or already there."""

    def __init__(self, report: BuildReport, spill: Spill, strict: bool) -> None:
        self.report, self.spill, self.strict = report, spill, strict
        self.origins: dict[str, str] = {}  # id to source
        self.ids: dict[bytes, str] = {}  # digest of the letters to the first id

    def take(self, batch: MeasuredBatch) -> None:
        for work in batch.works:
            refusal = work if isinstance(work, Refusal) else self._keep(work)
            if refusal is None:
                continue
            if self.strict:
                raise BuildError(f"{refusal}\nstopped at this refusal (--strict): nothing was written")
            self.report.refusals.append(refusal)

    def _keep(self, found: Measured) -> Refusal | None:
        work = found.work
        if (origin := self.origins.setdefault(work.id, found.source)) != found.source:
            return Refusal(
                found.source, f"its id {work.id!r} is that of {origin}: give one of them another id (see --manifest)"
            )
        self.report.works.append(work)
        self.report.source_bytes += found.size
        if (twin := self.ids.setdefault(found.digest, work.id)) != work.id:
            self.report.twins.append((work.id, twin))
        else:
            self.spill.write(found.fingerprints)
        return None


@contextlib.contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Reading errors are refusals of works; an OSError that comes this far is one of writing."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{out}: writing failed ({error.strerror or error}): no index was written, and one that was there is "
            "untouched; a build needs room in that folder for about twice the works' text"
        ) from None
