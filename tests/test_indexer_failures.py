"""Builds that break off: a full disk, a signal, a dying worker. Nothing is left, and an older index stays whole."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import random_prose
from indexer_samples import POEM, STORY

from guard import open_index
from indexer.cli import main
from indexer.pool import AHEAD, WorkersDiedError, cores, ordered_map

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text(random_prose(number, 3000))
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An index that was there before."""
    (tmp_path / "old.txt").write_text(STORY)
    assert main(["build", str(tmp_path / "old.txt"), "--out", str(tmp_path / "index")]) == 0
    return tmp_path / "index"


@contextlib.contextmanager
def unharmed(index: Path) -> Iterator[None]:
    before = {file.name: file.read_bytes() for file in index.iterdir()}
    yield
    assert {file.name: file.read_bytes() for file in index.iterdir()} == before
    open_index(index)


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, in this process and those it starts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# 4 works of 3,000 words give a spill of some 130 kB and an index of some 50 kB; the spill of 20 words is small.
@pytest.mark.parametrize(("size", "words", "jobs"), [(60_000, 3000, 1), (60_000, 3000, 2), (4_000, 20, 1)])
def test_no_room_to_write(
    size: int, words: int, jobs: int, library: Path, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, work in enumerate(sorted(library.iterdir())):
        work.write_text(random_prose(number, words))
    capsys.readouterr()
    with unharmed(old), files_up_to(size):
        assert main(["build", str(library), "--out", str(old), "--jobs", str(jobs)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"indexer: {old}: writing failed (File too large): no index was written")
    assert len(captured.err.splitlines()) == 1


FULL_DISK = """
import os, sys
from indexer.cli import main
disk, library = sys.argv[1:]
print("status", main(["build", library, "--out", disk]))
print(*sorted(os.listdir(disk)))
main(["verify", disk])
"""


def test_a_disk_that_fills(library: Path, old: Path, tmp_path: Path) -> None:
    """On a real, tiny file system, in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=96k tmpfs "$1" && cp -r "$2"/. "$1" || exit 77; exec "$3" -c "$4" "$1" "$5"'
    arguments = ["sh", "-c", mount, "sh", *map(str, (disk, old, sys.executable, FULL_DISK, library))]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux)")
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ran.returncode == 77 or "unshare:" in ran.stderr:
        pytest.skip(f"this machine lets no user mount a file system: {ran.stderr.strip()}")
    assert ran.stderr.startswith(f"indexer: {disk}: writing failed (No space left on device): no index was written")
    assert ran.stdout.splitlines() == [
        "status 2",
        " ".join(sorted(file.name for file in old.iterdir())),
        f"{disk}: whole (1 work, all digests right)",
    ]


@pytest.mark.parametrize("calls_that_work", [0, 1])
def test_no_room_for_the_index_or_its_manifest(
    calls_that_work: int, library: Path, old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, left = os.fsync, [calls_that_work * 2]  # the file, then its folder

    def fsync(descriptor: int) -> None:
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        left[0] -= 1
        real(descriptor)

    capsys.readouterr()
    monkeypatch.setattr(os, "fsync", fsync)
    with unharmed(old):
        assert main(["build", str(library), "--out", str(old)]) == 2
    assert "writing failed (No space left on device)" in capsys.readouterr().err
    assert main(["build", str(library), "--out", str(old.parent / "fresh" / "index")]) == 2
    assert not (old.parent / "fresh").exists()


def test_a_folder_that_may_not_be_written(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(library), "--out", "/proc/index"]) == 2
    assert "/proc/index: no index can be written there" in capsys.readouterr().err


class Build:
    """A build of 60 MB in two workers, in a process group of its own as a shell would start it."""

    def __init__(self, big: Path, out: Path) -> None:
        row = json.dumps({"text": POEM * 200}).encode() + b"\n"
        big.write_bytes(row * (60_000_000 // len(row)))
        command = [sys.executable, "-m", "indexer", "build", str(big), "--out", str(out), "--jobs", "2"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=ENVIRONMENT, start_new_session=True, stdout=pipe, stderr=pipe, text=True
        )
        self.wait_until(lambda members: members >= 4)  # the workers, and the tracker of their semaphores
        time.sleep(0.3)

    def wait_until(self, wanted: Callable[[int], bool]) -> None:
        deadline = time.monotonic() + 60
        while not wanted(self.members()):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def members(self) -> int:
        """How many processes of the group are alive."""
        alive = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                alive += int(group) == self.process.pid and state != "Z"
        return alive


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_clears_everything_away(number: signal.Signals, status: int, old: Path, tmp_path: Path) -> None:
    with unharmed(old):
        build = Build(tmp_path / "big.jsonl", old)
        os.killpg(build.process.pid, number)  # to all, as a terminal does
        out, err = build.process.communicate(timeout=60)
        assert build.process.returncode == status, err
    word = "interrupted" if number == signal.SIGINT else "stopped"
    assert (out, err) == ("", f"indexer: {word}: nothing was written\n")
    build.wait_until(lambda members: members == 0)


def test_a_build_killed_outright_leaves_nothing(old: Path, tmp_path: Path) -> None:
    with unharmed(old):
        build = Build(tmp_path / "big.jsonl", old)
        build.process.kill()
        build.process.communicate(timeout=60)
        build.wait_until(lambda members: members == 0)


def test_a_worker_that_dies_is_an_error() -> None:
    with pytest.raises(WorkersDiedError, match="fewer --jobs"):
        list(ordered_map(signal.raise_signal, [signal.SIGCHLD, signal.SIGKILL, signal.SIGCHLD], 2))


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_in_order_and_a_bounded_number_ahead(jobs: int) -> None:
    numbers = [20_000, *range(60)]  # the first takes much longer
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in numbers:
            taken += 1
            yield number

    results = []
    for result in ordered_map(math.factorial, items(), jobs):
        results.append(result)
        assert taken <= len(results) + AHEAD * jobs
    assert results == list(map(math.factorial, numbers))


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_a_reader_that_leaves(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["info", str(old)]) == 128 + signal.SIGPIPE


def test_help_names_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    assert "exit status: 0 all works built, 3 some refused" in capsys.readouterr().out


def test_a_bar_on_a_terminal(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert main(["build", str(library), "--out", str(tmp_path / "i")]) == 0
        assert b"reading" in os.read(ours, 1000)
    os.close(ours)
