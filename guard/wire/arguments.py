"""Text inside JSON inside a string, as tool-call arguments stream: escapes decoded for the check, structure kept apart.

RFC 8259. What stands in strings is text. Outside of strings, punctuation, numbers and the three literals are structure,
which a redaction leaves in place, so that the arguments stay valid JSON. As soon as anything else stands outside a
string this isn't JSON, and from there on everything is text.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NamedTuple


class Atom(NamedTuple):
    """A piece of the raw text that leaves or is withheld as a whole unless `letters` run parallel to it.

    `decoded`: what it means, "" where later atoms complete it; `structural`: stays when its surroundings are withheld.
    """

    raw: str
    decoded: str
    structural: bool = False
    in_string: bool = False


class _State(enum.Enum):
    OUTSIDE = enum.auto()
    STRING = enum.auto()
    ESCAPE = enum.auto()
    NOT_JSON = enum.auto()


_ORDINARY: Final = re.compile(r'[^"\\]+')
_STRUCTURE: Final = re.compile(r"[\s{}\[\],:0-9+.eE-]+")
_LITERALS: Final = ("true", "false", "null")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class ArgumentsLexer:
    """Raw deltas in, atoms out; cuts may fall inside an escape, a surrogate pair or a literal."""

    __slots__ = ("_escape", "_high", "_literal", "_state")

    def __init__(self) -> None:
        self._state = _State.OUTSIDE
        self._escape = ""  # what of an escape has come, without its backslash
        self._high = 0  # a high surrogate that waits for its other half
        self._literal = ""  # what of true, false or null has come

    def feed(self, delta: str) -> list[Atom]:
        atoms: list[Atom] = []
        at = 0
        while at < len(delta):
            match self._state:
                case _State.NOT_JSON:
                    atoms.append(Atom(delta[at:], delta[at:]))
                    return atoms
                case _State.STRING:
                    at = self._in_string(delta, at, atoms)
                case _State.ESCAPE:
                    at = self._in_escape(delta, at, atoms)
                case _State.OUTSIDE:
                    at = self._outside(delta, at, atoms)
        return atoms

    def _in_string(self, delta: str, at: int, atoms: list[Atom]) -> int:
        if delta[at] == "\\":
            self._state, self._escape = _State.ESCAPE, ""
            atoms.append(Atom("\\", "", in_string=True))
            return at + 1
        self._high = 0
        if delta[at] == '"':
            self._state = _State.OUTSIDE
            atoms.append(Atom('"', '"', structural=True))
            return at + 1
        found = _ORDINARY.match(delta, at)
        assert found
        atoms.append(Atom(found[0], found[0], in_string=True))
        return found.end()

    def _in_escape(self, delta: str, at: int, atoms: list[Atom]) -> int:
        char = delta[at]
        self._escape += char
        decoded = ""
        if self._escape in _ESCAPES:
            decoded = _ESCAPES[self._escape]
        elif not re.fullmatch(r"u[0-9a-fA-F]{0,4}", self._escape):
            self._state = _State.NOT_JSON
            atoms.append(Atom(char, char))
            return at + 1
        elif len(self._escape) == 5:
            decoded = self._code_unit(int(self._escape[1:], 16))
        if decoded or len(self._escape) == 5:
            self._state = _State.STRING
        atoms.append(Atom(char, decoded, in_string=True))
        return at + 1

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
            self._state = _State.NOT_JSON
            return at
        elif char == '"':
            self._state = _State.STRING
        elif found := _STRUCTURE.match(delta, at):
            atoms.append(Atom(found[0], found[0], structural=True))
            return found.end()
        else:
            self._state = _State.NOT_JSON
            return at
        atoms.append(Atom(char, char, structural=True))
        return at + 1
