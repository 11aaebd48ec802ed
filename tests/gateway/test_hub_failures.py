"""A hub whose feed fails, is too fast, or is made anew."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus
from modd.cqrs import QueryBus
from modd.gateway import EVERYBODY, Gateway, Limits, answer
from modd.gateway.client_stream import ClientStream
from modd.gateway.hub import Hub
from modd.gateway.rendering import HubItem
from modd.gateway.subscription import Reset
from modd.ports import FeedGap, Posted
from modd.stores import MemoryFeed, SqliteStore, StoreBusy, StoreClosed
from tests.gateway.events_shop import CODEC, ORDERS, CountOrders
from tests.gateway.test_hub import ADAS, following, place, positions, take
from tests.virtual import anyio_backend

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio


class FaultyFeed:
    """A feed whose followers raise errors, each once, in place of an item."""

    def __init__(self, *errors: Exception) -> None:
        self.feed, self.errors, self.name = MemoryFeed(), [*errors], "first000"
        self.put, self.span = self.feed.put, self.feed.span
        self.hub: Hub | None = None
        self.problems: list[str | None] = []
        """The problems of the hub when it began to follow the feed again."""

    async def epoch(self) -> str:
        await checkpoint()
        if self.hub is not None:
            self.problems.append(self.hub.problem())
        return self.name

    def follow(self, after: int | None = None) -> AsyncIterator[Posted]:
        return FaultyFollower(self.feed.follow(after), self.errors)


class FaultyFollower:
    """A follower that raises errors, each once, in place of an item."""

    def __init__(self, follower: AsyncIterator[Posted], errors: list[Exception]) -> None:
        self.follower, self.errors = follower, errors

    def __aiter__(self) -> AsyncIterator[Posted]:
        return self

    async def __anext__(self) -> Posted:
        posted = await anext(self.follower)
        if self.errors:
            raise self.errors.pop(0)
        return posted


async def test_a_feed_that_fails_is_followed_again_after_a_pause_and_nothing_is_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed = FaultyFeed(OSError("down"), OSError("down"))
    async with following(feed) as hub:
        feed.hub = hub
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([ADAS])
            began = anyio.current_time()
            await place(feed, 1, 2)
            assert positions(await take(subscription, 2)) == [1, 2]
            assert anyio.current_time() - began == pytest.approx(0.3)
            assert feed.problems == ["the feed cannot be followed: OSError"] * 2
            assert hub.problem() is None
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "the feed of the gateway cannot be followed: OSError: down; trying again"
    ] * 2


class AbsentFeed(FaultyFeed):
    """A feed that is not there at first: it raises errors, each once, when it is asked for its epoch."""

    async def epoch(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return await super().epoch()


async def test_a_feed_that_is_not_there_is_logged_once_for_each_reason_and_then_that_it_is_followed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-87: the text is enough, which names the cure
    caplog.set_level(logging.INFO, "modd.gateway")
    feed = AbsentFeed(StoreBusy("shop"), StoreBusy("shop"), OSError("down"))
    async with following(feed) as hub:
        assert hub.problem() is None
    busy, down, end = [record for record in caplog.records if record.name == "modd.gateway"]
    assert str(StoreBusy("shop")) in busy.getMessage() and not busy.exc_info
    assert "OSError: down" in down.getMessage() and down.exc_info
    assert end.getMessage() == "the feed of the gateway is followed again"


async def test_a_feed_whose_store_is_closed_ends_the_gateway(tmp_path: Path) -> None:
    # AP-87
    bus = Bus([QueryBus({CountOrders: lambda query: 0})], name="shop")
    with anyio.fail_after(30):
        async with SqliteStore(tmp_path / "shop.db") as store:
            feed = store.feed("public")
        gateway = Gateway(bus, answer(CountOrders, allow=EVERYBODY), feed=feed)
        with pytest.raises(StoreClosed, match="the store is not open"):
            await gateway.run()
        assert not bus.is_open


async def test_a_hub_that_is_slower_than_its_feed_resets_its_clients_and_goes_on() -> None:
    # GW-23
    feed = FaultyFeed(FeedGap(0, 1, 2))
    async with following(feed) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([ADAS])
            await place(feed, 1, 2, 3)
            assert [type(each) for each in await take(subscription, 2)] == [Reset, HubItem]


async def test_a_feed_that_is_made_anew_resets_the_clients() -> None:
    # GW-23
    feed = FaultyFeed(OSError("made anew"))
    async with following(feed) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([ADAS])
            feed.name = "second00"
            await place(feed, 1)
            assert await take(subscription, 1) == [Reset(0, 1, "second00")]
            await place(feed, 2)
            assert positions(await take(subscription, 1)) == [2]


async def test_a_client_that_is_ahead_of_the_hub_gets_what_follows_its_position() -> None:
    feed = FaultyFeed(OSError("down"))
    hub = Hub(feed, [ORDERS], CODEC, Limits())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        await hub.wait_ready()
        with hub.subscribe(ClientStream()) as subscription:
            await place(feed, 1, 2)
            subscription.resume([ADAS], 2)
            await place(feed, 3)
            assert positions(await take(subscription, 1)) == [3]
            assert subscription.position is None
            with anyio.move_on_after(1):
                await subscription.receive()
            assert subscription.position == 3
        tasks.cancel_scope.cancel()
