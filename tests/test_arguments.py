from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from guard.wire.arguments import ArgumentsLexer, Atom

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def lex(deltas: list[str]) -> list[Atom]:
    lexer = ArgumentsLexer()
    return [atom for delta in deltas for atom in lexer.feed(delta)]


def strings(value: Any) -> str:
    """All text in a JSON value, keys included, in order."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(key + strings(part) for key, part in value.items())
    return "".join(map(strings, value)) if isinstance(value, list) else ""


@given(values, st.booleans(), st.lists(st.integers(0, 400), max_size=8))
def test_json_decodes_to_its_strings_in_any_cut(value: Any, ascii_only: bool, where: list[int]) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only)
    at = [0, *sorted(min(w, len(raw)) for w in where), len(raw)]
    for deltas in ([raw], list(raw), [raw[a:b] for a, b in pairwise(at)]):
        atoms = lex(deltas)
        assert "".join(atom.raw for atom in atoms) == raw
        assert "".join(atom.decoded for atom in atoms if atom.in_string) == strings(value)
        assert all(atom.structural != atom.in_string for atom in atoms)


@given(values)
def test_structure_alone_is_valid_json(value: Any) -> None:
    assert json.loads("".join(atom.raw for atom in lex([json.dumps(value)]) if atom.structural)) is not Ellipsis


@given(st.text())
def test_text_that_is_no_json_loses_nothing(text: str) -> None:
    for deltas in ([text], list(text)):
        assert "".join(atom.raw for atom in lex(deltas)) == text


def test_words_outside_of_strings_are_text() -> None:
    atoms = lex(["{ It was the best of times"])
    assert "".join(atom.decoded for atom in atoms if not atom.structural) == "It was the best of times"


def test_a_broken_escape_ends_the_json() -> None:
    atoms = lex(['{"a": "\\q it was the best"}'])
    assert "".join(atom.decoded for atom in atoms if not atom.structural) == 'aq it was the best"}'


def test_half_a_surrogate_pair_waits() -> None:
    lexer = ArgumentsLexer()
    assert "".join(atom.decoded for atom in lexer.feed('"\\ud835')) == " "
    assert "".join(atom.decoded for atom in lexer.feed("\\udc00")) == "𝐀"


def test_half_a_surrogate_pair_that_stays_alone_means_nothing() -> None:
    assert "".join(atom.decoded for atom in lex(['"\\ud835x\\udc00"'])) == ' x\udc00"'
