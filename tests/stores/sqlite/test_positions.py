"""No id is given twice: not by another process, not after a kill, and not by a clock that stands or is set back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from modd.ports import Claim, Item
from modd.ports.items import HANDLER
from modd.stores.sqlite.errors import StoreCorrupt
from modd.stores.sqlite.queue import SqliteQueue
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.conftest import Clock
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio

MANY = 20
"""Items that are acknowledged by one statement."""

GIVEN = """CREATE TABLE given (place INTEGER);
CREATE TRIGGER given_at_put AFTER INSERT ON modd_items BEGIN INSERT INTO given VALUES (NEW.place); END;
CREATE TRIGGER given_later AFTER UPDATE OF place ON modd_items BEGIN INSERT INTO given VALUES (NEW.place); END;"""
"""A table of all places that an item ever had."""


@pytest.fixture
def file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@asynccontextmanager
async def stores(path: Path, *clocks: Clock) -> AsyncIterator[list[SqliteStore]]:
    """Stores of one file, which know no more of each other than those of several processes do."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SqliteStore(path, clock=clock)) for clock in clocks]


async def claim(queue: SqliteQueue, count: int = 1) -> list[Claim]:
    claims = await queue.claim(count, 60)
    assert len(claims) == count
    return claims


async def put(store: SqliteStore, queue: str = "a") -> str:
    [result] = await store.queue(queue).put(b"1")
    return result.id


async def put_and_ack(store: SqliteStore, queue: str = "a") -> str:
    id = await put(store, queue)
    await store.queue(queue).ack(*await claim(store.queue(queue)))
    return id


async def ack(queue: SqliteQueue) -> None:
    await queue.put(b"1")
    await queue.ack(*await claim(queue))


async def ack_many(queue: SqliteQueue) -> None:
    await queue.put(*[b"1"] * MANY)
    await queue.ack(*(await claim(queue, MANY))[::-1])


async def ack_the_last_one_before_others(queue: SqliteQueue) -> None:
    await queue.put(b"1", b"2", b"3")
    first, second, third = await claim(queue, 3)
    for each in (second, third, first):
        await queue.ack(each)


async def ack_in_a_transaction(queue: SqliteQueue) -> None:
    await queue.put(b"1")
    claims = await claim(queue)
    async with queue.transaction():
        await queue.ack(*claims)


async def cancel_in_the_transaction_of_the_put(queue: SqliteQueue) -> None:
    async with queue.transaction(immediate=True):
        [result] = await queue.put(b"1")
        assert await queue.cancel(result.id) == [result.id]


async def cancel_what_is_delayed(queue: SqliteQueue) -> None:
    [result] = await queue.put(Item(b"1", delay=60))
    assert await queue.cancel(result.id) == [result.id]


async def discard(queue: SqliteQueue) -> None:
    [result] = await queue.put(b"1")
    [found] = await claim(queue)
    await queue.bury(found, "no")
    assert await queue.discard(result.id) == [result.id]


async def redrive_and_ack(queue: SqliteQueue) -> None:
    [result] = await queue.put(b"1")
    [found] = await claim(queue)
    await queue.bury(found, "no")
    assert await queue.redrive(result.id) == [result.id]
    await queue.ack(*await claim(queue))


async def forget_the_handler(queue: SqliteQueue) -> None:
    await queue.put(Item(b"1", headers={HANDLER: "handler"}))
    assert await queue.forget("handler") == 1


async def clear(queue: SqliteQueue) -> None:
    await queue.put(b"1")
    assert await queue.clear() == 1


async def fan_out_to_none(queue: SqliteQueue) -> None:
    await queue.put(b"1")
    [event] = await claim(queue)
    assert await queue.fan_out(event, ["type"], lambda _: []) == 0


REMOVALS = (
    ack,
    ack_many,
    ack_the_last_one_before_others,
    ack_in_a_transaction,
    cancel_in_the_transaction_of_the_put,
    cancel_what_is_delayed,
    discard,
    redrive_and_ack,
    forget_the_handler,
    clear,
    fan_out_to_none,
)


@pytest.mark.costly
@pytest.mark.parametrize("remove", REMOVALS)
async def test_a_removed_item_leaves_its_place_to_none_of_another_process(
    path: Path, file: sqlite3.Connection, clock: Clock, remove: Callable[[SqliteQueue], Awaitable[None]]
) -> None:
    # ST-69
    async with stores(path, clock, clock) as (first, second):
        file.executescript(GIVEN)
        for store in (first, second, first):
            await remove(store.queue("a"))
            assert file.execute("SELECT count(*) FROM modd_items").fetchall() == [(0,)]
    places = file.execute("SELECT place FROM given").fetchall()
    assert places == sorted(set(places))


@pytest.mark.parametrize("seconds", [0, 0.000001, 3600])
async def test_ids_do_not_come_again_in_a_process_whose_clock_is_behind(
    path: Path, clock: Clock, seconds: float
) -> None:
    # ST-69
    behind = Clock()
    behind.now -= seconds
    async with stores(path, clock, behind) as both:
        ids = [await put_and_ack(store, queue) for _ in range(3) for store in both for queue in ("a", "b")]
    assert len(set(ids)) == 12


async def test_ids_do_not_come_again_when_the_clock_is_set_back_and_nothing_waits(path: Path, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock) as store:
        ids = []
        for queue in ("a", "b", "a"):
            ids += [await put_and_ack(store, queue), await put_and_ack(store, queue)]
            clock.now -= 3
    assert len(set(ids)) == 6


async def test_they_do_not_come_again_when_the_file_is_opened_again(path: Path, clock: Clock) -> None:
    store = SqliteStore(path, clock=clock)
    ids = []
    for each in (store, store, SqliteStore(path, clock=clock)):
        async with each:
            ids += [await put_and_ack(each), await put_and_ack(each)]
        clock.now -= 0.000001
    assert len(set(ids)) == 6


async def test_they_do_not_come_again_after_a_process_was_killed(path: Path, clock: Clock) -> None:
    # ST-69
    killed = path.with_name("killed.db")
    async with SqliteStore(path, clock=clock) as store:
        before = await put_and_ack(store)
        for end in ("", "-wal"):  # the files are what a process leaves that is killed now
            shutil.copy(f"{path}{end}", f"{killed}{end}")
    async with SqliteStore(killed, clock=clock) as store:
        after = await put(store)
        assert after[:12] == before[:12]
        assert after > before


async def test_an_id_that_a_rolled_back_transaction_has_returned_is_not_used_again(path: Path, clock: Clock) -> None:
    store, ids = SqliteStore(path, clock=clock), list[str]()
    for _ in range(2):
        async with store:
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=True):
                    ids.append(await put(store))
                    raise ZeroDivisionError
            ids.append(await put_and_ack(store))
    assert len(set(ids)) == 4


async def test_an_item_that_is_put_back_has_a_place_that_nobody_gets_again(path: Path) -> None:
    async with SqliteStore(path) as store:
        queue = store.queue("a")
        [result] = await queue.put(b"1")
        [claim] = await queue.claim(1, 60)
        await queue.bury(claim, "no")
        await queue.redrive(result.id)
        await queue.ack(*await queue.claim(1, 60))
        assert claim.token.partition(".")[0] < (await queue.put(b"2"))[0].id[12:]


async def test_only_the_removal_of_the_last_item_writes_its_place(
    path: Path, file: sqlite3.Connection, clock: Clock
) -> None:
    async with SqliteStore(path, clock=clock) as store:
        queue = store.queue("a")
        await queue.put(b"1")
        id = await put(store)
        for place in (0, int(id[12:], 16)):
            await queue.ack(*await claim(queue))
            assert file.execute("SELECT last FROM modd_store").fetchall() == [(place,)]


async def test_closing_writes_nothing(path: Path) -> None:
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        await put_and_ack(store)
        before = watch.done["COMMIT"]
    assert watch.done["COMMIT"] == before


@pytest.mark.parametrize("damage", ["DELETE FROM modd_store", "UPDATE modd_store SET last = 'x'"])
async def test_a_file_without_its_last_place_is_damaged(path: Path, file: sqlite3.Connection, damage: str) -> None:
    async with SqliteStore(path) as store:
        file.execute(damage)
        with pytest.raises(StoreCorrupt, match="modd_store has no last position"):
            await put(store)
