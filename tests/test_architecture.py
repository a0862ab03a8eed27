"""The import order is the architecture: who may import what, and where each module is tested."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = {path.stem for path in Path(__file__).parent.glob("test_*.py")}

RING = {
    *(f"guard.index.{name}" for name in ("kernels", "fold", "recipe", "grams", "bloom", "works")),
    *("guard.errors", "guard.match", "guard.policy", "guard.stream"),
}
# Clock, chance, environment, threads, network, logs: none of the pure ring's business.
IMPURE = {
    *("asyncio", "concurrent", "contextvars", "datetime", "http", "logging", "multiprocessing", "os", "random"),
    *("secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile"),
    *("threading", "time", "urllib", "uuid", "weakref"),
    *("fastapi", "httptools", "prometheus_client", "pydantic", "tqdm", "uvicorn", "uvloop", "yaml"),
}
# What the indexer shares with the guard.
SHARED = ("guard.errors", "guard.index", "guard.match", "guard.policy")

# Modules without a test file of their name: the file that tests them, and why there.
TESTED_ELSEWHERE = {
    "guard.asgi": "test_proxy: what it holds is used by every app, and shows only in one",
    "guard.control": "test_middleware: its answers come through it",
    "guard.errors": "test_config: classes without behaviour, but for WorkRefused (test_indexer_build)",
    "guard.index.make_fold_table": "test_fold: the table is what it makes",
    "guard.metrics": "test_middleware: counted there",
    "guard.policy_arguments": "test_scan: flags are seen through a command",
    "guard.wire.chat": "test_answer: a table of a dialect's fields, read by the inspector",
    "guard.wire.completions": "test_answer: a table of a dialect's fields, read by the inspector",
    "guard.wire.dialect": "test_answer: the shape of these tables",
    "guard.wire.entry": "test_answer_faults: how waiting events leave",
    "guard.wire.fields": "test_inspect: the words of these tables",
    "indexer.batches": "test_indexer_rows: batches are made of rows",
    "indexer.cli": "test_indexer_build: a command at a time",
    "indexer.commands.arguments": "test_indexer_build: flags are seen through a command",
    "indexer.commands.info": "test_indexer_verify: the two read the same index",
    "indexer.describe": "test_indexer_manifest: descriptions come from its lines",
    "indexer.destination": "test_indexer_failures: it is there for them",
    "indexer.measure": "test_indexer_build: one step of a build",
    "indexer.pieces": "test_indexer_rows: what readers yield",
    "indexer.pool": "test_indexer_failures: a dying worker",
    "indexer.readers.document": "test_indexer_html: what documents share",
    "indexer.readers.epub": "test_indexer_books: EPUB and PDF side by side",
    "indexer.readers.json_lines": "test_indexer_rows: JSON lines and Parquet side by side",
    "indexer.readers.markdown": "test_indexer_html: Markdown is read by way of HTML",
    "indexer.readers.parquet": "test_indexer_rows: JSON lines and Parquet side by side",
    "indexer.readers.pdf": "test_indexer_books: EPUB and PDF side by side",
    "indexer.readers.plain": "test_indexer_decode: decoding is all it does",
    "indexer.report": "test_indexer_build: what a build prints",
    "indexer.sources": "test_indexer_gather: what gathering yields",
    "indexer.spill": "test_indexer_failures: a full disk",
}


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        if "works" not in path.relative_to(ROOT).parts:  # the demo's, not ours to import
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules("guard")) | dict(modules("indexer"))
PURE = sorted(name for name in MODULES if name in RING or name.startswith("guard.wire."))


def imports(name: str) -> set[str]:
    """Full names of the modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute here"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & set(MODULES) or {node.module}
    return found


def within(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if any(name == package or name.startswith(f"{package}.") for package in packages)}


def test_the_ring_is_there() -> None:
    assert set(MODULES) >= RING
    assert len(PURE) > len(RING) + 5


@pytest.mark.parametrize("name", PURE)
def test_the_pure_ring_knows_no_clock_chance_environment_or_network(name: str) -> None:
    assert within(imports(name), *IMPURE) == set()
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert calls & {"open", "print", "input", "eval", "exec"} == set()


@pytest.mark.parametrize("name", PURE)
def test_the_pure_ring_imports_only_itself(name: str) -> None:
    allowed = set(PURE) | {"guard.index"} if name.startswith("guard.wire.") else RING | {"guard.index"}
    if name == "guard.stream":
        allowed |= {"guard.index.file"}  # the type of the index that it is given
    assert within(imports(name), "guard", "indexer") - allowed == set()


@pytest.mark.parametrize("name", sorted(name for name in RING if name.startswith("guard.index.")))
def test_the_shared_kernel_stands_on_nothing_else(name: str) -> None:
    assert within(imports(name), "guard") - within(RING, "guard.index", "guard.errors") == set()


def test_the_guard_never_imports_the_indexer() -> None:
    for name in within(set(MODULES), "guard"):
        assert within(imports(name), "indexer") == set(), name


def test_the_indexer_imports_the_shared_kernel_alone() -> None:
    for name in within(set(MODULES), "indexer"):
        assert within(imports(name), "guard") - within(set(MODULES), *SHARED) == set(), name


def test_the_middleware_works_without_the_proxy() -> None:
    """Inside vLLM there is none."""
    assert within(imports("guard.middleware"), "guard.proxy", "guard.upstream", "uvicorn", "fastapi") == set()


def test_readers_of_heavy_formats_are_imported_only_by_their_reader() -> None:
    """They are optional extras."""
    optional = {"bs4", "defusedxml", "markdown_it", "pypdf", "pyarrow", "vllm", "transformers", "torch"}
    users = {name: found for name in MODULES if (found := within(imports(name), *optional))}
    assert within(set(users), "indexer.readers") == set(users)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.endswith("__main__")))
def test_every_module_has_its_test_file(name: str) -> None:
    """test_<module>, test_<package> or test_<package>_<module>; the indexer's begin with test_indexer."""
    package, *inner = name.split(".")
    if name in TESTED_ELSEWHERE:
        file, _, reason = TESTED_ELSEWHERE[name].partition(": ")
        assert file in TESTS
        assert reason
    elif MODULES[name].name != "__init__.py":
        *folders, module = inner
        prefix = "test_indexer_" if package == "indexer" else "test_"
        own = {module, *folders, "_".join(inner[-2:])}
        assert TESTS & {prefix + stem for stem in own}, f"write tests for {name}, or say in which file they stand"


def test_the_table_lists_only_modules_that_exist() -> None:
    assert set(TESTED_ELSEWHERE) - set(MODULES) == set()
