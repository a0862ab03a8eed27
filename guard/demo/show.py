"""The demo itself: what each scene shows, says about it, and what the reader can try next."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from guard.demo.client import ask
from guard.demo.commentary import Remark, on_the_delay, on_the_guard, on_the_model
from guard.demo.memory import load_works
from guard.demo.processes import Children, DemoError, interrupted_by
from guard.demo.scenes import Scene, scenes
from guard.demo.screen import Ink, Screen, Stretch
from guard.demo.stage import Stage, set_up
from guard.demo.verdict import Recited, judge, recited_in
from guard.errors import GuardError
from guard.policy import Action, Policy

_MARKER = Policy().marker
_INTERRUPTED = 130  # as a shell reports Ctrl-C

_VERBS = {Action.REDACT: "redacts", Action.BLOCK: "blocks"}

_TO_TRY = """\
# index your own works: files and folders of them
indexer build my-works/ --out my-index/

# put the guard in front of your own vLLM
guard serve --index my-index/ --upstream http://127.0.0.1:8000 \\
            --listen 127.0.0.1:9000 --action redact

# and talk to it as you would to vLLM
curl -N http://127.0.0.1:9000/v1/completions \\
     -H 'Content-Type: application/json' \\
     -d '{"model": "MODEL", "prompt": "PROMPT",
          "max_tokens": 200, "stream": true}'"""


def play(keep: Path | None, token_ms: float) -> int:
    """Show the demo on standard output. Returns 0 if every promise was kept, 1 if not, 130 if interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # better a question mark for a line than no demo in a Latin-1 terminal
    screen = Screen(sys.stdout)
    try:
        with (
            interrupted_by(signal.SIGTERM, signal.SIGHUP),
            tempfile.TemporaryDirectory(prefix="guard-demo-") as folder,
            Children(Path(folder)) as children,
        ):
            _introduce(screen)
            stage = set_up(screen, children, keep or Path(folder) / "index", token_ms)
            try:
                kept = [_perform(screen, stage, number, scene) for number, scene in enumerate(scenes(), start=1)]
            except DemoError:
                children.check()
                raise
        _invite(screen, keep)
        return 0 if all(kept) else 1
    except BrokenPipeError:  # the reader has seen enough; without this, Python complains about it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except GuardError as error:
        print(f"\nguard demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED


def _introduce(screen: Screen) -> None:
    screen.line()
    screen.line("Regurgitation Guard", Ink.BOLD)
    screen.line(
        "The model in this demo is a stand-in: a small server that speaks vLLM's API and recites three works when a "
        "prompt calls them up, as a real model does with what it has memorised. All the rest is the real thing. "
        f"{'Red' if screen.colour else '⟦Brackets⟧'} marks what stands letter for letter in one of the works."
    )
    screen.line()


def _perform(screen: Screen, stage: Stage, number: int, scene: Scene) -> bool:
    """Ask without the guard and with it; True if the answer with it keeps the promise."""
    screen.heading(f"{number}. {scene.title}")
    screen.line(f"the prompt, to {scene.request.path}", Ink.BOLD)
    screen.pane(lambda text: [Stretch(0, len(text), Ink.DIM)]).settle(scene.prompt)
    screen.line()

    screen.line("the model alone", Ink.BOLD)
    pane = screen.pane(lambda _: ())
    alone = ask(stage.model_port, scene.request, pane.grow)
    runs = recited_in(alone.text, [work.body for work in load_works()])
    pane.settle(alone.text, _marked(runs))
    _remark(screen, on_the_model(runs))
    screen.line()

    screen.line(f"the same through the guard, which {_VERBS[scene.action]} what is recited", Ink.BOLD)
    pane = screen.pane(_markers)
    guarded = ask(stage.guard_ports[scene.action], scene.request, pane.grow)
    verdict = judge(alone.text, runs, guarded.text, _MARKER, guarded.blocked)
    pane.settle(guarded.text, _marked(stretch for run in verdict.left for stretch in run))
    _remark(screen, on_the_guard(verdict, guarded.blocked))
    _remark(screen, on_the_delay(alone, guarded))
    return verdict.kept


def _remark(screen: Screen, remark: Remark) -> None:
    screen.line(remark.text, remark.ink)


def _marked(recited: Iterable[Recited]) -> list[Stretch]:
    return [Stretch(each.start, each.end, Ink.RECITED) for each in recited]


def _markers(text: str) -> list[Stretch]:
    return [Stretch(found.start(), found.end(), Ink.MARKER) for found in re.finditer(re.escape(_MARKER), text)]


def _invite(screen: Screen, keep: Path | None) -> None:
    screen.heading("your own works, your own vLLM")
    for row in _TO_TRY.splitlines():
        screen.write(f"  {screen.paint(row, Ink.DIM if row.startswith('#') else Ink.PLAIN)}".rstrip() + "\n")
    screen.line()
    if keep is not None:
        screen.line(
            f"The index of the sample works is in {keep}: guard scan --index {keep} FILE looks for them in a file."
        )
        screen.line()
