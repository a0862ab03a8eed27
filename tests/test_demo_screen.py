"""The demo's screen: wrapping, live panes, marks."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.demo import memory
from guard.demo.screen import Ink, Screen, Stretch, in_brackets, lay_out

STORY, POEM, CODE = memory.load_works()


class Terminal(io.StringIO):
    """A terminal that knows the few codes that the screen uses, and gathers what it shows."""

    def __init__(self, is_a_terminal: bool) -> None:
        super().__init__()
        self.rows, self.row, self.column = [""], 0, 0
        self._is_a_terminal = is_a_terminal

    def isatty(self) -> bool:
        return self._is_a_terminal

    def write(self, text: str) -> int:
        for code in re.findall(r"\x1b\[[\d;]*[A-Za-z]|.", text, re.DOTALL):
            self._take(code)
        return len(text)

    def _take(self, code: str) -> None:
        if code == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif code == "\r":
            self.column = 0
        elif code == "\x1b[J":
            self.rows[self.row :] = [self.rows[self.row][: self.column]]
        elif code.startswith("\x1b[") and code.endswith("A"):
            self.row -= int(code[2:-1])
        elif not code.startswith("\x1b["):
            self.rows[self.row] = self.rows[self.row][: self.column] + code
            self.column += 1


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


ROWS_OF_TEXT = st.text(alphabet="ab \n", max_size=300)


@given(text=ROWS_OF_TEXT, width=st.integers(1, 30))
def test_rows_fit_and_lose_nothing_but_white_space(text: str, width: int) -> None:
    rows = lay_out(text, width)
    assert all(end - start <= width for start, end in rows)
    assert "".join(text[start:end] for start, end in rows).split() or not text.split()
    assert re.sub(r"\s", "", "".join(text[a:b] for a, b in rows)) == re.sub(r"\s", "", text)


@given(text=ROWS_OF_TEXT, cut=st.integers(0, 300), width=st.integers(1, 30))
def test_more_text_changes_only_the_last_row(text: str, cut: int, width: int) -> None:
    before, after = lay_out(text[:cut], width), lay_out(text, width)
    assert after[: max(0, len(before) - 1)] == before[:-1]


@pytest.mark.usefixtures("wide")
def test_a_pane_that_grew_looks_like_one_that_did_not() -> None:
    text = POEM.body[:400] + "\n\n" + STORY.body[:500]
    marks = [Stretch(30, 300, Ink.RECITED)]
    live, still = Terminal(is_a_terminal=True), Terminal(is_a_terminal=True)
    for terminal, lengths in ((live, range(0, len(text), 3)), (still, range(0))):
        pane = Screen(terminal).pane(lambda _: ())
        for length in lengths:
            pane.grow(text[:length])
        pane.settle(text, marks)
    assert live.rows == still.rows
    assert len(live.rows) > 20


@pytest.mark.usefixtures("wide")
def test_without_colours_brackets_mark_what_was_recited(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (Terminal(is_a_terminal=False), Terminal(is_a_terminal=True)):
        monkeypatch.setenv("NO_COLOR", "1")
        pane = Screen(terminal).pane(lambda _: ())
        pane.grow("one two")
        pane.settle("one two three", [Stretch(4, 7, Ink.RECITED)])
        assert terminal.rows == ["  │ one ⟦two⟧ three", ""]


def test_brackets_of_several_stretches() -> None:
    assert in_brackets("abcdef", [Stretch(0, 2, Ink.RECITED), Stretch(4, 6, Ink.RECITED)]) == "⟦ab⟧cd⟦ef⟧"
