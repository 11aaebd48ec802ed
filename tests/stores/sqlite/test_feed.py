"""The feed in a file: the promises of the port, and what is its own."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Feed, FeedGap, Item, Posted
from modd.relay import Relay, Tee
from modd.stores.errors import StoreClosed
from modd.stores.sqlite import feed as feed_module
from modd.stores.sqlite.feed import next_poll
from modd.stores.sqlite.feed_operations import DELETE_EACH
from modd.stores.sqlite.retention import STEP, Sweeper
from modd.stores.sqlite.schema import FIRST, migrate
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import FeedConformance
from modd.testing.conformance.feed_follow import take
from modd.testing.conformance.storage_parts import outside
from tests.stores.sqlite.conftest import Clock
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio

COUNT = "SELECT count(*) FROM modd_feed_items"


class TestSqliteFeed(FeedConformance):
    """The suite of the port."""

    retention_ticks = 10
    most = 1_000

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Feed]:
        async with SqliteStore(self.path, clock=self.clock) as store:
            yield store.feed("public", retention=10, most=1_000)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds

    def transaction(self, feed: Any) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        transaction: AbstractAsyncContextManager[object] = feed.transaction()
        return transaction


@pytest.fixture
def long_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """No follower looks by itself whether there is something."""
    monkeypatch.setattr(feed_module, "POLL", 600)


async def bodies(items: AsyncIterator[Posted], number: int) -> list[bytes]:
    return [item.body for item in await take(items, number)]


async def count(store: SqliteStore) -> int:
    """Return the number of items in the table."""
    async with store.transaction() as tx:
        [[number]] = await tx.fetch(COUNT)
    return int(number)


async def woken(feed: Feed, after: int, then: Callable[[], Awaitable[object]]) -> list[bytes]:
    """Follow, do something when the follower waits, and return the body that it gets then."""
    received: list[bytes] = []

    async def follow() -> None:
        received.extend(await bodies(feed.follow(after), 1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        await then()
    return received


async def test_positions_are_given_in_the_commit_without_gaps(path: Path) -> None:
    # FE-1, FE-6
    async def post(number: int, how: bool | None) -> None:
        if how is None:
            await feed.put(b"%d" % number, b"%d" % number)
            return
        with suppress(ZeroDivisionError):
            async with store.transaction(immediate=how):
                await feed.put(b"%d" % number)
                await feed.put(b"%d" % number)
                if number > 20:
                    raise ZeroDivisionError

    async with SqliteStore(path) as store:
        feed = store.feed("public")
        async with anyio.create_task_group() as tasks:
            for number in range(24):
                tasks.start_soon(post, number, [None, False, True][number % 3])
        items = await take(feed.follow(0), 44)
        assert [item.position for item in items] == list(range(1, 45))
        assert [item.body for item in items[::2]] == [item.body for item in items[1::2]]
        assert await feed.span() == (0, 44)


@pytest.mark.usefixtures("long_poll")
@pytest.mark.parametrize("immediate", [None, False, True])
async def test_a_put_wakes_the_followers_of_its_process_at_once(path: Path, immediate: bool | None) -> None:
    # FE-2, FE-6
    async def put() -> None:
        if immediate is None:
            await feed.put(b"1")
            return
        async with store.transaction(immediate=immediate):
            await feed.put(b"1")

    async with SqliteStore(path) as store:
        feed = store.feed("public")
        assert await woken(feed, 0, put) == [b"1"]


async def test_a_put_of_another_process_is_seen_soon(path: Path) -> None:
    # FE-2
    async with SqliteStore(path) as store, SqliteStore(path) as other:
        assert await woken(store.feed("a"), 0, partial(other.feed("a").put, b"1")) == [b"1"]


async def test_a_follower_looks_at_least_each_twentieth_of_a_second(path: Path) -> None:
    # FE-2
    assert all(0 < next_poll() - anyio.current_time() <= 0.05 for _ in range(100))


@pytest.mark.usefixtures("long_poll")
async def test_a_put_between_a_read_and_the_wait_is_not_missed(path: Path) -> None:
    # FE-2
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        feed, received = store.feed("public"), list[bytes]()
        await feed.put(b"1")

        async def follow() -> None:
            received.extend(await bodies(feed.follow(1), 1))

        async with anyio.create_task_group() as tasks:
            watch.hold("ROLLBACK")  # the end of the read
            tasks.start_soon(follow)
            await watch.stopped()
            await feed.put(b"2")
            watch.go()
        assert received == [b"2"]


@pytest.mark.usefixtures("long_poll")
async def test_a_follower_in_a_transaction_sees_later_commits(path: Path) -> None:
    # FE-2, FE-6
    async with SqliteStore(path) as store, outside() as do:
        feed = store.feed("public")
        async with store.transaction():
            assert await feed.span() == (0, 0)
            await do(feed.put, b"1")
            items = feed.follow(0)
            assert await bodies(items, 1) == [b"1"]
            await do(feed.put, b"2")
            assert await bodies(items, 1) == [b"2"]
            assert await feed.epoch() == await do(feed.epoch)
        async with store.transaction(immediate=True):
            await feed.put(b"3")
            assert await bodies(items, 1) == [b"3"]
            assert await feed.span() == (0, 3)


async def test_a_position_outside_of_the_span_is_a_gap(path: Path) -> None:
    # FE-3
    async with SqliteStore(path) as store:
        feed = store.feed("public", most=2)
        await feed.put(b"1", b"2", b"3", b"4")
        for after in (0, 1, 5, 2**70):
            with pytest.raises(FeedGap) as gap:
                await take(feed.follow(after), 1)
            assert (gap.value.after, gap.value.first, gap.value.last) == (after, 2, 4)
        assert await bodies(feed.follow(2), 2) == [b"3", b"4"]


@pytest.mark.usefixtures("long_poll")
async def test_a_follower_of_a_feed_that_is_made_anew_gets_a_gap(path: Path) -> None:
    # FE-3
    async with SqliteStore(path) as store:
        feed = store.feed("public")
        epoch = await feed.epoch()
        await feed.put(b"1", b"2")
        items, gaps = feed.follow(2), list[tuple[int, int]]()

        async def follow() -> None:
            with pytest.raises(FeedGap) as gap:
                await take(items, 1)
            gaps.append((gap.value.first, gap.value.last))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            async with store.transaction() as tx:
                await tx.execute("DELETE FROM modd_feeds")
                await tx.execute("DELETE FROM modd_feed_items")
                await feed.put(b"anew")
        assert gaps == [(0, 1)]
        assert await feed.epoch() != epoch


async def test_an_id_that_the_feed_has_chosen_is_not_put_again_either(path: Path) -> None:
    # FE-4
    async with SqliteStore(path) as store:
        feed, epoch = store.feed("public"), await store.feed("public").epoch()
        ids = await feed.put(b"1", b"2")
        assert ids == [f"{epoch}-1", f"{epoch}-2"]
        assert await feed.put(*[Item(b"-", id=id) for id in ids]) == ids
        assert await feed.span() == (0, 2)
        async with store.transaction():
            [chosen] = await feed.put(b"3")
        assert await feed.put(Item(b"-", id=chosen)) == [chosen]
        others = [f"{epoch}-01", f"{epoch}-3", f"{epoch}-99", f"{epoch}-{'9' * 30}", "-1", f"{epoch}-\u0661"]
        assert await feed.put(*[Item(b"", id=id) for id in others]) == others
        assert [item.id for item in await take(feed.follow(0), 9)] == [*ids, chosen, *others]


async def test_an_id_is_put_again_once_its_item_is_removed_though_not_deleted(path: Path, clock: Clock) -> None:
    # FE-4, FE-5
    async with SqliteStore(path, clock=clock) as store:
        feed = store.feed("public", retention=10, most=3)
        assert await feed.put(Item(b"1", id="a"), Item(b"2", id="b"), b"3", b"4") != []
        assert await feed.put(Item(b"5", id="a"), Item(b"-", id="b"), Item(b"-", id="a")) == ["a", "b", "a"]
        assert await bodies(feed.follow(2), 3) == [b"3", b"4", b"5"]
        assert await feed.put(Item(b"-", id="a")) == ["a"]
        clock.now += 10
        await feed.put(Item(b"6", id="a"))
        assert await feed.span() == (5, 6)
        assert await count(store) == 6


async def test_items_are_removed_after_the_retention_and_beyond_the_most(path: Path, clock: Clock) -> None:
    # FE-5
    async with SqliteStore(path, clock=clock) as store:
        feed = store.feed("public", retention=10, most=5)
        await feed.put(b"1", b"2", b"3")
        clock.now += 9
        slow = feed.follow(0)
        assert await bodies(slow, 1) == [b"1"]
        await feed.put(b"4", b"5", b"6")
        assert await feed.span() == (1, 6)
        assert await bodies(slow, 1) == [b"2"]
        clock.now += 1
        assert await feed.span() == (3, 6)
        await feed.put(b"7")
        with pytest.raises(FeedGap):
            await take(slow, 1)
        assert await bodies(feed.follow(3), 4) == [b"4", b"5", b"6", b"7"]
        clock.now += 10
        assert await feed.span() == (7, 7)
        await feed.put(b"8")
        assert await bodies(feed.follow(7), 1) == [b"8"]


async def test_puts_delete_what_is_too_much_in_small_steps(path: Path) -> None:
    # FE-5
    async with SqliteStore(path) as store:
        feed = store.feed("public", most=10)
        most = 0
        for _ in range(12):
            await feed.put(*[b""] * (DELETE_EACH // 4))
            most = max(most, await count(store))
        assert most < 10 + 2 * DELETE_EACH
        assert await count(store) == 10
        assert await feed.span() == (3 * DELETE_EACH - 10, 3 * DELETE_EACH)


async def test_a_put_deletes_no_more_than_twice_as_many_as_it_may_add(path: Path, clock: Clock) -> None:
    # FE-5
    async with SqliteStore(path, clock=clock) as store:
        feed = store.feed("public", retention=10)
        await feed.put(*[b""] * (5 * DELETE_EACH))
        clock.now += 10
        for left in (4, 3, 3):
            await feed.put(*[b""] * DELETE_EACH)
            assert await count(store) == left * DELETE_EACH


async def test_the_sweeper_deletes_what_is_removed_in_small_steps(path: Path, clock: Clock) -> None:
    # FE-5, ST-29
    watch = Watch()
    async with SqliteStore(path, clock=clock, connect=watch) as store:
        old, young = store.feed("old", retention=10), store.feed("young", most=10)
        store.feed("without a put")
        await old.put(*[b""] * (2 * STEP + 10))
        await young.put(*[b""] * 20)
        assert await store._sweeper.sweep() == 10
        clock.now += 10
        before = watch.done["COMMIT"]
        assert await store._sweeper.sweep() == 2 * STEP + 10
        assert watch.done["COMMIT"] == before + 3
        assert await count(store) == 10
        assert [await feed.span() for feed in (old, young)] == [(2 * STEP + 10,) * 2, (10, 20)]
        assert await store._sweeper.sweep() == 0
        await old.put(b"next")
        [item] = await take(old.follow(2 * STEP + 10), 1)
        assert (item.position, item.body) == (2 * STEP + 11, b"next")
        assert await Sweeper(store, 1).sweep() == 0


async def test_a_clock_that_is_set_back_changes_no_order(path: Path, clock: Clock) -> None:
    # FE-5
    async with SqliteStore(path, clock=clock) as store:
        feed, now = store.feed("public", retention=10), clock.now
        await feed.put(b"1")
        clock.now -= 100
        await feed.put(b"2")
        assert [item.at for item in await take(feed.follow(0), 2)] == [now, now]
        clock.now += 110
        assert await feed.span() == (2, 2)


async def test_a_relay_puts_into_a_feed_of_its_store_in_one_transaction(path: Path) -> None:
    # FE-8
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        feed, queue = store.feed("public"), store.queue("orders")
        relay = Relay(store.outbox, Tee(queue, feed))
        ids = await store.outbox.put(b"1", b"2")
        await feed.epoch()
        before = watch.done["COMMIT"]
        assert await relay.pass_on() == 2
        assert watch.done["COMMIT"] == before + 2  # of the claim, and of all puts with the acknowledgement
        assert [item.id for item in await take(feed.follow(0), 2)] == ids
        assert [claim.id for claim in await queue.claim(9, 60)] == ids


async def test_what_is_put_again_after_a_process_was_killed_is_in_the_feed_once(path: Path) -> None:
    # FE-4, FE-8
    async with SqliteStore(path) as outbox, SqliteStore(path.with_name("feed.db")) as store:
        feed = store.feed("public")
        await outbox.outbox.put(b"1", b"2")
        claims = await outbox.outbox.claim(9, 60)
        await feed.put(*[Item(claim.body, id=claim.id) for claim in claims])  # and killed before the acknowledgement
        await outbox.outbox.release(*claims)
        assert await Relay(outbox.outbox, Tee(feed)).pass_on() == 2
        assert await feed.span() == (0, 2)


async def test_a_follower_that_is_cancelled_or_dropped_leaves_nothing(path: Path) -> None:
    # FE-7
    async with SqliteStore(path) as store:
        feed = store.feed("public")
        async with anyio.create_task_group() as tasks:
            for after in (None, 0):
                tasks.start_soon(bodies, feed.follow(after), 1)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert not feed._notifier._events
        await feed.put(b"1")
        assert await bodies(feed.follow(0), 1) == [b"1"]


async def test_a_store_that_is_closed_ends_its_followers(path: Path) -> None:
    # FE-7
    async def follow() -> None:
        with pytest.raises(StoreClosed):
            await take(items, 1)
        ended.append(True)

    ended: list[bool] = []
    async with anyio.create_task_group() as tasks, SqliteStore(path) as store:
        items = store.feed("public").follow(0)
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
    assert ended == [True]
    with pytest.raises(StoreClosed):
        await take(store.feed("public").follow(), 1)


async def test_feeds_of_a_store_are_known_by_name_and_keep_their_epoch(path: Path) -> None:
    async with SqliteStore(path) as store:
        feed = store.feed("public", 60, 10)
        assert store.feed("public", retention=60.0, most=10) is feed
        assert repr(feed) == f"<SqliteFeed public in {path}>"
        epochs = [await store.feed(name).epoch() for name in "ab"]
        assert len({await feed.epoch(), *epochs}) == 3
        await feed.put(b"1")
        for options, message in (
            ({"most": 10}, r"^retention=86400\.0: feed\('public'\) was called with 60\.0 before"),
            ({"retention": 60, "most": 11}, r"^most=11: feed\('public'\) was called with 10 before"),
        ):
            with pytest.raises(InvalidOption, match=message):
                store.feed("public", **options)
    async with SqliteStore(path) as store:
        assert [await store.feed(name).epoch() for name in "ab"] == epochs
        assert await bodies(store.feed("public").follow(0), 1) == [b"1"]


@pytest.mark.parametrize("options", [{"name": 1}, {"name": "a", "retention": -1}, {"name": "a", "most": 0}])
def test_an_option_of_a_feed_that_cannot_be_is_an_error(path: Path, options: Any) -> None:
    store = SqliteStore(path)
    with pytest.raises(InvalidOption, match=f"^{[*options][-1]}="):
        store.feed(**options)
    assert store.feed("a").most == 100_000


async def test_a_file_of_the_first_version_gets_feeds(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        migrate(str(path), file, (FIRST,))
    async with SqliteStore(path) as store:
        await store.feed("public").put(b"1")
        assert await store.feed("public").span() == (0, 1)
