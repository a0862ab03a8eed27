"""Text that is itself JSON, as tool-call arguments and answers in JSON mode stream: escapes decoded for the check,
structure kept apart.

RFC 8259. What stands in strings is text. Outside of strings, punctuation, numbers and the three literals are structure,
which a redaction leaves in place, so that it stays valid JSON. As soon as anything else stands outside a string this
isn't JSON, and from there on everything is text.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NamedTuple


class Atom(NamedTuple):
    """A piece of the raw text that leaves or is withheld as a whole unless `letters` run parallel to it.

    `decoded`: what it means, "" where later atoms complete it; `structural`: stays when its surroundings are withheld,
    and means blanks, so that the numbers and literals between two strings don't break a run.
    """

    raw: str
    decoded: str
    structural: bool = False
    in_string: bool = False


class _State(enum.Enum):
    OUTSIDE = enum.auto()
    STRING = enum.auto()
    ESCAPE = enum.auto()
    TEXT = enum.auto()  # not JSON


_ORDINARY: Final = re.compile(r'[^"\\]+')
_WHOLE_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})')  # no surrogates
_STRUCTURE: Final = re.compile(r"[\s{}\[\],:0-9+.eE-]+")
_LITERALS: Final = ("true", "false", "null")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class ArgumentsLexer:
    """Raw deltas in, atoms out; cuts may fall inside an escape, a surrogate pair or a literal. `escapes_in_text`: are
    escapes decoded in what turned out to be no JSON, too? Right for arguments, which are nearly JSON even then.
    """

    __slots__ = ("_escape", "_escapes_in_text", "_high", "_is_json", "_literal", "_state")

    def __init__(self, *, escapes_in_text: bool = True) -> None:
        self._escapes_in_text = escapes_in_text
        self._is_json = True
        self._state = _State.OUTSIDE
        self._escape = ""  # what of an escape has come, without its backslash
        self._high = 0  # a high surrogate that waits for its other half
        self._literal = ""  # what of true, false or null has come

    def feed(self, delta: str) -> list[Atom]:
        atoms: list[Atom] = []
        at = 0
        while at < len(delta):
            match self._state:
                case _State.STRING | _State.TEXT:
                    at = self._in_string(delta, at, atoms)
                case _State.ESCAPE:
                    at = self._in_escape(delta, at, atoms)
                case _State.OUTSIDE:
                    at = self._outside(delta, at, atoms)
        return atoms

    def _in_string(self, delta: str, at: int, atoms: list[Atom]) -> int:
        if delta[at] == "\\" and (self._is_json or self._escapes_in_text):
            if whole := _WHOLE_ESCAPE.match(delta, at):
                text = whole[0]
                decoded, self._high = _ESCAPES.get(text[1]) or chr(int(text[2:], 16)), 0
                atoms.append(Atom(text, decoded, in_string=self._is_json))
                return whole.end()
            self._state, self._escape = _State.ESCAPE, ""
            atoms.append(Atom("\\", "", in_string=self._is_json))
            return at + 1
        self._high = 0
        if delta[at] == '"' and self._is_json:
            self._state = _State.OUTSIDE
            atoms.append(Atom('"', '"', structural=True))
            return at + 1
        found = _ORDINARY.match(delta, at)
        end = found.end() if found else at + 1
        atoms.append(Atom(delta[at:end], delta[at:end], in_string=self._is_json))
        return end

    def _in_escape(self, delta: str, at: int, atoms: list[Atom]) -> int:
        char = delta[at]
        self._escape += char
        decoded = ""
        if self._escape in _ESCAPES:
            decoded, self._high = _ESCAPES[self._escape], 0
        elif not re.fullmatch(r"u[0-9a-fA-F]{0,4}", self._escape):
            self._not_json()
            return at
        elif len(self._escape) == 5:
            decoded = self._code_unit(int(self._escape[1:], 16))
        if decoded or len(self._escape) == 5:
            self._state = _State.STRING if self._is_json else _State.TEXT
        atoms.append(Atom(char, decoded, in_string=self._is_json))
        return at + 1

    def _not_json(self) -> None:
        self._is_json, self._state = False, _State.TEXT

    def _code_unit(self, unit: int) -> str:
        """The code point that a UTF-16 unit completes; "" for a high surrogate, whose other half may follow."""
        high, self._high = self._high, 0
        if 0xD800 <= unit < 0xDC00:
            self._high = unit
            return ""
        if high and 0xDC00 <= unit < 0xE000:
            return chr(0x10000 + ((high - 0xD800) << 10 | unit - 0xDC00))
        return chr(unit)

    def _outside(self, delta: str, at: int, atoms: list[Atom]) -> int:
        char = delta[at]
        literal = self._literal + char
        if any(word.startswith(literal) for word in _LITERALS):
            self._literal = "" if literal in _LITERALS else literal
        elif self._literal:
            self._not_json()
            return at
        elif char == '"':
            self._state = _State.STRING
        elif found := _STRUCTURE.match(delta, at):
            atoms.append(Atom(found[0], " " * len(found[0]), structural=True))
            return found.end()
        else:
            self._not_json()
            return at
        atoms.append(Atom(char, " ", structural=True))
        return at + 1
