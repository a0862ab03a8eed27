"""What the stand-in model has by heart, and how a prompt calls it up.

A model that memorised a text goes on reciting when a prompt ends in some of its words, and when it's asked for the text
by name. Both are imitated here, by looking the words up: there is no model in this folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WORKS_FOLDER = Path(__file__).parent / "works"
WORKS_MANIFEST = WORKS_FOLDER / "works.jsonl"

_WORD = re.compile(r"[^\W_]+")
_QUOTED = re.compile(r"[“\"](.+)[”\"]", re.DOTALL)  # greedy: the quotation may itself hold speech
_ASKS_TO_RECITE = re.compile(r"\b(recite|continue|read|quote|repeat|print|show|write|give)\b", re.IGNORECASE)
_ASKS_FOR_OPENING = re.compile(r"\b(opening|beginning|begins?|first|start)\b", re.IGNORECASE)

# Fewer words than this at the end of a prompt call nothing up: "at the end of" stands in a great many prompts.
_FEWEST_WORDS = 4
_WORDS_OF_AN_OPENING = 90


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text, folded, and the code points [start, end) where it stands."""

    folded: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Memorised:
    """A work that the stand-in recites. `body` is the text without a first line that only repeats the title."""

    title: str
    body: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Recollection:
    """A place in a work that the end of a prompt fits: `words` of it agree, and the work goes on at `offset`."""

    words: int
    work: Memorised
    offset: int


def load_works(manifest: Path = WORKS_MANIFEST) -> tuple[Memorised, ...]:
    """Read the works that the manifest names, from beside it."""
    works = []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        body = (manifest.parent / record["path"]).read_text(encoding="utf-8")
        body = body.removeprefix(record["title"] + "\n").lstrip("\n")
        works.append(Memorised(record["title"], body, words_of(body)))
    return tuple(works)


def words_of(text: str) -> tuple[Word, ...]:
    """The words of a text in order, case folded."""
    return tuple(Word(found[0].casefold(), found.start(), found.end()) for found in _WORD.finditer(text))


def continue_from(prompt: str, works: Sequence[Memorised]) -> str | None:
    """What follows the words that the prompt ends in, in the work that holds most of them; None if no work does."""
    words = words_of(prompt)
    if not words:
        return None
    after_last_word = prompt[words[-1].end :]
    found = [each for work in works for each in _recollections(words, not after_last_word, work)]
    best = max(found, key=lambda each: each.words, default=None)
    if best is None or best.words < _FEWEST_WORDS:
        return None
    return _without_what_was_given(best.work.body[best.offset :], after_last_word)


def answer_to_request(message: str, works: Sequence[Memorised]) -> str | None:
    """What a chat message calls up: the rest of a passage that it quotes, or the work that it asks for by title."""
    if not _ASKS_TO_RECITE.search(message):
        return None
    asked = _by_title(message, works)
    if asked is not None and _ASKS_FOR_OPENING.search(message):
        opening = _opening(asked)
        return f"Of course. “{asked.title}” begins like this:\n\n{opening}\n\nSo it begins. Shall I go on?"
    if asked is not None:
        return asked.body
    quoted = _QUOTED.search(message)
    return continue_from(quoted[1] if quoted else message, works)


def _recollections(words: Sequence[Word], may_be_cut_short: bool, work: Memorised) -> Iterator[Recollection]:
    """Every place in the work where the last of `words` stands, or begins a word if it may be cut short."""
    last = words[-1].folded
    for place, word in enumerate(work.words):
        if word.folded != last and not (may_be_cut_short and word.folded.startswith(last)):
            continue
        agreeing = 1
        while agreeing <= min(place, len(words) - 1):
            if words[-1 - agreeing].folded != work.words[place - agreeing].folded:
                break
            agreeing += 1
        yield Recollection(agreeing, work, word.start + len(last))


def _without_what_was_given(rest: str, given: str) -> str:
    """Drop the punctuation and the white space that the prompt has already supplied."""
    if rest.startswith(given):
        return rest[len(given) :]
    return rest.lstrip() if given[-1:].isspace() else rest


def _by_title(message: str, works: Sequence[Memorised]) -> Memorised | None:
    said = [word.folded for word in words_of(message)]
    for work in works:
        title = [word.folded for word in words_of(work.title)]
        if any(said[start : start + len(title)] == title for start in range(len(said) - len(title) + 1)):
            return work
    return None


def _opening(work: Memorised) -> str:
    """Whole paragraphs from the beginning of the work, until there are enough words."""
    taken: list[str] = []
    for paragraph in work.body.split("\n\n"):
        taken.append(paragraph)
        if sum(len(words_of(each)) for each in taken) >= _WORDS_OF_AN_OPENING:
            break
    return "\n\n".join(taken)
