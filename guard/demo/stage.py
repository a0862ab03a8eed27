"""Everything that runs behind the demo: an index built by `indexer`, the stand-in model, a guard for each action."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from guard.demo.memory import WORKS_MANIFEST
from guard.demo.processes import Child, Children, free_port, wait_until_ready
from guard.demo.screen import Ink, Screen
from guard.index.file import Index, open_index
from guard.policy import Action

_ACTIONS = (Action.REDACT, Action.BLOCK)


@dataclass(frozen=True, slots=True)
class Stage:
    """The index, the port of the stand-in, and the port of the guard that takes each action."""

    index: Index
    model_port: int
    guard_ports: dict[Action, int]


def set_up(screen: Screen, children: Children, directory: Path, token_ms: float) -> Stage:
    """Build the index in `directory`, start the servers and wait until they answer. Raises GuardError."""
    port = free_port()
    model = children.start("the stand-in model", "guard.demo.model", f"--port={port}", f"--token-ms={token_ms}")
    index = _build(screen, children, directory)
    guards = {action: _start_guard(children, directory, port, action) for action in _ACTIONS}
    wait_until_ready(model, port, "/health")
    _tell(screen, "model", f"the stand-in on port {port}, {token_ms:g} ms a token")
    for action, (child, guard_port) in guards.items():
        wait_until_ready(child, guard_port, "/guard/health")
        _tell(screen, "guard", f"guard serve --action {action.value}, on port {guard_port}")
    return Stage(index, port, {action: guard_port for action, (_, guard_port) in guards.items()})


def _build(screen: Screen, children: Children, directory: Path) -> Index:
    begun = time.monotonic()
    build = ["build", "--manifest", str(WORKS_MANIFEST), "--out", str(directory)]
    children.finish(children.start("indexer build", "indexer", *build))
    index = open_index(directory)
    for work in index.works:
        _tell(screen, "work ", f"{work.title}, by {work.author}: {work.letters:,} letters")
    size = f"{index.size_bytes:,} bytes of hashes and records, no text"
    _tell(screen, "index", f"{size}; indexer build took {time.monotonic() - begun:.1f} s")
    return index


def _start_guard(children: Children, directory: Path, model_port: int, action: Action) -> tuple[Child, int]:
    port = free_port()
    serve = ["serve", f"--index={directory}", f"--upstream=http://127.0.0.1:{model_port}"]
    serve += [f"--listen=127.0.0.1:{port}", f"--action={action.value}"]
    return children.start(f"guard serve --action {action.value}", "guard", *serve), port


def _tell(screen: Screen, name: str, what: str) -> None:
    screen.write(f"  {screen.paint(name, Ink.BOLD)}  {what}\n")
