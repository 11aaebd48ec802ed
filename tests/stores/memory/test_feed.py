"""The feed in memory: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from gc import collect
from typing import Any
from weakref import ref

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Feed, FeedGap, Item, Posted
from modd.stores import MemoryFeed, MemoryStore
from modd.stores.memory.feed import LONGEST_WAIT, STEP
from modd.testing.conformance import FeedConformance
from modd.testing.conformance.feed_follow import take
from modd.testing.conformance.storage_parts import outside
from modd.testing.conformance.waiting import LONG

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class TestMemoryFeed(FeedConformance):
    """The suite of the port."""

    retention_ticks = 10
    most = 1_000

    @pytest.fixture(autouse=True)
    def _own(self) -> None:
        self.clock = Clock()

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Feed]:
        yield MemoryFeed(retention=10, most=1_000, clock=self.clock)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the feed."""
        self.clock.now += seconds


class TestMemberFeed(TestMemoryFeed):
    """The suite of the port, for the feed of a store."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Feed]:
        yield MemoryStore(clock=self.clock).feed("public", retention=10, most=1_000)

    def transaction(self, feed: Any) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        transaction: AbstractAsyncContextManager[object] = feed.transaction()
        return transaction


async def bodies(items: AsyncIterator[Posted], number: int) -> list[bytes]:
    return [item.body for item in await take(items, number)]


async def test_a_position_can_be_read_only_with_all_positions_before_it() -> None:
    # FE-1
    store = MemoryStore()
    feed = store.feed("public")
    seen: list[int] = []

    async def post(number: int, immediate: bool) -> None:
        async with store.transaction(immediate=immediate):
            for _ in range(3):
                await feed.put(b"%d" % number)

    async def follow() -> None:
        while len(seen) < 60:
            first, last = await feed.span()
            items = await take(feed.follow(first), last)
            seen[:] = [item.position for item in items]
            assert seen == list(range(1, last + 1))

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            for number in range(20):
                tasks.start_soon(post, number, number % 2 == 0)
    items = await take(feed.follow(0), 60)
    assert [item.body for item in items[::3]] == [item.body for item in items[2::3]]


async def test_a_follower_gets_the_stored_items_and_then_those_that_come() -> None:
    # FE-2
    feed, received = MemoryFeed(), list[bytes]()

    async def follow() -> None:
        received.extend(await bodies(feed.follow(1), 302))

    await feed.put(*[b"%d" % number for number in range(300)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        await feed.put(b"300")
        await feed.put(b"301", b"302")
    assert received == [b"%d" % number for number in range(1, 303)]


async def test_a_loop_over_a_follower_can_be_left_and_entered_again() -> None:
    # FE-2
    feed, received = MemoryFeed(), list[bytes]()
    await feed.put(b"1", b"2", b"3")
    items = feed.follow(0)
    for last in (b"2", b"3"):
        async for item in items:
            received.append(item.body)
            if item.body == last:
                break
    assert received == [b"1", b"2", b"3"]


async def test_a_follower_without_a_position_begins_when_its_first_item_is_awaited() -> None:
    # FE-2
    feed, received = MemoryFeed(), list[bytes]()
    items = feed.follow()
    await feed.put(b"before")

    async def follow() -> None:
        received.extend(await bodies(items, 2))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        await feed.put(b"1", b"2")
    assert received == [b"1", b"2"]


async def test_a_follower_that_is_cancelled_before_its_first_item_has_its_position() -> None:
    # FE-2
    feed = MemoryFeed()
    items = feed.follow()
    with anyio.move_on_after(1):
        await anext(items)
    await feed.put(b"1")
    assert await bodies(items, 1) == [b"1"]


async def test_a_hole_behind_the_position_is_an_error_before_any_item() -> None:
    # FE-3
    feed = MemoryFeed(most=2)
    await feed.put(b"1", b"2", b"3", b"4")
    assert await feed.span() == (2, 4)
    for after, reason in (
        (0, "items after it are removed, up to position 2"),
        (1, "items after it are removed, up to position 2"),
        (5, "it ends at 4"),
    ):
        with pytest.raises(FeedGap, match=f"after position {after}: {reason}; load the state anew") as gap:
            await take(feed.follow(after), 1)
        assert (gap.value.after, gap.value.first, gap.value.last) == (after, 2, 4)
    assert await bodies(feed.follow(2), 2) == [b"3", b"4"]


async def test_an_id_is_put_once_and_wrong_items_say_where_they_belong() -> None:
    # FE-4
    feed = MemoryFeed()
    headers = {"a": "1"}
    assert await feed.put(Item(b"1", headers, id="a")) == await feed.put(Item(b"2", id="a")) == ["a"]
    headers["a"] = "2"
    await feed.put(b"3")
    first, second = await take(feed.follow(0), 2)
    assert (first.body, first.headers, second.body) == (b"1", {"a": "1"}, b"3")
    first.headers.clear()
    assert (await take(feed.follow(0), 1))[0].headers == {"a": "1"}
    with pytest.raises(InvalidOption, match=r"^delay=5.*: a feed shows each item at once; .* into a queue"):
        await feed.put(Item(b"secret", delay=5))
    with pytest.raises(InvalidOption, match=r"^after=-1: give a whole number, 0 or more; 0 stands before the first"):
        feed.follow(-1)


async def test_items_are_removed_after_the_retention_and_beyond_the_most() -> None:
    # FE-5
    clock = Clock()
    feed = MemoryFeed(retention=10, most=5, clock=clock)
    await feed.put(Item(b"1", id="a"), b"2", b"3")
    clock.now += 9
    slow = feed.follow(0)
    assert await bodies(slow, 1) == [b"1"]
    await feed.put(Item(b"-", id="a"), b"4", b"5", b"6")  # the first one is beyond the most
    assert await feed.span() == (1, 6)
    assert await bodies(slow, 1) == [b"2"]
    clock.now += 1
    assert await feed.span() == (3, 6)
    await feed.put(Item(b"7", id="a"))
    with pytest.raises(FeedGap):
        await take(slow, 1)
    assert await bodies(feed.follow(3), 4) == [b"4", b"5", b"6", b"7"]
    clock.now += 10
    assert await feed.span() == (7, 7)
    await feed.put(b"8")
    assert await bodies(feed.follow(7), 1) == [b"8"]


async def test_expired_items_are_removed_in_small_steps() -> None:
    # FE-5
    clock = Clock()
    feed = MemoryFeed(retention=10, clock=clock)
    await feed.put(*[Item(b"", id=str(number)) for number in range(1_000)])
    clock.now += 20
    assert await feed.span() == (1_000, 1_000)
    for number in (1_000 - STEP, 1_000 - 2 * STEP, 1_000 - 3 * STEP, 4, 5):
        await feed.put(b"")  # which removes one item more than a step
        assert len(feed._items) == len(feed._positions) == number


async def test_a_clock_that_is_set_back_changes_no_order() -> None:
    # FE-5
    clock = Clock()
    feed = MemoryFeed(retention=10, clock=clock)
    await feed.put(b"1")
    clock.now -= 100
    await feed.put(b"2")
    first, second = await take(feed.follow(0), 2)
    assert first.at == second.at == 1_000
    clock.now += 110
    assert await feed.span() == (2, 2)
    await feed.put(b"3")
    assert (await take(feed.follow(2), 1))[0].at == 1_010


@pytest.mark.parametrize("immediate", [False, True])
async def test_a_put_joins_the_transaction(immediate: bool) -> None:
    # FE-6
    clock = Clock()
    store = MemoryStore(clock=clock)
    feed, received = store.feed("public", retention=10, most=3), list[bytes]()
    await feed.put(Item(b"1", id="a"), b"2", b"3")

    async def follow() -> None:
        received.extend(await bodies(feed.follow(2), 3))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        with suppress(ZeroDivisionError):
            async with store.transaction(immediate=immediate):
                await feed.put(*[b"dropped"] * 4, Item(b"dropped", id="a"))
                raise ZeroDivisionError
        async with outside() as do, store.transaction(immediate=immediate):
            await feed.put(b"4", Item(b"-", id="a"), b"5")
            assert await do(feed.span) == (0, 3)
            assert await do(bodies, feed.follow(0), 3) == [b"1", b"2", b"3"]
    assert received == [b"3", b"4", b"5"]
    assert await feed.span() == (2, 5)
    assert sorted(feed._positions.values()) == [3, 4, 5] == list(feed._items)


async def test_an_id_that_is_removed_and_put_again_in_a_transaction_is_undone() -> None:
    # FE-6
    store = MemoryStore()
    feed = store.feed("public", most=2)
    await feed.put(Item(b"1", id="a"), Item(b"2", id="b"))
    async with outside() as do:
        with suppress(ZeroDivisionError):
            async with store.transaction(immediate=True):
                await feed.put(b"3")
                await feed.put(Item(b"4", id="a"))
                assert await feed.span() == (2, 4)
                assert await do(bodies, feed.follow(0), 2) == [b"1", b"2"]
                raise ZeroDivisionError
    assert feed._positions == {"a": 1, "b": 2}
    assert await feed.put(Item(b"5", id="a")) == ["a"]
    assert await feed.span() == (0, 2)


async def test_a_follower_that_is_cancelled_or_dropped_leaves_nothing() -> None:
    # FE-7
    feed = MemoryFeed()
    async with anyio.create_task_group() as tasks:
        for after in (None, 0):
            tasks.start_soon(bodies, feed.follow(after), 1)
        await anyio.wait_all_tasks_blocked()
        assert len(feed._notifier._events) == 2
        tasks.cancel_scope.cancel()
    assert not feed._notifier._events
    dropped = ref(feed.follow(0))
    collect()
    assert dropped() is None
    await feed.put(b"1")
    assert await bodies(feed.follow(0), 1) == [b"1"]


async def test_a_follower_waits_longer_than_its_longest_wait() -> None:
    feed, received = MemoryFeed(), list[bytes]()

    async def follow() -> None:
        received.extend(await bodies(items, 1))

    items = feed.follow()
    with anyio.move_on_after(3 * LONGEST_WAIT):
        await anext(items)
    await feed.put(b"1")
    await follow()
    assert received == [b"1"]


async def test_a_cancelled_call_does_nothing_to_a_feed() -> None:
    feed = MemoryFeed()
    for call in (feed.put(b"1"), feed.span(), feed.epoch(), anext(feed.follow(0))):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call
        assert scope.cancelled_caught
    assert await feed.span() == (0, 0)


def test_a_feed_serves_one_loop_after_another() -> None:
    feed = MemoryFeed()
    for backend in ("asyncio", "trio"):
        anyio.run(feed.put, b"1", backend=backend)
    assert len(anyio.run(take, feed.follow(0), 2, backend="trio")) == 2


async def test_feeds_of_a_store_are_known_by_name() -> None:
    store = MemoryStore()
    feed = store.feed("public", 60, 10)
    assert store.feed("public", retention=60.0, most=10) is feed
    assert store.feed("other") is not feed
    assert await store.feed("other").epoch() != await feed.epoch()
    assert repr(feed) == "<MemberFeed public in <MemoryStore>>"
    assert feed.store is store
    for options, message in (
        ({"most": 10}, r"^retention=86400\.0: feed\('public'\) was called with 60\.0 before; give the same each time"),
        ({"retention": 60, "most": 11}, r"^most=11: feed\('public'\) was called with 10 before"),
    ):
        with pytest.raises(InvalidOption, match=message):
            store.feed("public", **options)


@pytest.mark.parametrize("options", [{"retention": 0}, {"retention": None}, {"most": 0}, {"most": 1.5}, {"clock": 1}])
def test_an_option_of_a_feed_that_cannot_be_is_an_error(options: Any) -> None:
    with pytest.raises(InvalidOption, match=f"^{next(iter(options))}="):
        MemoryFeed(**options)


@pytest.mark.parametrize("options", [{"name": 1}, {"name": "a", "retention": -1}, {"name": "a", "most": 0}])
def test_an_option_of_a_feed_of_a_store_that_cannot_be_is_an_error(options: Any) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidOption, match=f"^{[*options][-1]}="):
        store.feed(**options)
    assert store.feed("a").options == (86_400.0, 100_000)
