"""Clients of a gateway that come again and again at random moments, while items are put: none is missing, none twice.

They come over sockets, by Server-Sent Events and by WebSockets, and leave in the middle of an event, too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from modd.gateway.hub import Hub
from modd.ports import Feed
from modd.stores import MemoryFeed, SqliteStore
from tests.gateway.letters import gateway_of_letters, letters, listen_to_letters, subscribe_to_letters
from tests.gateway.wire import listening_at
from tests.proofs.sizes import size_of

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

SEAMS = size_of("SEAMS", 24)
"""Times that clients come again, all together."""
BATCH, PAUSE, BATCHES = 10, 0.01, 10
"""Items that are put at a time, seconds between the puts (a thousand items a second), and puts until a client is asked
for: only one that has caught up crosses the seam between what it has missed and what comes.
"""
EVENT = re.compile(rb'id: [a-z0-9]+-([0-9]+)\nevent: letter\ndata: \{"number":([0-9]+),"text":""\}\n\n')
FRAME = re.compile(rb'"position":([0-9]+),"channel":"letters","data":\{"number":([0-9]+),"text":""\}\}')


class Putter:
    """Puts a thousand items a second into a feed, and waits for a client that has caught up from time to time."""

    def __init__(self, feed: Feed) -> None:
        self.last, self._feed = 0, feed
        self._is_stopped, self._caught_up = False, anyio.Event()

    async def run(self) -> None:
        while not self._is_stopped:
            self._caught_up = anyio.Event()
            for _ in range(BATCHES):
                first, self.last = self.last + 1, self.last + BATCH
                await self._feed.put(*letters(range(first, self.last + 1)))
                await anyio.sleep(PAUSE)
            await self._caught_up.wait()

    def received(self, number: int) -> None:
        """Go on if this is the last item."""
        if number == self.last:
            self._caught_up.set()

    def stop(self) -> None:
        self._is_stopped = True
        self._caught_up.set()


class Returning:
    """A client that comes again, after the last item that it has received whole.

    way: "events" or "websocket". epoch: that of the feed. seed: for the moments at which it leaves. received: is called
    with the number of each item.
    """

    def __init__(self, way: str, epoch: str, seed: int, received: Callable[[int], object]) -> None:
        self.way, self.numbers, self.resets = way, list[int](), 0
        self._epoch, self._random, self._position, self._received = epoch, Random(seed), 0, received

    async def come_again(self, port: int, times: int) -> None:
        """Come again, and leave each time after some items, or after some bytes."""
        for _ in range(times):
            items, parts = self._random.choice(
                [(self._random.randint(1, 150), None), (150, self._random.randint(0, 3))]
            )
            await self._listen(port, items, parts)

    async def catch_up(self, port: int, last: int) -> None:
        """Listen until the last item has come."""
        while last not in self.numbers:
            await self._listen(port, last - len(self.numbers), None)

    async def _listen(self, port: int, items: int, parts: int | None) -> None:
        """Open a connection, and take so many items from it, or so many parts if that is less."""
        wanted = len(self.numbers) + items
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            if self.way == "events":
                received = await listen_to_letters(stream, f"{self._epoch}-{self._position}")
            else:
                received = await subscribe_to_letters(stream, self._position)
            received = self._take(received)
            with suppress(anyio.EndOfStream):  # the gateway cuts off a client that is too slow
                while len(self.numbers) < wanted and parts != 0:
                    parts = None if parts is None else parts - 1
                    received = self._take(received + await stream.receive())

    def _take(self, received: bytes) -> bytes:
        """Take the items that were received whole, and return the rest."""
        end = 0
        self.resets += received.count(b'"reset"' if self.way == "websocket" else b"event: reset")
        for found in (FRAME if self.way == "websocket" else EVENT).finditer(received):
            self._position, end = int(found[1]), found.end()
            self.numbers.append(int(found[2]))
            self._received(self.numbers[-1])
        return received[end:]


@asynccontextmanager
async def feed_of(store: str, folder: Path) -> AsyncIterator[Feed]:
    """Return a feed for the block: in memory, or in a file."""
    if store == "memory":
        yield MemoryFeed()
    else:
        async with SqliteStore(folder / "feed.db") as opened:
            yield opened.feed("public")


@asynccontextmanager
async def coming_again(feed: Feed, seams: int) -> AsyncIterator[tuple[list[Returning], int, int]]:
    """Have clients come again while items are put; with these clients, the port and the last number for the block."""
    putter, epoch = Putter(feed), await feed.epoch()
    clients = [Returning(way, epoch, seed, putter.received) for seed, way in enumerate(["events", "websocket"] * 2)]
    async with listening_at(gateway_of_letters(feed), limit=3_600) as port:
        async with anyio.create_task_group() as putting:
            putting.start_soon(putter.run)
            async with anyio.create_task_group() as coming:
                for client in clients:
                    coming.start_soon(client.come_again, port, seams // len(clients))
            putter.stop()
        yield clients, port, putter.last


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_clients_that_come_again_at_random_moments_get_each_item_once_and_in_order(
    store: str, tmp_path: Path
) -> None:
    # GW-22
    async with feed_of(store, tmp_path) as feed, coming_again(feed, SEAMS) as (clients, port, last):
        for client in clients:
            await client.catch_up(port, last)
    print(f"{SEAMS} times clients came again to a feed in {store}, while {last} items were put")
    for client in clients:
        assert client.numbers == [*range(1, last + 1)]
        assert client.resets == 0


async def test_the_proof_finds_an_item_that_is_lost_at_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    join: Any = Hub.join
    monkeypatch.setattr(Hub, "join", lambda hub, backlog, topics, after: join(hub, backlog, topics, after + 1))
    async with coming_again(MemoryFeed(), 40) as (clients, _, _):
        assert any(client.numbers != [*range(1, len(client.numbers) + 1)] for client in clients)
