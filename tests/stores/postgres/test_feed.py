"""The feed in PostgreSQL, among processes; the suite of the port is in test_suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Feed, FeedGap, Item, Posted
from modd.stores.errors import StoreClosed
from modd.stores.postgres.feed_operations import DELETE_EACH
from modd.stores.postgres.store import PostgresStore
from modd.testing.conformance.feed_follow import take
from modd.testing.conformance.storage_parts import outside
from tests.postgres.server import PostgresServer
from tests.stores.postgres.clock import TestClock
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio


async def bodies(items: AsyncIterator[Posted], number: int) -> list[bytes]:
    return [item.body for item in await take(items, number)]


async def count(store: PostgresStore) -> int:
    """Return the number of items in the table."""
    async with store.transaction() as tx:
        [[number]] = await tx.fetch(f"SELECT count(*) FROM {store.schema.quoted}.feed_items")
    return int(number)


async def woken(feed: Feed, after: int, then: Callable[[], Awaitable[object]]) -> list[bytes]:
    """Follow, do something when the follower waits, and return the body that it gets then."""
    received: list[bytes] = []

    async def follow() -> None:
        received.extend(await bodies(feed.follow(after), 1))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            await then()
    return received


async def test_positions_have_no_gaps_whoever_puts(postgres_server: PostgresServer) -> None:
    # FE-1, FE-6
    async def post(number: int) -> None:
        store = stores[number % 2]
        feed = store.feed("public")
        if number % 3 == 0:
            await feed.put(b"%d" % number, b"%d" % number)
            return
        try:
            async with store.transaction(immediate=number % 3 == 1, max_seconds=600):
                await feed.put(b"%d" % number)
                await feed.put(b"%d" % number)
                if number > 8:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    schema = new_schema()
    async with new_store(postgres_server, schema) as first, new_store(postgres_server, schema) as second:
        stores = first, second
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(post, number)
        items = await take(second.feed("public").follow(0), 20)
        assert [item.position for item in items] == list(range(1, 21))
        assert [item.body for item in items[::2]] == [item.body for item in items[1::2]]


async def test_a_put_of_another_process_wakes_followers(postgres_server: PostgresServer) -> None:
    # FE-2, PG-5
    schema = new_schema()
    async with new_store(postgres_server, schema, poll=600.0) as store, new_store(postgres_server, schema) as other:
        assert await woken(store.feed("a"), 0, partial(other.feed("a").put, b"1")) == [b"1"]


async def test_a_follower_looks_by_itself_if_it_is_not_told(postgres_server: PostgresServer) -> None:
    # FE-2, PG-5
    schema, options = new_schema(), {"listen": False, "poll": 0.01}
    async with new_store(postgres_server, schema, **options) as store, new_store(postgres_server, schema) as other:
        assert await woken(store.feed("a"), 0, partial(other.feed("a").put, b"1")) == [b"1"]


async def test_a_follower_in_a_transaction_sees_later_commits(postgres_server: PostgresServer) -> None:
    # FE-2, FE-6
    async with new_store(postgres_server) as store, outside() as do:
        feed = store.feed("public")
        async with store.transaction():
            assert await feed.span() == (0, 0)
            items = feed.follow(0)
            epoch = await feed.epoch()
            assert epoch == await do(feed.epoch)
        async with store.transaction(immediate=True):
            await feed.put(b"1")
            assert await bodies(items, 1) == [b"1"]
            assert await feed.span() == (0, 1)
        async with store.transaction():
            await do(feed.put, b"2")
            assert await bodies(items, 1) == [b"2"]


async def test_a_position_outside_of_the_span_is_a_gap(postgres_server: PostgresServer) -> None:
    # FE-3
    async with new_store(postgres_server) as store:
        feed = store.feed("public", most=2)
        await feed.put(b"1", b"2", b"3", b"4")
        for after in (0, 1, 5, 2**70):
            with pytest.raises(FeedGap) as gap:
                await take(feed.follow(after), 1)
            assert (gap.value.after, gap.value.first, gap.value.last) == (after, 2, 4)
        assert await bodies(feed.follow(2), 2) == [b"3", b"4"]
        assert await store.feed("other", most=2**70).put(b"1") != []


async def test_an_id_is_put_again_once_its_item_is_removed_though_not_deleted(clock: TestClock) -> None:
    # FE-4, FE-5
    async with clock.new_store() as store:
        feed = store.feed("public", retention=10, most=3)
        assert await feed.put(Item(b"1", id="a"), Item(b"2", id="b"), b"3", b"4") != []
        assert await feed.put(Item(b"5", id="a"), Item(b"-", id="b"), Item(b"-", id="a")) == ["a", "b", "a"]
        assert await bodies(feed.follow(2), 3) == [b"3", b"4", b"5"]
        clock.now += 10
        await feed.put(Item(b"6", id="a"))
        assert await feed.span() == (5, 6)
        assert await count(store) == 6


async def test_a_slow_follower_gets_a_gap_in_place_of_a_removed_item(clock: TestClock) -> None:
    # FE-3, FE-5
    async with clock.new_store() as store:
        feed = store.feed("public", retention=10, most=5)
        await feed.put(b"1", b"2", b"3")
        clock.now += 9
        slow = feed.follow(0)
        assert await bodies(slow, 1) == [b"1"]
        await feed.put(b"4", b"5", b"6")
        assert await bodies(slow, 1) == [b"2"]
        clock.now += 1
        await feed.put(b"7")
        with pytest.raises(FeedGap):
            await take(slow, 1)
        assert await bodies(feed.follow(3), 4) == [b"4", b"5", b"6", b"7"]


async def test_puts_delete_removed_items_in_small_steps(postgres_server: PostgresServer) -> None:
    # FE-5, PG-16
    async with new_store(postgres_server) as store:
        feed = store.feed("public", most=10)
        counts: list[int] = []
        for _ in range(12):
            await feed.put(*[b""] * (DELETE_EACH // 4))
            counts.append(await count(store))
        assert max(counts) < 10 + 2 * DELETE_EACH
        assert counts[-1] == 10
        assert await feed.span() == (3 * DELETE_EACH - 10, 3 * DELETE_EACH)


async def test_a_clock_that_is_set_back_changes_no_order(clock: TestClock) -> None:
    # FE-5
    async with clock.new_store() as store:
        feed, now = store.feed("public", retention=10), clock.now
        await feed.put(b"1")
        clock.now -= 100
        await feed.put(b"2")
        assert [item.at for item in await take(feed.follow(0), 2)] == [now, now]
        clock.now += 110
        assert await feed.span() == (2, 2)


async def test_a_store_that_is_closed_ends_its_followers(postgres_server: PostgresServer) -> None:
    # FE-7
    async def follow() -> None:
        with pytest.raises(StoreClosed):
            await take(items, 1)
        ended.append(True)

    ended: list[bool] = []
    async with anyio.create_task_group() as tasks, new_store(postgres_server, poll=0.01) as store:
        items = store.feed("public").follow(0)
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
    assert ended == [True]


async def test_feeds_of_a_store_are_known_by_name_and_keep_their_epoch(postgres_server: PostgresServer) -> None:
    schema = new_schema()
    async with new_store(postgres_server, schema) as store, new_store(postgres_server, schema) as other:
        feed = store.feed("public", 60, 10)
        assert store.feed("public", retention=60.0, most=10) is feed
        assert repr(feed) == f"<PostgresFeed public in {store.name}>"
        epochs = [await store.feed(name).epoch() for name in "ab"]
        assert len({await feed.epoch(), *epochs}) == 3
        assert [await other.feed(name).epoch() for name in "ab"] == epochs
        with pytest.raises(InvalidOption, match=r"^most=11: feed\('public'\) was called with 10 before"):
            store.feed("public", retention=60, most=11)


@pytest.mark.parametrize("options", [{"name": 1}, {"name": "a", "retention": -1}, {"name": "a", "most": 0}])
def test_an_option_of_a_feed_that_cannot_be_is_an_error(postgres_server: PostgresServer, options: Any) -> None:
    store = new_store(postgres_server)
    with pytest.raises(InvalidOption, match=f"^{[*options][-1]}="):
        store.feed(**options)
    assert store.feed("a").most == 100_000
