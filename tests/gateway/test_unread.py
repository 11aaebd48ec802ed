"""Clients that do not read, over sockets: they are cut off, delay nobody, and resume."""

from __future__ import annotations

import os
import re
import sys
from math import inf

import anyio
import pytest

from modd.gateway import Limits, client_stream
from modd.gateway import limits as limits_module
from modd.gateway import websocket as websocket_module
from modd.serving import connections, server
from modd.stores import MemoryFeed
from tests.gateway.letters import (
    connect,
    gateway_of_letters,
    letters,
    listen_to_letters,
    numbers_in,
    read_letters,
    shrink_send_buffers,
    subscribe_to_letters,
)
from tests.gateway.shop import Shop
from tests.gateway.wire import exchange, listening_at, read_all, request

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

SIZE = 20_000
UNREAD = b"\x11\x38"
"""The code 4408 in a frame."""


@pytest.fixture(autouse=True)
def small_send_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_send_buffers(monkeypatch)


@pytest.mark.parametrize("way", ["events", "websocket"])
async def test_a_client_that_does_not_read_is_cut_off_delays_nobody_and_resumes(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GW-25
    monkeypatch.setattr(client_stream, "GRACE", 30.0)
    begin = listen_to_letters if way == "events" else subscribe_to_letters
    feed, last = MemoryFeed(), 40
    async with listening_at(gateway_of_letters(feed, limits=Limits(buffer=16))) as port:
        async with await connect(port) as unread, await connect(port) as read:
            await begin(unread)
            await begin(read)
            for number in range(1, last + 1):
                await feed.put(*letters([number], SIZE))
                assert await read_letters(read, number) == [number]
            received = await read_all(unread)
        numbers = numbers_in(received)
        assert numbers == [*range(1, len(numbers) + 1)]
        assert len(numbers) < last
        assert (UNREAD in received[-30:]) == (way == "websocket")
        async with await connect(port) as stream:
            if way == "events":
                resumed = await listen_to_letters(stream, received_id(received))
            else:
                resumed = await subscribe_to_letters(stream, len(numbers))
            assert await read_letters(stream, last, resumed) == [*range(len(numbers) + 1, last + 1)]


def received_id(received: bytes) -> str:
    """Return the id of the last event that was received whole."""
    return str(re.findall(rb"id: ([a-z0-9]+-[0-9]+)\n[^\n]+\ndata: [^\n]+\n\n", received)[-1].decode())


async def put_one_by_one(feed: MemoryFeed, last: int) -> None:
    for number in range(1, last + 1):
        await feed.put(*letters([number], SIZE))
        await anyio.lowlevel.checkpoint()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files by /proc")
@pytest.mark.parametrize("way", ["events", "websocket"])
async def test_a_client_that_never_reads_again_has_its_connection_closed(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GW-25 GW-53
    monkeypatch.setattr(client_stream, "GRACE", 0.01)
    monkeypatch.setattr(websocket_module, "CODE_WAIT", 0.01)
    monkeypatch.setattr(connections, "CLOSING", 0.01)
    monkeypatch.setattr(server, "LOST_PEER", 3_600.0)  # it is not the system that ends it
    feed = MemoryFeed()
    async with listening_at(gateway_of_letters(feed, limits=Limits(buffer=16))) as port:
        before = open_files()
        async with await connect(port) as unread:
            await (listen_to_letters if way == "events" else subscribe_to_letters)(unread)
            await put_one_by_one(feed, 40)
            while open_files() > before + 1:  # noqa: ASYNC110  # there is no event for it; the client keeps its end
                await anyio.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files by /proc")
async def test_a_client_that_does_not_take_a_response_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # GW-53
    monkeypatch.setattr(limits_module, "LONGEST_SEND", 0.5)  # a busy machine sends the short responses in this time
    monkeypatch.setattr(limits_module, "SLOWEST", inf)
    monkeypatch.setattr(connections, "CLOSING", 0.01)
    shop, asked = Shop(), request("GET /queries/prices")
    shop.handle = lambda query: "x" * 1_000_000
    gateway = shop.gateway(listen="127.0.0.1:0", limits=Limits(per_address=1))
    async with listening_at(gateway) as port:
        before = open_files()
        async with await connect(port) as unread:
            await unread.send(asked)
            await unread.receive(1)
            shop.handle = lambda query: 7
            while not (await exchange(port, asked)).startswith(b"HTTP/1.1 200"):  # noqa: ASYNC110  # nor for this
                await anyio.sleep(0.01)
            while open_files() > before + 1:  # noqa: ASYNC110  # what is not sent is dropped with the socket
                await anyio.sleep(0.01)
            assert len(await read_all(unread)) < 1_000_000


async def test_a_client_that_takes_a_response_slowly_gets_all_of_it() -> None:
    # GW-53
    shop, asked = Shop(), request("GET /queries/prices")
    shop.handle = lambda query: "x" * 200_000
    async with listening_at(shop.gateway(listen="127.0.0.1:0")) as port, await connect(port) as slow:
        await slow.send(asked)
        received = await slow.receive(1_000)
        await anyio.lowlevel.checkpoint()
        received += await read_all(slow)
        assert received.endswith(b'x"]')
        assert received.count(b"x") > 200_000 - 1
