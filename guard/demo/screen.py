"""What the demo writes to the terminal: text wrapped in a gutter, live where the terminal can, stretches marked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

_WIDEST = 100
_GUTTER = "  │ "


class Ink(Enum):
    """How a stretch of text looks; the value is its ANSI code."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    BAD = "31"
    RECITED = "1;31"
    MARKER = "30;43"
    NAME = "1;36"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Code points [start, end) of a text, and how they look."""

    start: int
    end: int
    ink: Ink


Inker = Callable[[str], Sequence[Stretch]]


class Screen:
    """A stream to write to. On a terminal panes are live; NO_COLOR or TERM=dumb turn the colours off, brackets on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        columns, rows = shutil.get_terminal_size()
        dumb = os.environ.get("TERM") == "dumb"
        self.width = max(40, min(columns, _WIDEST) - 1)
        self.rows = rows
        self.live = stream.isatty() and not dumb
        self.colour = self.live and not os.environ.get("NO_COLOR")

    def write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def paint(self, text: str, ink: Ink) -> str:
        return f"\x1b[{ink.value}m{text}\x1b[0m" if self.colour and ink is not Ink.PLAIN and text else text

    def line(self, text: str = "", ink: Ink = Ink.PLAIN, indent: str = "  ") -> None:
        """A paragraph, wrapped and indented."""
        for start, end in lay_out(text, self.width - len(indent)) or ((0, 0),):
            self.write(f"{indent if text else ''}{self.paint(text[start:end], ink)}\n")

    def heading(self, text: str) -> None:
        """A line across the screen with a title in it."""
        rest = "─" * max(0, self.width - len(text) - 4)
        self.write(f"\n{self.paint('──', Ink.DIM)} {self.paint(text, Ink.NAME)} {self.paint(rest, Ink.DIM)}\n\n")

    def pane(self, inker: Inker) -> Pane:
        return Pane(self, inker)


class Pane:
    """A text that grows while it's shown. `inker` says how its parts look, and is asked again whenever it has grown."""

    def __init__(self, screen: Screen, inker: Inker) -> None:
        self._screen = screen
        self._inker = inker
        self._rows = 0

    def grow(self, text: str) -> None:
        """Show all of the text so far: on a terminal now, elsewhere only when it is settled."""
        if self._screen.live:
            # Greedy wrapping: more text changes the last row only, and adds rows below it.
            self._draw(text, self._inker(text), first=max(0, self._rows - 1))

    def settle(self, text: str, marked: Sequence[Stretch] = ()) -> None:
        """Show the text for good, with its stretches marked: in colour, else in brackets."""
        if self._screen.live and self._rows >= self._screen.rows:
            self._rows = 0  # its beginning has scrolled away and can't be painted over: show it again
            self._screen.write("\n")
        if self._screen.colour:
            self._draw(text, [*self._inker(text), *marked], first=0)
        else:
            self._draw(in_brackets(text, marked), (), first=0)
        self._screen.write("\n" if self._rows else "")

    def _draw(self, text: str, stretches: Sequence[Stretch], first: int) -> None:
        """Draw the rows from `first` on over what stands there; the cursor stays at the end of the last row."""
        rows = lay_out(text, self._screen.width - len(_GUTTER))
        up = self._rows - 1 - first
        out = (f"\x1b[{up}A" if up > 0 else "") + ("\r\x1b[J" if self._rows else "")
        out += "\n".join(self._inked(text, row, stretches) for row in rows[first:])
        self._rows = len(rows)
        self._screen.write(out)

    def _inked(self, text: str, row: tuple[int, int], stretches: Sequence[Stretch]) -> str:
        at, end = row
        out = self._screen.paint(_GUTTER if at < end else _GUTTER.rstrip(), Ink.DIM)
        for each in sorted(stretches, key=lambda stretch: stretch.start):
            start, stop = max(at, each.start), min(end, each.end)
            if start < stop:
                out += text[at:start] + self._screen.paint(text[start:stop], each.ink)
                at = stop
        return out + text[at:end]


def lay_out(text: str, width: int) -> list[tuple[int, int]]:
    """The rows of a text of at most `width` characters each, as its code points [start, end).

    Line breaks are kept but for blank lines at either end; long lines break at spaces, or in a word longer than a row.
    """
    rows: list[tuple[int, int]] = []
    start, stop = len(text) - len(text.lstrip("\n")), len(text.rstrip())
    while start < stop:
        line_end = text.find("\n", start, stop)
        line_end = stop if line_end < 0 else line_end
        if line_end - start > width:
            space = text.rfind(" ", start + 1, start + width + 1)
            end = space if text[start:space].strip() and space > start else start + width
            rows.append((start, end))
            start = end + 1 if text[end] == " " else end
        else:
            rows.append((start, line_end))
            start = line_end + 1
    return rows


def in_brackets(text: str, stretches: Sequence[Stretch]) -> str:
    """Mark stretches where there are no colours: ⟦like this⟧."""
    for each in sorted(stretches, key=lambda stretch: stretch.start, reverse=True):
        text = f"{text[: each.start]}⟦{text[each.start : each.end]}⟧{text[each.end :]}"
    return text
