"""One walk over an event's JSON by the field table: texts to guard, choices that end, fields to withhold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from guard.errors import WireError
from guard.stream import Release, StreamGuard
from guard.wire.channel import ChannelKey, Slot
from guard.wire.fields import Each, Field, Shape

# Words of the protocols themselves: they always pass, so that no answer ends without its reason.
PROTOCOL_WORDS: Final = frozenset(
    (
        "stop",
        "length",
        "tool_calls",
        "content_filter",
        "function_call",
        "abort",
        "error",
        "assistant",
        "function",
        "chat.completion",
        "chat.completion.chunk",
        "text_completion",
        "created",
        "index",
        "logprobs",
        "token_ids",
        "prompt_token_ids",
        "prompt_text",
        "prompt_logprobs",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "kv_transfer_params",
        "routed_experts",
        "metrics",
    )
)


class Names:
    """Strings that the server chooses. They must match nothing, all of them together being one text; once they do, no
    new one passes. One that stands in its field as it stood there before says nothing new.
    """

    __slots__ = ("_guard", "_last", "_spoilt")

    def __init__(self, guard: StreamGuard) -> None:
        self._guard = guard
        self._last: dict[str, str] = {}
        self._spoilt = False

    def passes(self, field: str, text: str) -> bool:
        if self._last.get(field) == text or text in PROTOCOL_WORDS:
            return True
        events = self._guard.feed(text)
        released = sum(len(event.text) for event in events if type(event) is Release)
        self._spoilt = self._spoilt or released != len(text) or self._guard.holding
        if not self._spoilt:
            self._last[field] = text
        return not self._spoilt


@dataclass(slots=True, eq=False)
class Inspection:
    """What an event holds. `carries`: something besides text (a role, a tool's id, usage); `names`: where, so that an
    event sent in two parts says it once; `withheld`: paths of fields taken out.
    """

    slots: list[Slot] = field(default_factory=list)
    ended: list[ChannelKey] = field(default_factory=list)
    carries: bool = False
    names: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


class Inspector:
    """Walks events of one shape. `is_over`: a choice that is over gets no more text through."""

    __slots__ = ("_is_over", "_names", "_shape")

    def __init__(self, shape: Shape, names: Names, is_over: Callable[[ChannelKey], bool]) -> None:
        self._shape = shape
        self._names = names
        self._is_over = is_over

    def inspect(self, event: Any) -> Inspection:
        """Takes fields that aren't in the table out of the event. Raises WireError if the event has another shape."""
        if type(event) is not dict:
            raise WireError(f"an event of the upstream is a JSON {type(event).__name__}, not an object")
        found = Inspection()
        self._walk(event, self._shape, (), found)
        return found

    def _walk(self, holder: dict[str, Any], shape: Shape, path: ChannelKey, found: Inspection) -> None:
        refused: list[str] = []
        for name, value in holder.items():
            kind = type(value)
            if value is None or kind is bool or kind is int or kind is float:
                if name not in shape and not self._names.passes("name", name):
                    refused.append(name)
                continue
            if not self._admit(holder, name, value, shape.get(name), path, found):
                refused.append(name)
        for name in refused:
            if name in shape or self._names.passes("name", name):
                holder[name] = None
            else:  # a name can spell out text too
                del holder[name]
            found.withheld.append(".".join(str(part) for part in (*path, name) if type(part) is str))

    def _admit(
        self,
        holder: dict[str, Any],
        name: str,
        value: Any,
        rule: Field | Each | Shape | None,
        path: ChannelKey,
        found: Inspection,
    ) -> bool:
        if rule is Field.TEXT or rule is Field.JSON_TEXT:
            if type(value) is not str or (len(path) > 1 and self._is_over(path[:2])):
                return False
            if value:
                found.slots.append(Slot((*path, name), holder, name, value, rule is Field.JSON_TEXT))
            return True
        if rule is Field.NAME or rule is Field.FINISH:
            if type(value) is not str:
                return False
            if rule is Field.FINISH and not value:
                return True  # some servers say so that there is none yet
            if not self._names.passes(f"{name} {len(path)}", value):
                if rule is not Field.FINISH:
                    return False
                holder[name] = "content_filter"  # an end without its reason would be none
                found.withheld.append(name)
            if path:
                found.carries = True
                found.names.append((holder, name))
            if rule is Field.FINISH:
                found.ended.append(path[:2])
            return True
        if rule is Field.NUMBERS:
            found.carries = True
            return self._only_numbers(value)
        if type(rule) is Each:
            return self._walk_each(name, value, rule, path, found)
        if rule is None or isinstance(rule, Field | Each) or type(value) is not dict:
            return False
        self._walk(value, rule, (*path, name), found)
        return True

    def _walk_each(self, name: str, items: Any, rule: Each, path: ChannelKey, found: Inspection) -> bool:
        if type(items) is not list:
            return False
        for place, item in enumerate(items):
            if type(item) is not dict:
                raise WireError(f"an item of {name} in an answer of the upstream isn't an object")
            index = item.get("index", place)
            if type(index) is not int:
                raise WireError(f"an item of {name} in an answer of the upstream has the index {index!r}")
            self._walk(item, rule.fields, (*path, name, index), found)
        return True

    def _only_numbers(self, value: Any) -> bool:
        if isinstance(value, dict):
            return all(self._names.passes("usage", name) and self._only_numbers(part) for name, part in value.items())
        return value is None or isinstance(value, bool | int | float)
