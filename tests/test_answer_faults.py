"""Faults that a hostile review found in answers under guard, each kept from coming back."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from asgi_apps import Says
from conftest import WORKS, random_prose
from exact_oracle import Oracle
from test_answer import (
    INNOCENT,
    PASSAGE,
    chunk,
    events,
    feed,
    field_chunk,
    finishes,
    leaked_letters,
    new_answer,
    pieces,
    sse,
    texts,
)
from test_middleware import ask, guarded

from guard import Action, Index
from guard.wire.completions import COMPLETIONS

WORDS = PASSAGE.split()
POEM = "\n".join(" ".join(WORDS[at : at + 5]) for at in range(0, len(WORDS), 5))
HELD = WORKS[0][400:480]


def edited(raw: bytes, **changes: Any) -> bytes:
    return b"data: " + json.dumps({**json.loads(raw[6:]), **changes}).encode() + b"\n\n"


@pytest.mark.parametrize("prefix", ["", " \n"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_escapes_of_an_answer_in_json_mode_are_decoded(index: Index, prefix: str, ascii_only: bool) -> None:
    text = prefix + json.dumps({"lines": [POEM, 1, None], "by": "é"}, ensure_ascii=ascii_only)
    for parts in ([text], list(text), pieces(text)):
        out = feed(new_answer(index), [chunk(content=part) for part in parts])
        left = json.loads(texts(out)[0, "content"])
        assert leaked_letters(left["lines"][0]) <= 40
        assert left["lines"][1:] == [1, None]
        assert list(left.values())[-1] == "é"  # of its key, up to 3 letters may go with the run


@pytest.mark.parametrize(
    "text", ["{'text': '" + POEM.replace("\n", "\\n") + "'}", '{"a":"it\\\'s","text":' + json.dumps(POEM) + "}"]
)
def test_arguments_that_are_nearly_json_keep_their_escapes_decoded(index: Index, text: str) -> None:
    out = feed(new_answer(index, Action.BLOCK), [field_chunk("arguments", piece) for piece in pieces(text)])
    assert finishes(out) == {0: "content_filter"}


def test_numbers_and_literals_between_strings_break_no_run(index: Index) -> None:
    mixed = [item for word in WORDS for item in (word, True, 12, None)]
    out = feed(new_answer(index, Action.BLOCK), [field_chunk("arguments", json.dumps(mixed))])
    assert finishes(out) == {0: "content_filter"}


def test_half_a_surrogate_pair_before_another_escape_is_no_letter(index: Index) -> None:
    body = '{"t":"' + "".join(word + " \\ud835\\n\\udc00" for word in WORDS) + '"}'
    out = feed(new_answer(index, Action.BLOCK), [field_chunk("arguments", piece) for piece in pieces(body)])
    assert finishes(out) == {0: "content_filter"}


def test_a_block_lets_no_sibling_text_out(index: Index) -> None:
    stream = [x for piece in pieces(PASSAGE) for x in (chunk(reasoning=piece), chunk(reasoning_content=piece))]
    left = texts(feed(new_answer(index, Action.BLOCK), stream))
    assert all(leaked_letters(text) <= 40 for text in left.values())


@pytest.mark.parametrize("separator", [b"data: [DONE]\n\n", sse({"error": {"message": "x"}}), sse({"error": ""})])
def test_no_text_leaves_after_the_end(index: Index, separator: bytes) -> None:
    parts = [part for at in range(0, 450, 90) for part in (chunk(content=PASSAGE[at : at + 90]), separator)]
    out = feed(new_answer(index, Action.BLOCK), parts)
    shown = b"".join(sse(event) for event in events(out) if isinstance(event, dict) and "choices" in event)
    assert leaked_letters(texts(shown).get((0, "content"), "")) < 128


@pytest.mark.parametrize("n", [1, 2])
def test_no_text_leaves_after_a_finish(index: Index, n: int) -> None:
    answer = new_answer(index, n=n)
    stream = [chunk(content="one"), chunk(content="two"), chunk(finish="stop"), chunk(content=" three")]
    assert texts(feed(answer, stream)) == {(0, "content"): "onetwo"}


def test_names_that_come_again_in_another_order_match_too(index: Index) -> None:
    usage = [{word: 1} for word in sorted(WORDS)] + [{word: 1} for word in WORDS]
    out = feed(new_answer(index), [edited(chunk(content="a"), usage=each) for each in usage])
    keys = [key for event in events(out) for key in event["usage"] or ()]
    assert leaked_letters(" ".join(keys[len(WORDS) :])) <= 44


def test_names_and_usage_are_said_once_when_an_event_is_split(index: Index) -> None:
    call = {"index": 0, "id": "call-1", "type": "function", "function": {"arguments": json.dumps({"t": HELD})}}
    first = edited(chunk(role="assistant", tool_calls=[call]), usage={"total_tokens": 1})
    out = feed(new_answer(index), [first, chunk(finish="tool_calls")])
    assert out.count(b'"call-1"') == out.count(b'"assistant"') == out.count(b'"total_tokens"') == 1
    assert json.loads(texts(out)[0, "arguments"]) == {"t": HELD}


def test_many_held_events_take_no_quadratic_time(index: Index) -> None:
    answer = new_answer(index)
    answer.feed(chunk(content=HELD[:70]))
    assert answer.holding
    start = time.perf_counter()
    for _ in range(4000):
        answer.feed(chunk(content="\n"))
    assert time.perf_counter() - start < 3  # it took 12 s


def test_a_long_event_in_small_reads_takes_no_quadratic_time(index: Index) -> None:
    answer, raw = new_answer(index), chunk(content="x " * (1 << 21))
    start = time.perf_counter()
    out = b"".join(answer.feed(raw[at : at + 1400]) for at in range(0, len(raw), 1400))
    assert time.perf_counter() - start < 5  # it took 30 s
    assert out == raw


@pytest.mark.parametrize("bad", [{"created": 10**30}, {"id": "x\ud800"}, {"model": 7}])
def test_a_block_after_an_odd_envelope_is_still_one(index: Index, bad: dict[str, Any]) -> None:
    for end in (chunk(content=PASSAGE), b"data: {broken\n\n"):
        app = Says(edited(chunk(content="Well"), **bad), edited(end, **bad) if b"{b" not in end else end)
        got = ask(guarded(app, index, Action.BLOCK), request={"stream": True})
        assert got.status == 200
        assert finishes(got.body) == {0: "content_filter"}


def test_a_fault_while_a_block_is_written_still_ends_as_one(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fails_once(*args: Any, **_: Any) -> dict[str, Any]:
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("no block")
        return {"choices": [{"index": 0, "finish_reason": "content_filter"}]}

    monkeypatch.setattr("guard.wire.dialect.Dialect.block_chunk", fails_once)
    got = ask(guarded(Says(chunk(content=PASSAGE)), index, Action.BLOCK), request={"stream": True})
    assert finishes(got.body) == {0: "content_filter"}


@pytest.mark.parametrize("form", [b"data:", b"data: \n data:", b": x\ndata: "])
def test_held_text_in_events_of_any_form_leaves(index: Index, form: bytes) -> None:
    stream = [chunk(content=piece).replace(b"data: ", form) for piece in pieces(f"So. {HELD[:60]} {INNOCENT}")]
    got = ask(guarded(Says(*stream), index), request={"stream": True})
    assert got.body == b"".join(stream) or texts(got.body.replace(form, b"data: "))[0, "content"].endswith(INNOCENT)
    assert b"content_filter" not in got.body


@pytest.mark.parametrize("text", ["a\\ud83d", "\\ud83d\\ud83d b"])
def test_a_lone_surrogate_passes(index: Index, text: str) -> None:
    raw = chunk(content="@@").replace(b"@@", text.encode())
    assert feed(new_answer(index), [raw, raw]) == raw * 2
    out = feed(new_answer(index), [chunk(content=HELD), raw])
    assert text.encode() in out


@pytest.mark.parametrize("fields", [{"n": "2"}, {"n": 2.0}, {"n": 0}, {"n": True}, {"n": 10**8}, {"stream": "true"}])
def test_requests_that_servers_could_read_differently_are_refused(index: Index, fields: dict[str, Any]) -> None:
    app = Says(b"secret")
    got = ask(guarded(app, index), request=fields)
    assert (got.status, got.json["error"]["param"]) == (400, next(iter(fields)))
    assert not app.requests


def test_a_choice_that_nobody_asked_for_is_not_cut_off(index: Index) -> None:
    out = feed(
        new_answer(index, Action.BLOCK), [chunk(1, content="hello"), chunk(0, content=PASSAGE), chunk(1, "stop")]
    )
    assert finishes(out) == {0: "content_filter", 1: "stop"}


def test_long_error_messages_pass(index: Index) -> None:
    body = json.dumps({"error": {"message": random_prose(5, 1200)}}).encode()
    assert ask(guarded(Says(body, kind=b"application/json", status=400), index)).body == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":' + json.dumps(PASSAGE).encode() + b',"message":"oops"}}',
        ('{"error":{"message":"' + "".join(f"\\u{ord(c):04x}" for c in PASSAGE) + '","x":NaN}}').encode(),
        b'{"a":' * 5000 + json.dumps(PASSAGE).encode() + b"}" * 5000,
    ],
)
def test_error_bodies_that_readers_could_read_differently_are_withheld(index: Index, body: bytes) -> None:
    got = ask(guarded(Says(body, kind=b"application/json", status=400), index))
    assert got.status == 400
    assert "withheld" in got.json["error"]["message"]


def test_a_finish_leaves_even_when_a_name_matched(index: Index) -> None:
    out = feed(new_answer(index), [chunk(content="hi"), f": {PASSAGE}\n\n".encode(), chunk(finish="stop")])
    assert finishes(out) == {0: "stop"}
    out = feed(new_answer(index), [chunk(content="hi"), chunk(finish=PASSAGE)])
    assert finishes(out) == {0: "content_filter"}


def test_an_event_without_its_blank_line_gets_one_if_more_follows(index: Index) -> None:
    out = feed(new_answer(index, n=2), [chunk(0, content=HELD), chunk(1, content="hello")[:-2]])
    assert texts(out) == {(0, "content"): HELD, (1, "content"): "hello"}


def test_an_empty_finish_is_none(index: Index) -> None:
    stream = [chunk(content="one ", finish=""), chunk(content="two", finish="stop")]
    assert feed(new_answer(index), stream) == b"".join(stream)


@pytest.mark.parametrize("odd", [b"data: \n\n", b"data:\n\n", b"data: [DONE] \n\n"])
def test_empty_events_and_blanks_after_done_pass(index: Index, odd: bytes) -> None:
    assert feed(new_answer(index), [chunk(content="a"), odd]) == chunk(content="a") + odd


def test_after_a_block_an_event_without_choices_fails_nothing(index: Index) -> None:
    stream = [
        chunk(0, content=PASSAGE),
        sse({"id": "x", "usage": {"total_tokens": 1}}),
        chunk(1, content="b", finish="stop"),
    ]
    assert finishes(feed(new_answer(index, Action.BLOCK, n=2), stream)) == {0: "content_filter", 1: "stop"}


def test_choices_without_an_index_end_once(index: Index) -> None:
    event = {"id": "x", "choices": [{"text": PASSAGE, "finish_reason": "stop"}]}
    (first, second, _) = events(feed(new_answer(index, Action.BLOCK, COMPLETIONS), [sse(event)]))
    assert first["choices"][0]["finish_reason"] is None
    assert second["choices"][0]["finish_reason"] == "content_filter"


def test_a_start_without_headers_is_taken(index: Index) -> None:
    async def bare(_: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body", "body": b"nothing here"})

    got = ask(guarded(bare, index))
    assert (got.status, got.body) == (404, b"nothing here")


def test_the_poem_is_the_passage() -> None:
    assert Oracle([PASSAGE]).runs(POEM, 300)


def several(*choices: tuple[int, dict[str, Any], str | None]) -> bytes:
    """One event with several choices, or with several fields of one."""
    return sse({"id": "x", "choices": [{"index": n, "delta": d, "finish_reason": f} for n, d, f in choices]})


def arguments(text: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}


def test_text_beside_half_an_escape_keeps_its_order(index: Index) -> None:
    stream = [
        several((0, {"content": "one ", **arguments('{"a":"x\\')}, None)),
        several((0, {"content": "two "}, None)),
        several((0, arguments('n"}'), None)),
        several((0, {}, "stop")),
    ]
    left = texts(feed(new_answer(index), stream))
    assert left == {(0, "content"): "one two ", (0, "arguments"): '{"a":"x\\n"}'}


def test_text_beside_half_an_escape_leaves_before_its_finish(index: Index) -> None:
    stream = [several((0, {"content": "one "}, None), (1, arguments('{"a":"x\\'), None)), several((0, {}, "stop"))]
    seen = events(feed(new_answer(index, n=2), stream))
    first = [n for n, each in enumerate(seen) for c in each["choices"] if c["delta"].get("content")]
    ended = [n for n, each in enumerate(seen) for c in each["choices"] if c["finish_reason"]]
    assert first < ended


def test_a_finish_beside_held_text_leaves_at_once_and_is_told(index: Index) -> None:
    answer = new_answer(index, n=2)
    out = answer.feed(several((1, {"content": HELD[:60]}, None)))
    out += answer.feed(several((0, {}, "stop"), (1, {"content": HELD[60:80]}, None)))
    assert finishes(out) == {0: "stop"}
    assert finishes(out + answer.fail()) == {0: "stop", 1: "content_filter"}


def test_nothing_of_a_choice_follows_its_block(index: Index) -> None:
    both = several((0, {"content": PASSAGE}, None), (1, arguments('{"a":"x\\'), None))
    out = feed(new_answer(index, Action.BLOCK, n=2), [both, several((1, arguments('n"}'), "stop"))])
    order = [(c["index"], c["finish_reason"]) for each in events(out) if each != "[DONE]" for c in each["choices"]]
    assert order.index((0, "content_filter")) == max(at for at, each in enumerate(order) if each[0] == 0)


@pytest.mark.parametrize("text", ["汉字" * 40_000, "x y\n" * 60_000, 'quo"te\\ ' * 30_000])
@pytest.mark.parametrize("whole", [True, False])
def test_long_json_takes_no_quadratic_time(index: Index, text: str, whole: bool) -> None:
    raw = json.dumps({"code": text})
    start = time.perf_counter()
    if whole:
        body = sse({"id": "x", "choices": [{"index": 0, "message": {"content": raw}}]})[6:]
        assert new_answer(index, whole=True).body(body) is body
    else:
        assert texts(feed(new_answer(index), [field_chunk("arguments", raw)]))[0, "arguments"] == raw
    assert time.perf_counter() - start < 3


def test_a_comment_that_matched_takes_no_text_along(index: Index) -> None:
    first, *rest = [chunk(content="hello"), chunk(content=" you"), chunk(finish="stop"), b"data: [DONE]\n\n"]
    stream = [first, f": {PASSAGE}\n\n".encode(), *(b"id: %d\n" % n + each for n, each in enumerate(rest))]
    assert feed(new_answer(index), stream) == b"".join([first, *rest])


def test_choices_without_an_index_keep_their_place_after_a_block(index: Index) -> None:
    def both(first: str, second: str) -> bytes:
        return sse({"id": "x", "choices": [{"delta": {"content": first}}, {"delta": {"content": second}}]})

    out = feed(new_answer(index, Action.BLOCK, n=2), [both(PASSAGE, "c"), both("no", "d")])
    shown = [c["delta"]["content"] for each in events(out) for c in each["choices"] if c.get("index", 1) == 1]
    assert shown[-1] == "d"


def test_comments_are_sent_once_when_an_event_is_split(index: Index) -> None:
    out = feed(new_answer(index), [b": hi\n" + chunk(content="Well now then here. " + HELD)])
    assert out.count(b": hi") == 1
    assert texts(out.replace(b": hi\n", b""))[0, "content"] == "Well now then here. " + HELD


def test_nothing_follows_an_end_that_has_left(index: Index) -> None:
    done = new_answer(index)
    assert done.feed(chunk(finish="stop") + b"data: [DONE]\n\n")
    assert done.fail() == b""
    error = new_answer(index)
    assert error.feed(sse({"error": {"message": "x"}}))
    assert error.fail() == b"data: [DONE]\n\n"
