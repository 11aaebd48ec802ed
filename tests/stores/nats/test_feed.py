"""Feeds on a server: the promises of the port, and the removal of items by the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Feed, FeedGap, Item
from modd.stores import StoreBusy
from modd.stores.nats.feed_log import STEP
from modd.testing.conformance import FeedConformance
from modd.testing.conformance.feed_follow import take
from modd.testing.conformance.feed_removal import FeedRemovalSuite
from tests.nats.server import NatsServer
from tests.stores.nats.stores import new_name, open_store
from tests.stores.nats.test_records import OnCluster, OnServer

pytestmark = pytest.mark.anyio

RETENTION, MOST = 8, 700
"""The retention of a feed in ticks, and its most items."""


@pytest.mark.slow
class TestNatsFeed(OnServer, FeedConformance):
    """The suite of the port."""

    retention_ticks = RETENTION
    most = MOST

    @pytest.fixture(autouse=True)
    def _choose_retention(self, request: pytest.FixtureRequest) -> None:
        is_short = hasattr(FeedRemovalSuite, request.function.__name__)
        self.retention = RETENTION * self.tick if is_short else 600.0

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Feed]:
        async with self.open() as store:
            yield store.feed("public", retention=self.retention, most=MOST)

    def transaction(self, feed: Any) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        transaction: AbstractAsyncContextManager[object] = feed.transaction()
        return transaction


class TestNatsFeedOnCluster(OnCluster, TestNatsFeed): ...


async def test_a_feed_is_the_same_for_all_processes(nats_server: NatsServer) -> None:
    """Another store of the name has its epoch and items; it hears of those that are put there."""
    name = new_name()
    async with open_store(nats_server, name) as store, open_store(nats_server, name) as other:
        await store.feed("public").put(b"1")
        follower = other.feed("public").follow(0)
        assert [item.body for item in await take(follower, 1)] == [b"1"]
        assert await store.feed("public").epoch() == await other.feed("public").epoch()
        await store.feed("public").put(b"2")
        assert [item.body for item in await take(follower, 1)] == [b"2"]


async def test_options_unlike_those_of_another_process_are_told_by_the_first_call(nats_server: NatsServer) -> None:
    name = new_name()
    async with open_store(nats_server, name) as store, open_store(nats_server, name) as other:
        await store.feed("public", retention=60).put(b"1")
        with pytest.raises(InvalidOption, match="retention"):
            await other.feed("public", retention=90).put(b"2")


async def test_options_unlike_those_of_this_process_are_an_error(nats_server: NatsServer) -> None:
    async with open_store(nats_server) as store:
        feed = store.feed("public", most=10)
        assert store.feed("public", most=10) is feed and "public" in repr(feed)
        with pytest.raises(InvalidOption, match="most"):
            store.feed("public", most=11)


async def test_the_oldest_items_are_removed_in_steps(nats_server: NatsServer) -> None:
    # FE-5: of the most, a step more is stored
    async with open_store(nats_server) as store:
        feed = store.feed("public", most=100)
        for _ in range(4):
            await feed.put(*[b""] * 100)
        first, last = await feed.span()
        assert last == 400 and 100 <= last - first <= 100 + STEP
        with pytest.raises(FeedGap):
            await take(feed.follow(first - 1), 1)
        assert (await take(feed.follow(first), 1))[0].position == first + 1


async def test_a_put_that_adds_nothing_writes_nothing(nats_server: NatsServer) -> None:
    async with open_store(nats_server) as store:
        await store.feed("public").put(Item(b"1", id="a"))
        before = (await store.stream.info())["state"]["last_seq"]
        await store.feed("public").put(Item(b"2", id="a"))
        assert (await store.stream.info())["state"]["last_seq"] == before


async def test_a_follower_waits_for_items_and_is_told_of_those_that_are_removed(nats_server: NatsServer) -> None:
    """The next items come when they are put; a position whose items the server has removed is a gap."""
    async with open_store(nats_server) as store:
        feed, bodies = store.feed("public"), list[bytes]()
        assert await feed.span() == (0, 0) and await feed.put() == []
        epoch = await feed.epoch()

        async def follow() -> None:
            bodies.extend([item.body for item in await take(feed.follow(), 2)])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            while not bodies:
                assert await feed.put(b"1") != await feed.put(Item(b"1", id="a"))
                await anyio.lowlevel.checkpoint()
                await anyio.sleep(0.01)
        assert bodies == [b"1", b"1"] and await feed.epoch() == epoch
        first, last = await feed.span()
        assert first == 0 and [item.position for item in await take(feed.follow(0), 2)] == [1, 2]
        await store.stream.purge(f"{store.subjects.feed_item('public')}")
        assert await feed.span() == (last, last)
        with pytest.raises(FeedGap):
            await anext(feed.follow(0))


async def test_the_epoch_of_a_feed_is_not_known_while_the_server_is_away(own_nats_server: NatsServer) -> None:
    # NA-11
    async with open_store(own_nats_server, new_name(), timeout=0.1) as store:
        own_nats_server.kill()
        with pytest.raises(StoreBusy):
            await store.feed("public").epoch()
