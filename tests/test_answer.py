"""Answers under guard, as transcripts: what the upstream sends, what the client gets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from conftest import WORKS, random_prose
from exact_oracle import Oracle, oracle_fold
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import Action, Index, Policy, StreamGuard
from guard.errors import WireError
from guard.wire.answer import Answer
from guard.wire.chat import CHAT
from guard.wire.completions import COMPLETIONS
from guard.wire.dialect import Dialect

PASSAGE = WORKS[0][400:900]
INNOCENT = random_prose(77, 60)
TEXT_FIELDS = ("content", "reasoning", "reasoning_content", "refusal")


def new_answer(
    index: Index, action: Action = Action.REDACT, dialect: Dialect = CHAT, *, n: int = 1, whole: bool = False
) -> Answer:
    policy = Policy(action=action)
    envelope = dialect.envelope({"model": "m"}, 5, whole=whole)
    return Answer(dialect, lambda: StreamGuard(index, policy), n, envelope, whole=whole)


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
    return sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def sse(event: Any) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def field_chunk(field: str, text: str, index: int = 0) -> bytes:
    if field == "arguments":
        call = {"index": 0, "function": {"arguments": text}}
        return chunk(index, tool_calls=[call])
    return chunk(index, **{field: text})


def pieces(text: str, seed: int = 0) -> list[str]:
    rng, out = random.Random(seed), []
    while text:
        size = rng.randint(1, 9)
        out.append(text[:size])
        text = text[size:]
    return out


def feed(answer: Answer, parts: Iterable[bytes]) -> bytes:
    return b"".join(answer.feed(part) for part in parts) + answer.close()


def events(raw: bytes) -> list[Any]:
    """What an SSE client reads."""
    found = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
        if data:
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def texts(raw: bytes) -> dict[tuple[int, str], str]:
    """Per choice and field, the text that a client puts together."""
    out: dict[tuple[int, str], str] = {}
    for event in events(raw):
        for choice in event.get("choices", ()) if isinstance(event, dict) else ():
            delta = dict(choice.get("delta") or {"text": choice.get("text")})
            for call in delta.pop("tool_calls", None) or ():
                delta["arguments"] = (call.get("function") or {}).get("arguments")
            for field, text in delta.items():
                if isinstance(text, str) and field != "role":
                    key = (choice["index"], field)
                    out[key] = out.get(key, "") + text
    return out


def finishes(raw: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for event in events(raw):
        for choice in event.get("choices", ()) if isinstance(event, dict) else ():
            if choice.get("finish_reason"):
                assert choice["index"] not in found, "a choice ended twice"
                found[choice["index"]] = choice["finish_reason"]
    return found


def leaked_letters(text: str) -> int:
    """Letters of PASSAGE that stand in a text, in runs of at least 8."""
    oracle = Oracle([PASSAGE])
    return sum(run.letters for run in oracle.runs(text, 8))


def test_a_clean_stream_is_byte_identical(index: Index) -> None:
    stream = [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces(INNOCENT))]
    stream += [chunk(finish="stop"), sse({"id": "x", "choices": [], "usage": {"total_tokens": 5}}), b"data: [DONE]\n\n"]
    answer = new_answer(index)
    for part in stream:
        assert answer.feed(part) == part
    assert answer.close() == b""
    assert not answer.matches


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_clean_stream_in_any_cut_and_with_any_line_ends(index: Index, ending: bytes) -> None:
    raw = b"".join([b": ping\n\n", chunk(content=INNOCENT), chunk(content=INNOCENT), b"data: [DONE]\n\n"])
    raw = raw.replace(b"\n\n", ending)
    for size in (1, 7, 100, 10_000):
        answer = new_answer(index)
        assert feed(answer, (raw[at : at + size] for at in range(0, len(raw), size))) == raw


def test_events_held_and_released_leave_as_they_came(index: Index) -> None:
    text = "So. " + WORKS[0][400:500] + " " + INNOCENT  # about 80 letters of a work, then it breaks
    stream = [chunk(content=piece) for piece in pieces(text)] + [chunk(finish="stop")]
    answer = new_answer(index)
    waited = False
    out = b""
    for part in stream:
        out += answer.feed(part)
        waited = waited or answer.holding
    assert waited
    assert texts(out)[0, "content"] == text
    assert sum(part in out for part in stream) >= len(stream) - 1  # but for one that was split at the hold point


@pytest.mark.parametrize("field", [*TEXT_FIELDS, "arguments"])
@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_a_passage_in_any_field_is_withheld(index: Index, field: str, action: Action) -> None:
    text = f"{INNOCENT[:40]} {PASSAGE} {INNOCENT[40:80]}"
    if field == "arguments":
        text = json.dumps({"n": 1, "lines": [text, "more", True], "end": None})
    stream = [chunk(role="assistant", content="")]
    stream += [field_chunk(field, piece) for piece in pieces(text)] + [chunk(finish="stop"), b"data: [DONE]\n\n"]
    answer = new_answer(index, action)
    out = feed(answer, stream)
    left = texts(out)[0, field]
    assert leaked_letters(left) <= 40
    assert events(out)[-1] == "[DONE]"
    if action is Action.BLOCK:
        assert finishes(out) == {0: "content_filter"}
        assert answer.stopped
    else:
        assert finishes(out) == {0: "stop"}
        assert left.count("[…]") == 1
        if field == "arguments":
            assert json.loads(left)["lines"][1:] == ["more", True]
        else:
            assert left.endswith(INNOCENT[45:80])


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4000), max_size=12), st.sampled_from([Action.REDACT, Action.BLOCK]), st.booleans())
def test_cuts_of_the_bytes_change_no_text(index: Index, where: list[int], action: Action, ascii_only: bool) -> None:
    value = {"a": [WORKS[1][100:180] + "é\n", PASSAGE + "𝐀"], 'quo"te': "\\" + INNOCENT}
    arguments = json.dumps(value, ensure_ascii=ascii_only)
    stream = [field_chunk("content", piece) for piece in pieces(INNOCENT + PASSAGE + INNOCENT)]
    stream += [field_chunk("arguments", piece, 1) for piece in pieces(arguments, 1)]
    random.Random(3).shuffle(
        merged := [0] * len(pieces(INNOCENT + PASSAGE + INNOCENT)) + [1] * len(pieces(arguments, 1))
    )
    sources = [iter(stream[: merged.count(0)]), iter(stream[merged.count(0) :])]
    raw = (
        b"".join(next(sources[which]) for which in merged)
        + chunk(0, "stop")
        + chunk(1, "tool_calls")
        + b"data: [DONE]\n\n"
    )
    at = [0, *sorted(w % len(raw) for w in where), len(raw)]
    whole = feed(new_answer(index, action, n=2), [raw])
    cut = feed(new_answer(index, action, n=2), (raw[a:b] for a, b in pairwise(at)))
    assert texts(cut) == texts(whole)
    assert finishes(cut) == finishes(whole)
    if action is Action.REDACT:
        left = json.loads(texts(whole)[1, "arguments"])
        assert left["a"][0] == value["a"][0]
        assert left['quo"te'] == value['quo"te']


@pytest.mark.parametrize("ascii_only", [True, False])
def test_escapes_in_arguments_do_not_hide_a_passage(index: Index, ascii_only: bool) -> None:
    bold = "".join(chr(0x1D41A + ord(c) - 97) if c.isalpha() else c for c in PASSAGE)
    text = json.dumps({"text": bold.replace(" ", "\n")}, ensure_ascii=ascii_only)
    left = texts(feed(new_answer(index), [field_chunk("arguments", piece) for piece in pieces(text)]))[0, "arguments"]
    assert len(oracle_fold(json.loads(left)["text"])[0]) <= 40


def test_choices_are_guarded_apart(index: Index) -> None:
    first, second = pieces(PASSAGE), pieces(INNOCENT * 2)
    stream = [part for a, b in zip(first, second, strict=False) for part in (chunk(0, content=a), chunk(1, content=b))]
    stream += [chunk(1, "stop"), chunk(0, "stop"), b"data: [DONE]\n\n"]
    answer = new_answer(index, Action.BLOCK, n=2)
    out = feed(answer, stream)
    assert finishes(out) == {0: "content_filter", 1: "stop"}
    assert texts(out)[1, "content"] == "".join(second[: len(first)])
    assert answer.stopped


def test_with_some_choices_blocked_usage_still_comes(index: Index) -> None:
    usage = sse({"id": "x", "choices": [], "usage": {"total_tokens": 5}})
    stream = [chunk(0, content=PASSAGE), chunk(1, content="well"), usage]
    answer = new_answer(index, Action.BLOCK, n=2)
    assert usage in feed(answer, stream)
    assert not answer.stopped


def test_a_block_in_the_last_event_takes_the_place_of_its_finish(index: Index) -> None:
    out = feed(new_answer(index, Action.BLOCK), [chunk(role="assistant", content=PASSAGE, finish="length")])
    assert finishes(out) == {0: "content_filter"}
    assert events(out)[0]["choices"][0]["delta"]["role"] == "assistant"


def test_held_text_leaves_with_the_finish_and_before_done(index: Index) -> None:
    text = WORKS[0][400:480]
    for end in (chunk(finish="stop"), b"data: [DONE]\n\n", b""):
        out = feed(new_answer(index), [*(chunk(content=piece) for piece in pieces(text)), end])
        assert texts(out)[0, "content"] == text
        assert out.endswith(end)


def test_completions(index: Index) -> None:
    def part(text: str, finish: str | None = None, n: int = 0) -> bytes:
        return sse(
            {"id": "cmpl-1", "choices": [{"index": n, "text": text, "finish_reason": finish, "stop_reason": None}]}
        )

    stream = [part(piece) for piece in pieces(INNOCENT + PASSAGE)] + [part("", "length"), b"data: [DONE]\n\n"]
    redacted = feed(new_answer(index, dialect=COMPLETIONS), stream)
    assert texts(redacted)[0, "text"].startswith(INNOCENT)
    assert leaked_letters(texts(redacted)[0, "text"]) <= 40
    blocked = feed(new_answer(index, Action.BLOCK, COMPLETIONS), stream)
    assert finishes(blocked) == {0: "content_filter"}
    assert events(blocked)[-2]["object"] == "text_completion"


@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_a_whole_answer(index: Index, action: Action) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"t": PASSAGE})}}
    messages = [
        {"role": "assistant", "content": f"{INNOCENT} {PASSAGE}", "refusal": None},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "content": INNOCENT, "reasoning": INNOCENT},
    ]
    body = {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"index": n, "message": m, "finish_reason": "stop"} for n, m in enumerate(messages)],
        "usage": {"total_tokens": 3, "details": {"cached": 0}},
    }
    raw = json.dumps(body).encode()
    out = json.loads(new_answer(index, action, n=3, whole=True).body(raw))
    assert leaked_letters(json.dumps(out)) <= 80  # 40 in each of two choices
    reasons = [choice["finish_reason"] for choice in out["choices"]]
    blocked = "content_filter" if action is Action.BLOCK else "stop"
    assert reasons == [blocked, blocked, "stop"]
    assert out["choices"][2] == body["choices"][2]  # type: ignore[index]
    assert out["usage"] == body["usage"]
    if action is Action.REDACT:
        assert json.loads(out["choices"][1]["message"]["tool_calls"][0]["function"]["arguments"])["t"].endswith("[…]")


def test_a_clean_whole_answer_is_byte_identical(index: Index) -> None:
    raw = b'{ "id":"x", "choices": [{"index":0,"message":{"role":"assistant","content":"Well \\u00e9\\n"}}]}'
    assert new_answer(index, whole=True).body(raw) is raw


def test_what_the_table_does_not_name_is_withheld(index: Index) -> None:
    secret = {"logprobs": {"content": [{"token": PASSAGE}]}, "token_ids": [1, 2], "novelty": PASSAGE, PASSAGE: None}
    event = json.loads(chunk(content="Well")[6:])
    event["choices"][0].update(secret)
    event["choices"][0]["delta"]["audio"] = {"transcript": PASSAGE}
    event[PASSAGE] = 1
    event["usage"] = {"total_tokens": 1, PASSAGE: 2, "note": PASSAGE}
    answer = new_answer(index)
    (out,) = events(feed(answer, [sse(event)]))
    assert leaked_letters(json.dumps(out)) == 0
    assert out["choices"][0]["delta"]["content"] == "Well"
    assert {"choices.logprobs", "choices.token_ids", "choices.novelty", "choices.delta.audio"} <= set(
        answer.withheld_fields
    )


@pytest.mark.parametrize("field", ["id", "model", "system_fingerprint", "service_tier", "object"])
def test_names_must_match_nothing(index: Index, field: str) -> None:
    stream = []
    for piece in [PASSAGE, *(PASSAGE[at : at + 25] for at in range(0, 500, 25))]:
        event = json.loads(chunk(content="Well")[6:])
        event[field] = piece
        stream.append(sse(event))
    out = feed(new_answer(index), stream)
    assert leaked_letters("".join(event[field] or "" for event in events(out))) <= 44


def test_comments_and_event_names_must_match_nothing(index: Index) -> None:
    stream = [b": keep-alive\n\n", f": {PASSAGE}\n\n".encode(), f"event: {PASSAGE}\ndata: [DONE]\n\n".encode()]
    assert feed(new_answer(index), stream) == b": keep-alive\n\ndata: [DONE]\n\n"


def test_errors_in_a_stream_pass_unless_they_quote(index: Index) -> None:
    error = sse({"error": {"message": "The engine died.", "type": "server_error", "code": 500}})
    assert feed(new_answer(index), [error]) == error
    out = feed(new_answer(index), [sse({"error": {"message": PASSAGE, "code": 400}})])
    assert leaked_letters(out.decode()) == 0
    assert "withheld" in events(out)[0]["error"]["message"]


@pytest.mark.parametrize(
    "bad",
    [b"data: {not json}\n\n", b"data: 3\n\n", b'data: {"choices":[1]}\n\n', b'data: {"choices":[{"index":"x"}]}\n\n'],
)
def test_what_cannot_be_read_raises_and_fails_closed(index: Index, bad: bytes) -> None:
    answer = new_answer(index, n=2)
    held = b"".join(answer.feed(chunk(content=piece)) for piece in pieces(WORKS[0][400:470]))
    with pytest.raises(WireError):
        answer.feed(bad)
    out = answer.fail()
    assert finishes(out) == {0: "content_filter", 1: "content_filter"}
    assert events(out)[-1] == "[DONE]"
    assert len(oracle_fold(texts(held + out)[0, "content"])[0]) <= 40
    assert answer.feed(chunk(content="more")) == b"" == answer.close()


def test_an_upstream_that_dies_lets_held_text_out_but_no_half_event(index: Index) -> None:
    text = WORKS[0][400:480]
    answer = new_answer(index)
    out = b"".join(answer.feed(chunk(content=piece)) for piece in pieces(text)) + answer.feed(
        b'data: {"choices":[{"ind'
    )
    out += answer.break_off()
    assert texts(out)[0, "content"] == text
    assert b'{"choices":[{"ind"' not in out


def test_twins_do_not_hide_text_that_reaches_out_of_its_string(index: Index) -> None:
    answer = new_answer(index)
    feed_one = answer.feed(chunk(content="one"))
    assert feed_one == chunk(content="one")
    sly = chunk(content="x").replace(b'"x"', b'"x","refusal":' + json.dumps(PASSAGE).encode())
    assert leaked_letters(answer.feed(sly).decode()) <= 40
