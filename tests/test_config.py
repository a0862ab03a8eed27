"""The settings: which source wins, and that every mistake names its key, its place and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from guard.config import Settings, load_settings
from guard.errors import ConfigError, PolicyError
from guard.policy import Action, Policy

REQUIRED = {"index": "books", "upstream": "http://127.0.0.1:8000"}
REQUIRED_YAML = "index: books\nupstream: http://127.0.0.1:8000\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "guard.yaml"


def test_every_setting_is_described() -> None:
    assert [key for key, field in Settings.model_fields.items() if not field.description] == []


def test_defaults() -> None:
    settings = load_settings(None, {}, REQUIRED)
    assert settings == Settings(index=Path("books"), upstream="http://127.0.0.1:8000")
    assert settings.policy() == Policy()
    assert settings.host_port == ("127.0.0.1", 8080)


# One value of each setting for each source, as that source writes it, and what it must become.
EXAMPLES: dict[str, tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]] = {
    "index": (("a", Path("a")), ("b", Path("b")), (Path("c"), Path("c"))),
    "upstream": (("http://a", "http://a"), ("http://b", "http://b"), ("http://c", "http://c")),
    "listen": (("a:1", "a:1"), ("b:2", "b:2"), ("c:3", "c:3")),
    "action": (("redact", Action.REDACT), ("redact", Action.REDACT), ("redact", Action.REDACT)),
    "threshold": ((200, 200), ("201", 201), (202, 202)),
    "hold_after": ((40, 40), ("41", 41), (42, 42)),
    "marker": (("(a)", "(a)"), ("(b)", "(b)"), ("(c)", "(c)")),
    "max_body_bytes": ((2000, 2000), ("2001", 2001), (2002, 2002)),
}


def test_there_is_an_example_of_every_setting() -> None:
    assert set(EXAMPLES) == set(Settings.model_fields)


@pytest.mark.parametrize("key", EXAMPLES)
def test_flags_win_over_environment_over_file_over_default(file: Path, key: str) -> None:
    in_file, in_environment, as_flag = EXAMPLES[key]
    lines = {**REQUIRED, key: in_file[0]}
    file.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    environment = {f"GUARD_{key.upper()}": in_environment[0]}
    assert getattr(load_settings(file, {}, {}), key) == in_file[1]
    assert getattr(load_settings(file, environment, {}), key) == in_environment[1]
    assert getattr(load_settings(file, environment, {key: as_flag[0]}), key) == as_flag[1]
    assert getattr(load_settings(file, environment, {key: None}), key) == in_environment[1]  # a flag that wasn't given
    if key not in REQUIRED:
        assert getattr(load_settings(None, {}, REQUIRED), key) == Settings.model_fields[key].default


def test_sources_add_up(file: Path) -> None:
    file.write_text("index: books\nthreshold: 150\n")
    settings = load_settings(file, {"GUARD_UPSTREAM": "http://x", "PATH": "/bin"}, {"action": "redact"})
    assert settings == Settings(index=Path("books"), upstream="http://x", threshold=150, action=Action.REDACT)


@pytest.mark.parametrize("name", ["GUARD_CONFIG", "GUARD_DATA", "GUARD_E2E_HOME", "GUARD_LAW_CASES"])
def test_names_that_are_no_settings_are_left_alone(name: str) -> None:
    assert load_settings(None, {name: "anything"}, REQUIRED)


def refusal(file: Path | None = None, environment: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment or {}, flags)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # one line for the operator
    return str(caught.value)


def test_an_unknown_key_is_named_with_file_and_line(file: Path) -> None:
    file.write_text(f"# a comment\n{REQUIRED_YAML}\ntreshold: 128\n")
    message = refusal(file)
    assert message.startswith(f"{file}:5: unknown key 'treshold': remove it, or write one of: index, upstream, ")
    assert all(key in message for key in Settings.model_fields)


def test_an_unknown_variable_is_named() -> None:
    message = refusal(None, {"GUARD_TRESHOLD": "1"}, **REQUIRED)
    assert message.startswith("environment variable GUARD_TRESHOLD: unknown key 'treshold': remove it")


@pytest.mark.parametrize("key", ["gram_letters", "stride", "fold", "seed"])
def test_what_the_index_says_is_no_setting(key: str) -> None:
    assert f"unknown key '{key}'" in refusal(None, {f"GUARD_{key.upper()}": "1"}, **REQUIRED)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("threshold: many", "valid integer"),
        ("threshold: 0", "greater than or equal to 1"),
        ("threshold: 12.5", "valid integer"),
        ("threshold:", "valid integer"),
        ("threshold: [1]", "valid integer"),
        ("hold_after: -1", "greater than or equal to 1"),
        ("max_body_bytes: 10", "greater than or equal to 1024"),
        ("action: Block", "write block or redact"),
        ("action: drop", "write block or redact"),
        ("listen: 8080", "string"),
        ("listen: ':8080'", "write it as HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"),
        ("listen: localhost", "write it as HOST:PORT"),
        ("listen: localhost:http", "write it as HOST:PORT"),
        ("listen: localhost:65536", "write it as HOST:PORT"),
        ("listen: 'localhost:²'", "write it as HOST:PORT"),
        ("listen: '[fe80::zz]:80'", "write it as HOST:PORT"),
        ("listen: '[::1'", "write it as HOST:PORT"),
        ('marker: "a\\nb"', "no control characters"),
        ('marker: "\\uD800"', "lone surrogates"),
        (f"marker: {'x' * 201}", "at most 200 characters"),
        ("marker:", "string"),
    ],
)
def test_a_bad_value_is_named_with_file_line_key_and_remedy(file: Path, line: str, remedy: str) -> None:
    key = line.partition(":")[0]
    file.write_text(f"{REQUIRED_YAML}{line}\n", encoding="utf-8")
    message = refusal(file)
    assert message.startswith(f"{file}:3: '{key}' is ")
    assert remedy in message


def test_a_bad_value_is_named_with_the_variable_or_flag() -> None:
    message = refusal(None, {"GUARD_HOLD_AFTER": "x"}, **REQUIRED)
    assert message.startswith("environment variable GUARD_HOLD_AFTER: 'hold_after' is 'x': ")
    message = refusal(None, {"GUARD_HOLD_AFTER": "36"}, hold_after="x", **REQUIRED)
    assert message.startswith("--hold-after: 'hold_after' is 'x': ")


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_setting_is_named_with_the_ways_to_give_it(key: str) -> None:
    rest: dict[str, Any] = {name: value for name, value in REQUIRED.items() if name != key}
    assert refusal(**rest) == f"'{key}' is not set: give --{key}, GUARD_{key.upper()} or a line in the file"


def test_a_key_that_stands_twice_is_refused(file: Path) -> None:
    file.write_text(f"{REQUIRED_YAML}threshold: 128\nthreshold: 1000\n")
    assert refusal(file) == f"{file}:4: 'threshold' stands there twice: remove one"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"index: [\n", ": not valid YAML: "),
        (b"index: a: b\n", ": not valid YAML: "),
        (b"\tindex: a\n", ": not valid YAML: "),
        (b"index: \xff\n", ": not valid YAML: "),
        (b"index: a\x00\n", ": not valid YAML: "),
        (b"index: a\n---\nindex: b\n", ": not valid YAML: "),
        (b"index: !!python/name:os.system\n", ": not valid YAML: "),
        (b"? [a]\n: b\n", ": not valid YAML: "),
        (b"- index\n", ":1: must hold keys and values, such as 'action: block'"),
        (b"index\n", ":1: must hold keys and values"),
        (b"", "'index' is not set"),
        (b"# nothing yet\n", "'index' is not set"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    refused = refusal(file)
    assert refused.startswith(f"{file}{message}" if message.startswith(":") else message)
    assert "\n" not in refused


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert refusal(missing) == f"{missing}: can't read it (No such file or directory)"
    assert refusal(tmp_path) == f"{tmp_path}: can't read it (Is a directory)"


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::]:65535", ("::", 65535)),
    ],
)
def test_listen(listen: str, expected: tuple[str, int]) -> None:
    assert load_settings(None, {}, {**REQUIRED, "listen": listen}).host_port == expected


def test_settings_make_the_policy() -> None:
    flags = {**REQUIRED, "threshold": 200, "hold_after": 50, "action": "redact", "marker": "#"}
    assert load_settings(None, {}, flags).policy() == Policy(200, 50, Action.REDACT, "#")


@pytest.mark.parametrize("flags", [{"threshold": 30}, {"hold_after": 128}, {"action": "annotate"}])
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        load_settings(None, {}, {**REQUIRED, **flags}).policy()


def test_settings_are_a_value() -> None:
    settings = load_settings(None, {}, REQUIRED)
    with pytest.raises(ValidationError, match="frozen"):
        settings.threshold = 1


@pytest.mark.parametrize("name", ["GUARD_SERVICE_HOST", "GUARD_PORT", "GUARD_PORT_8080_TCP_ADDR"])
def test_what_kubernetes_sets_for_a_service_called_guard_is_no_setting(name: str) -> None:
    flags = {"index": "i", "upstream": "http://127.0.0.1:1"}
    assert load_settings(None, {name: "10.0.0.1"}, flags).listen == "127.0.0.1:8080"
