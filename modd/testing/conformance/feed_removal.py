"""The part of the conformance suite for feeds that lets them remove items."""

from __future__ import annotations

import pytest

from modd.ports.errors import FeedGap
from modd.ports.feed import Feed
from modd.ports.items import Item
from modd.testing.conformance.base import Suite
from modd.testing.conformance.feed_follow import collect, take

MOST_PUTS = 300
"""Puts after which a feed has to have removed items that are due."""


class FeedRemovalSuite(Suite[Feed]):
    """The promises about retention; set `most` and `retention_ticks` to the options of the feed of `create`."""

    most: int | None = None
    """Most items that the feed stores, apart from those that it has not removed yet: 1 000, or a few more.

    None, the default, skips these tests.
    """

    retention_ticks: float | None = None
    """Ticks for which the feed stores an item; None, the default, skips these tests."""

    async def remove_due(self, feed: Feed) -> None:
        """Have the feed remove items that are due; by default nothing, for a feed that does it at a put."""

    async def put_until_removed(self, feed: Feed, position: int) -> None:
        """Put items until the feed has removed the one at a position."""
        for _ in range(MOST_PUTS):
            await self.remove_due(feed)
            if (await feed.span())[0] >= position:
                return
            await feed.put(*[b"later"] * 100)
        raise AssertionError(f"the item at {position} is not removed after {MOST_PUTS} puts")

    async def test_a_follower_that_is_too_slow_gets_a_gap(self) -> None:
        """Items that it read before may come first, without a hole; then, and for positions before, `FeedGap`."""
        async with self.create() as feed:
            await feed.put(*[b"early"] * self._most())
            slow = feed.follow(0)
            received = await take(slow, 1)
            await self.put_until_removed(feed, received[0].position + 1)
            with pytest.raises(FeedGap) as gap:
                await collect(slow, received)
            first, last = await feed.span()
            assert (gap.value.after, gap.value.first, gap.value.last) == (received[-1].position, first, last)
            assert [item.body for item in received] == [b"early"] * len(received)
            with pytest.raises(FeedGap):
                await take(feed.follow(0), 1)

    async def test_the_latest_items_stay(self) -> None:
        """At least as many as ``most`` can be followed, from the begin of the span."""
        async with self.create() as feed:
            await feed.put(*[b"early"] * self._most())
            await self.put_until_removed(feed, 1)
            ids = await feed.put(*[b"latest"] * self._most())
            first, last = await feed.span()
            follower = feed.follow(first)
            items = await take(follower, 1)
            while items[-1].position < last:
                items += await take(follower, 1)
            assert [item.id for item in items][-len(ids) :] == ids

    async def test_items_stay_for_the_retention(self) -> None:
        """Until then nothing is removed, and an id is not put again; afterwards it is an id like any other."""
        async with self.create() as feed:
            retention = self._retention()
            await feed.put(Item(b"1", id="a"), b"2")
            await self.ticks(retention / 2)
            await self.remove_due(feed)
            await feed.put(Item(b"3", id="a"))
            items = await take(feed.follow(0), 2)
            assert [item.body for item in items] == [b"1", b"2"]
            await self.ticks(retention)
            await self.put_until_removed(feed, items[-1].position)
            last = (await feed.span())[1]
            assert await feed.put(Item(b"4", id="a")) == ["a"]
            assert [item.body for item in await take(feed.follow(last), 1)] == [b"4"]

    async def test_positions_go_on_after_all_items_are_removed(self) -> None:
        """The span of a feed whose items are all removed is its last position, twice; it can be followed."""
        async with self.create() as feed:
            retention = self._retention()
            await feed.put(b"1", b"2")
            [_, second] = await take(feed.follow(0), 2)
            await self.ticks(2 * retention)
            await self.put_until_removed(feed, second.position)
            await self.ticks(2 * retention)
            await self.remove_due(feed)
            first, last = await feed.span()
            assert second.position <= first <= last
            await feed.put(b"3")
            [third] = await take(feed.follow(last), 1)
            assert third.position > second.position

    def _most(self) -> int:
        if self.most is None:
            pytest.skip("most is None: the suite does not know how many items the feed stores")
        return self.most

    def _retention(self) -> float:
        if self.retention_ticks is None:
            pytest.skip("retention_ticks is None: the suite does not know when the feed removes items")
        return self.retention_ticks
