from __future__ import annotations

import pytest

from guard.cli import COMMANDS, main
from guard.config import Settings


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: guard" in capsys.readouterr().out


def test_serve_has_a_flag_for_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    out = capsys.readouterr().out
    assert all("--" + key.replace("_", "-") in out for key in Settings.model_fields)


def test_usage_errors_and_set_up_errors_are_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["dance"])
    assert stop.value.code == 2
    capsys.readouterr()
    assert main(["scan", "--index", "/nowhere"]) == 2
    assert capsys.readouterr().err.startswith("guard scan: /nowhere: no index there")
