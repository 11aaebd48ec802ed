"""Attacks on the events of a gateway that listens, by Server-Sent Events and by frames of a WebSocket."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import anyio
import pytest

from modd.serving import websockets
from modd.stores import MemoryFeed
from tests.gateway.events_shop import OrderPlaced, item_of
from tests.gateway.test_listening_events import gateway_of
from tests.gateway.wire import (
    exchange,
    frame,
    listening_at,
    open_websocket,
    read_all,
    read_until,
    request,
    status_of,
    upgrade,
)

pytestmark = pytest.mark.anyio

TOKEN = "Authorization: Bearer a"

OTHERS = [
    *("orders/bob", "orders/BOB", "ORDERS/ada", "orders/ada ", " orders/ada", "orders//ada", "orders/ada/", "orders"),
    *("orders/ada/../bob", "orders/%61da", "orders/ada\x00", "orders/ada\nbob", "orders/*", "*", "orders/\u0430da"),
]
"""Channels that Ada may not hear; among them writings of her own."""


@asynccontextmanager
async def listening_with_bobs_order() -> AsyncIterator[tuple[int, MemoryFeed]]:
    """Run a gateway whose feed has an order of Bob's, with its port and the feed for the block."""
    feed = MemoryFeed()
    await feed.put(item_of(OrderPlaced(1, "bob")))
    async with listening_at(gateway_of(feed)) as port:
        yield port, feed


def events(channels: list[str], *headers: str, query: str = "") -> bytes:
    """Return Ada's request for the events of channels."""
    texts = "&".join("channel=" + quote(each, safe="") for each in channels)
    return request(f"GET /events?{texts}{query}", *headers)


@pytest.mark.parametrize("resumes", [False, True])
async def test_no_writing_of_a_channel_is_that_of_another_actor(resumes: bool) -> None:
    # GW-20 GW-22
    async with listening_with_bobs_order() as (port, feed):
        headers = [TOKEN, *([f"Last-Event-ID: {await feed.epoch()}-0"] if resumes else [])]
        for channel in OTHERS:
            for channels in ([channel], ["orders/ada", channel]):
                answered = await exchange(port, events(channels, *headers))
                assert status_of(answered) == 403, channel
                assert b"order-placed" not in answered
        answered = await exchange(port, events(["orders/bob"], *headers[1:]))
        assert status_of(answered) == 401


def text(content: Any) -> bytes:
    return frame(json.dumps(content).encode())


async def test_no_frame_subscribes_to_the_channel_of_another_actor() -> None:
    # GW-30
    async with listening_with_bobs_order() as (port, feed), open_websocket(port) as stream:
        for channel in OTHERS:
            for after in ({}, {"after": 0}):
                await stream.send(text({"subscribe": ["orders/ada", channel], **after}))
                assert b'"status":403' in await read_until(stream, b"}}"), channel
        await feed.put(item_of(OrderPlaced(2, "bob")), item_of(OrderPlaced(3)))
        await stream.send(text({"ping": 9}))
        assert b"event" not in await read_until(stream, b'{"pong":9}')


NO_POSITIONS = [
    *("-1", "--1", "NaN", "-Infinity", "1e9", "1.0", "0x10", "+1", " 1", "1 1", "", "1;2", "1_000", "1,2"),
    *("9" * 19, "9" * 5_000, "\u0661", "1\x00"),
]


async def test_an_id_that_no_event_has_is_refused() -> None:
    # GW-23
    async with listening_with_bobs_order() as (port, feed):
        epoch = await feed.epoch()
        ids = [f"{epoch}-{position}" for position in NO_POSITIONS]
        for id in [*ids, *NO_POSITIONS, f"{'e' * 5_000}-1", f"{epoch.upper()}-1", f"-{epoch}-1"]:
            answered = await exchange(port, events(["orders/ada"], TOKEN, query=f"&after={quote(id)}"))
            assert status_of(answered) == 400, id
            header = f"Last-Event-ID: {id}".encode().decode("latin-1")
            assert status_of(await exchange(port, events(["orders/ada"], TOKEN, header))) == 400, id


async def test_the_highest_position_that_can_be_written_is_one_reset() -> None:
    # GW-23
    async with listening_with_bobs_order() as (port, feed), await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(events(["orders/ada"], TOKEN, f"Last-Event-ID: {await feed.epoch()}-{'9' * 18}"))
        assert b'event: reset\ndata: {"first":0,"last":1}' in await read_until(stream, b'"last":1}')


async def test_a_position_that_is_none_is_a_bad_frame() -> None:
    # GW-30 GW-31
    async with listening_with_bobs_order() as (port, _), open_websocket(port) as stream:
        for after in ("-1", "NaN", "1e400", "1.5", "9" * 19, "9" * 5_000, '"1"', "true", "[1]", "{}"):
            await stream.send(frame(f'{{"subscribe": ["orders/ada"], "after": {after}}}'.encode()))
            assert b'"status":400' in await read_until(stream, b"}}"), after
            await stream.send(text({"ping": 1}))
            assert await read_until(stream, b'{"pong":1}')


COMMAND = b'{"command": "place-order", "ref": "1", "data": {"number": 5}}'


@pytest.mark.parametrize(
    "sent",
    [
        frame(COMMAND, masked=False),
        frame(COMMAND, 3),
        frame(COMMAND, 0x41),
        frame(COMMAND, 0),
        frame(b"x" * 126, 9),
        frame(b"x", 9, ends=False),
        frame(b'{"ping": 1', ends=False) + frame(COMMAND),
        frame(b"\xff\xfe"),
        frame(b"\x03", 8),
        frame(b"\x03\xed", 8),
        frame(b"{", length=2**63),
    ],
)
async def test_a_frame_that_breaks_the_protocol_ends_its_connection_alone(sent: bytes) -> None:
    # GW-52: without masking, of no opcode, with reserved bits, in pieces that do not fit, of no text, of no length
    async with listening_with_bobs_order() as (port, _), open_websocket(port) as other:
        async with open_websocket(port) as stream:
            await stream.send(sent)
            assert b"result" not in await read_all(stream)
        await other.send(text({"ping": 1}))
        assert await read_until(other, b'{"pong":1}')


TOO_LARGE = b"\x88\x02\x03\xf1"
"""The end of a connection with 1009."""


@pytest.mark.parametrize(
    ("first", "rest"),
    [(frame(b"x", ends=False), frame(b"x" * 65_000, 0, ends=False)), (frame(b"x", length=2**62), b"x" * 65_000)],
    ids=["frames", "frame"],
)
async def test_a_message_that_never_ends_is_refused_and_not_stored(first: bytes, rest: bytes) -> None:
    # GW-51: one of many frames, and one of a frame that is longer than any memory
    async with listening_with_bobs_order() as (port, _), open_websocket(port) as stream:
        tracemalloc.start()
        try:
            await stream.send(first)
            for _ in range(100):
                await stream.send(rest)
            assert await read_until(stream, TOO_LARGE) == TOO_LARGE
            await stream.send(rest)
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()


async def test_a_client_that_goes_on_after_a_message_that_is_too_large_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GW-51
    monkeypatch.setattr(websockets, "LAST_WORDS", 0.01)
    async with listening_with_bobs_order() as (port, _), open_websocket(port) as stream:
        await stream.send(frame(b"x" * 70_000))
        assert await read_all(stream) == TOO_LARGE


async def test_a_compressed_message_is_not_unpacked() -> None:
    # GW-51: a few bytes of it could be a thousand times as many
    async with listening_with_bobs_order() as (port, _), await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(upgrade("Sec-WebSocket-Extensions: permessage-deflate"))
        assert b"extensions" not in (await read_until(stream, b"\r\n\r\n")).lower()
