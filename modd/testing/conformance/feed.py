"""The conformance suite for feeds."""

from __future__ import annotations

import re
from itertools import pairwise

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.testing.conformance.feed_follow import FeedFollowSuite, take
from modd.testing.conformance.feed_removal import FeedRemovalSuite
from modd.testing.conformance.feed_transactions import FeedTransactionSuite


class FeedConformance(FeedFollowSuite, FeedRemovalSuite, FeedTransactionSuite):
    """The promises of `modd.ports.Feed`; following, removal and transactions are in the base classes."""

    async def test_a_feed_without_items_has_an_empty_span(self) -> None:
        """A put of nothing changes nothing."""
        async with self.create() as feed:
            assert await feed.put() == []
            assert await feed.span() == (0, 0)

    async def test_positions_count_up_from_one(self) -> None:
        """Items of one put are in its order, and the span ends at the last one."""
        async with self.create() as feed:
            await feed.put(b"1", b"2")
            await feed.put(b"3")
            items = await take(feed.follow(0), 3)
            assert [item.body for item in items] == [b"1", b"2", b"3"]
            assert items[0].position == 1
            assert all(item.position < later.position for item, later in pairwise(items))
            assert await feed.span() == (0, items[-1].position)

    async def test_an_item_is_followed_as_it_was_put(self) -> None:
        """It has the bytes and all values, and a time that is not before that of an earlier item."""
        async with self.create() as feed:
            body, headers = bytes(range(256)), {"type": "a", "ü": ""}
            ids = await feed.put(b"", Item(body, headers=headers, key="k", id="mine"), b"x" * 100_000)
            first, second, third = await take(feed.follow(0), 3)
            assert (first.id, first.body, first.headers, first.key) == (ids[0], b"", {}, None)
            assert (second.id, second.body, second.headers, second.key) == ("mine", body, headers, "k")
            assert (ids[1], third.id, third.body) == ("mine", ids[2], b"x" * 100_000)
            assert 0 < first.at <= second.at <= third.at

    async def test_headers_of_posted_items_are_copies(self) -> None:
        """A later change of the headers of an item, put or followed, changes no other's."""
        async with self.create() as feed:
            headers = {"a": "1"}
            await feed.put(Item(b"", headers=headers))
            headers["a"] = "2"
            for _ in range(2):
                [item] = await take(feed.follow(0), 1)
                assert item.headers == {"a": "1"}
                item.headers["a"] = "3"

    async def test_each_item_has_its_own_id(self) -> None:
        """Equal bodies are different items."""
        async with self.create() as feed:
            ids = await feed.put(*[b"same"] * 10)
            assert len(set(ids)) == 10
            assert [item.id for item in await take(feed.follow(0), 10)] == ids

    async def test_an_id_that_the_feed_has_is_not_put_again(self) -> None:
        """It is returned, but not added, in one put or later."""
        async with self.create() as feed:
            assert await feed.put(Item(b"1", id="a"), Item(b"2", id="a")) == ["a", "a"]
            assert await feed.put(Item(b"3", id="a"), Item(b"4", id="b")) == ["a", "b"]
            assert await feed.put(Item(b"5", id="b")) == ["b"]
            await feed.put(b"6")
            assert [item.body for item in await take(feed.follow(0), 3)] == [b"1", b"4", b"6"]

    async def test_items_are_posted_all_or_none(self) -> None:
        """With an invalid item, one with a delay, with tags or without bytes, no item is added."""
        async with self.create() as feed:
            text: bytes = "2"  # type: ignore[assignment]
            for wrong in (Item(b"2", delay=1), Item(b"2", tags=("course:1",)), text):
                with pytest.raises(InvalidOption):
                    await feed.put(b"1", wrong, b"3")
            assert await feed.span() == (0, 0)

    async def test_items_of_concurrent_puts_are_all_in_the_feed(self) -> None:
        """None is lost, and the items of each task stay in their order."""

        async def put(name: str) -> None:
            for number in range(10):
                await feed.put(Item(b"%d" % (2 * number), key=name), Item(b"%d" % (2 * number + 1), key=name))

        async with self.create() as feed:
            async with anyio.create_task_group() as tasks:
                for name in "abcde":
                    tasks.start_soon(put, name)
            items = await take(feed.follow(0), 100)
            for name in "abcde":
                assert [item.body for item in items if item.key == name] == [b"%d" % n for n in range(20)]

    async def test_the_epoch_stays_the_same(self) -> None:
        """It has 8 to 16 small letters and digits, and another feed has another one."""
        async with self.create() as feed:
            epoch = await feed.epoch()
            await feed.put(b"1")
            assert re.fullmatch(r"[a-z0-9]{8,16}", epoch)
            assert await feed.epoch() == epoch
