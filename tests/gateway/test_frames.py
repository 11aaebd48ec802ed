"""Frames of WebSockets: which texts are frames, and the texts of answers."""

from __future__ import annotations

import msgspec
import pytest

from modd.gateway.calls import Reply
from modd.gateway.client_events import EventId
from modd.gateway.frames import (
    BadFrame,
    CallFrame,
    Frame,
    PingFrame,
    SubscribeFrame,
    TokenFrame,
    UnsubscribeFrame,
    delivery_texts,
    pong_text,
    problem_text,
    read_frame,
    reply_text,
)
from modd.gateway.problems import Problem
from modd.gateway.rendering import HubItem, Topic
from modd.gateway.subscription import Reset
from tests.gateway.events_shop import ORDERS


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (
            '{"command": "place-order", "ref": "1", "data": {"a": 1}}',
            CallFrame("commands", "place-order", "1", b'{"a": 1}'),
        ),
        ('{"command": "count", "ref": "1", "key": "k"}', CallFrame("commands", "count", "1", b"{}", "k")),
        ('{"query": "count", "ref": "1"}', CallFrame("queries", "count", "1", b"{}")),
        ('{"subscribe": ["a"], "after": 17, "ref": "2"}', SubscribeFrame(["a"], 17, "2")),
        ('{"subscribe": ["a"], "after": "epoch000-17"}', SubscribeFrame(["a"], EventId("epoch000", 17), None)),
        ('{"subscribe": ["a", "b"]}', SubscribeFrame(["a", "b"], None, None)),
        ('{"unsubscribe": ["a"]}', UnsubscribeFrame(["a"])),
        ('{"ping": 1}', PingFrame(1)),
        ('{"token": "x"}', TokenFrame("x")),
    ],
)
def test_each_frame_of_a_client_is_read(text: str, frame: Frame) -> None:
    # GW-30
    assert read_frame(text) == frame


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ("{}", None),
        ('{"ref": "1"}', "1"),
        ('{"command": "a"}', None),
        ('{"command": 1, "ref": "1"}', None),
        ('{"command": "a", "ref": 1}', None),
        ('{"command": "a", "ref": ""}', None),
        ('{"command": "a", "ref": "' + "x" * 129 + '"}', None),
        ('{"command": "a", "query": "b", "ref": "1"}', "1"),
        ('{"command": "a", "ref": "1", "after": 1}', "1"),
        ('{"query": "a", "ref": "1", "key": "k"}', "1"),
        ('{"command": "a", "ref": "1", "key": 1}', None),
        ('{"command": "a", "ref": "1", "unknown": 1}', None),
        ('{"subscribe": ["a"], "after": -1, "ref": "1"}', "1"),
        ('{"subscribe": ["a"], "after": "17", "ref": "1"}', "1"),
        ('{"subscribe": ["a"], "after": "epoch000-", "ref": "1"}', "1"),
        ('{"subscribe": ["a"], "after": 1.5, "ref": "1"}', None),
        ('{"subscribe": ["a"], "after": ' + "9" * 30 + "}", None),
        ('{"subscribe": "a"}', None),
        ('{"ping": "x"}', None),
        ('{"ping": "\ud800"}', None),
        ("[" * 100_000, None),
        ('{"command": "a", "ref": "1", "data": ' + "[" * 100_000, None),
    ],
)
def test_a_text_that_is_no_frame_is_told_apart_with_its_ref_if_it_can_be_read(text: str, ref: str | None) -> None:
    # GW-31
    with pytest.raises(BadFrame) as error:
        read_frame(text)
    assert error.value.ref == ref


def test_answers_problems_events_and_resets_are_texts_of_json() -> None:
    # GW-30
    topic = Topic(ORDERS, "orders/ada")
    texts = [
        reply_text("1", Reply("id", {"a": 1})),
        reply_text("1", Reply("id")),
        reply_text("1", Reply("id", queued=True)),
        problem_text("1", Problem(403)),
        problem_text(None, Problem(400, "No.")),
        pong_text(1),
        *delivery_texts([HubItem(18, "epoch000", "order-placed", topic, b'{"number":1}'), Reset(3, 9, "epoch000")]),
    ]
    assert [*map(msgspec.json.decode, texts)] == [
        {"ref": "1", "id": "id", "result": {"a": 1}},
        {"ref": "1", "id": "id", "result": None},
        {"ref": "1", "id": "id"},
        {"ref": "1", "problem": {"type": "about:blank", "title": "Forbidden", "status": 403}},
        {"problem": {"type": "about:blank", "title": "Bad request", "status": 400, "detail": "No."}},
        {"pong": 1},
        {
            "event": "order-placed",
            "id": "epoch000-18",
            "position": 18,
            "channel": "orders/ada",
            "data": {"number": 1},
        },
        {"reset": {"first": 3, "last": 9}, "id": "epoch000-9"},
    ]
