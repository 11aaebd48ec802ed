"""The part of the conformance suite for feeds that follows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.errors import FeedGap
from modd.ports.feed import Feed, Posted
from modd.testing.conformance.base import Suite
from modd.testing.conformance.waiting import LONG


async def take(items: AsyncIterator[Posted], number: int) -> list[Posted]:
    """Return the next items of a follower; fail if they do not come."""
    with anyio.fail_after(LONG):
        return [await anext(items) for _ in range(number)]


async def collect(items: AsyncIterator[Posted], received: list[Posted]) -> None:
    """Append the items of a follower to a list until it raises; fail if that takes too long."""
    with anyio.fail_after(LONG):
        while True:
            received.append(await anext(items))


class FeedFollowSuite(Suite[Feed]):
    """The promises about following, resuming and waiting."""

    async def test_a_follower_begins_after_its_position(self) -> None:
        """It gets each later item once, in order, whatever the number of items."""
        async with self.create() as feed:
            for start in range(0, 600, 100):
                await feed.put(*[b"%d" % number for number in range(start, start + 100)])
            items = await take(feed.follow(0), 600)
            assert [item.body for item in items] == [b"%d" % number for number in range(600)]
            for index in (0, 255, 256, 257, 598):
                rest = await take(feed.follow(items[index].position), 1)
                assert rest == [items[index + 1]]

    async def test_a_follower_waits_for_further_items(self) -> None:
        """A put wakes all followers, also those that wait at the end of an empty feed."""
        received: list[list[bytes]] = []

        async def follow(number: int) -> None:
            received.append([item.body for item in await take(feed.follow(0), number)])

        async with self.create() as feed:
            async with anyio.create_task_group() as tasks:
                for number in (2, 2, 4):
                    tasks.start_soon(follow, number)
                await anyio.wait_all_tasks_blocked()
                for body in (b"1", b"2", b"3", b"4"):
                    await feed.put(body)
            assert sorted(received) == [[b"1", b"2"], [b"1", b"2"], [b"1", b"2", b"3", b"4"]]

    async def test_no_item_is_missed_while_items_are_put(self) -> None:
        """Followers that begin and resume while others put get each item once, in order."""
        resumed: list[Posted] = []

        async def put(name: str) -> None:
            for number in range(50):
                await feed.put(b"%s %d" % (name.encode(), number))

        async with self.create() as feed:
            async with anyio.create_task_group() as tasks:
                for name in "abc":
                    tasks.start_soon(put, name)
                after = 0
                while len(resumed) < 150:  # an iterator of its own for each item, as a client that reconnects
                    [item] = await take(feed.follow(after), 1)
                    resumed.append(item)
                    after = item.position
            assert resumed == await take(feed.follow(0), 150)
            assert len({item.id for item in resumed}) == 150

    async def test_without_a_position_a_follower_begins_with_the_next_item(self) -> None:
        """Items from before are not returned; from the first one that is, none is missing."""
        received: list[Posted] = []
        has_received = anyio.Event()

        async def follow() -> None:
            while not received or received[-1].body != b"end":
                received.append(await anext(items))
                has_received.set()

        async with self.create() as feed:
            await feed.put(b"before", b"before")
            items = feed.follow()
            await feed.put(b"before")
            with anyio.fail_after(LONG):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(follow)
                    while not has_received.is_set():
                        await feed.put(b"next")
                        await anyio.sleep(0.001)
                    await feed.put(b"end")
            every = await take(feed.follow(0), 4)
            while every[-1].body != b"end":
                every += await take(feed.follow(every[-1].position), 1)
            assert received == every[-len(received) :]
            assert b"before" not in [item.body for item in received]

    async def test_a_follower_goes_on_after_a_cancellation(self) -> None:
        """The item that was not returned comes next, both while it waits and in between."""
        async with self.create() as feed:
            await feed.put(b"1", b"2")
            items = feed.follow(0)
            first = await take(items, 1)
            with anyio.CancelScope() as scope:
                scope.cancel()
                first += [await anext(items)]  # it may be returned, or be the next one
            rest = await take(items, 2 - len(first))
            with anyio.move_on_after(0.01):
                await anext(items)
            await feed.put(b"3")
            assert [item.body for item in [*first, *rest, *await take(items, 1)]] == [b"1", b"2", b"3"]

    async def test_a_follower_that_is_cancelled_holds_up_nobody(self) -> None:
        """Other followers get what is put afterwards, and puts do not wait for any follower."""
        async with self.create() as feed:
            feed.follow(0)  # never used
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take, feed.follow(), 1)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            idle = feed.follow(0)
            await feed.put(b"1", b"2")
            await take(idle, 1)
            await feed.put(b"3")
            assert [item.body for item in await take(feed.follow(0), 3)] == [b"1", b"2", b"3"]
            assert [item.body for item in await take(idle, 2)] == [b"2", b"3"]

    async def test_a_position_above_the_last_one_is_a_gap(self) -> None:
        """The error has the position and the span; it is raised when an item is awaited."""
        async with self.create() as feed:
            for last in (0, 2):
                items = feed.follow(7)
                for _ in range(2):
                    with pytest.raises(FeedGap) as gap:
                        await take(items, 1)
                    assert (gap.value.after, gap.value.first, gap.value.last) == (7, 0, last)
                await feed.put(b"1", b"2")

    async def test_a_position_that_cannot_be_is_an_error(self) -> None:
        """A negative position and one that is not a whole number are `InvalidOption`, when `follow` is called."""
        async with self.create() as feed:
            wrong: Any
            for wrong in (-1, 1.5, "1", True):
                with pytest.raises(InvalidOption, match=r"^after="):
                    feed.follow(wrong)
