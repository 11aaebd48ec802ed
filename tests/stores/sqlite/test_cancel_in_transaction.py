"""Items that are cancelled in a transaction that defers its writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modd.cqrs import Command, CommandBus
from modd.middleware import Enqueue
from modd.ports import Item, ReadConflict
from modd.stores.sqlite.queue import SqliteQueue
from modd.stores.sqlite.store import SqliteStore
from modd.worker import Worker
from tests.stores.sqlite.conftest import Clock
from tests.stores.sqlite.effects import Do, outsider
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def alone(path: Path, clock: Clock) -> AsyncIterator[tuple[SqliteStore, SqliteStore]]:
    """A store that has the file alone, as both."""
    async with SqliteStore(path, clock=clock) as store:
        yield store, store


@asynccontextmanager
async def shared(path: Path, clock: Clock) -> AsyncIterator[tuple[SqliteStore, SqliteStore]]:
    """Two stores of one file."""
    async with affected(path, clock=clock) as store, affected(path, clock=clock) as other:
        yield store, other


@asynccontextmanager
async def timers(path: Path, mode: object = alone) -> AsyncIterator[tuple[SqliteStore, SqliteQueue, SqliteQueue, Do]]:
    """A store with two timers; their queue, as one of a second writer too, and a task outside of transactions."""
    async with (alone if mode is alone else shared)(path, Clock()) as (store, other), outsider() as do:
        queue = store.queue("timers")
        await queue.put(Item(b"", id="a", delay=60), Item(b"", id="b", delay=60))
        yield store, queue, other.queue("timers"), do


async def ids_of(queue: SqliteQueue) -> list[str]:
    return [claim.id for claim in await queue.claim(9, 60)]


modes = pytest.mark.parametrize("mode", [alone, shared])


async def test_timers_are_cancelled_in_the_commit_that_makes_them_pointless(path: Path) -> None:
    # DR-50
    async with timers(path) as (store, queue, _, _):
        async with store.transaction():
            assert await queue.cancel("b", "none", "b") == ["b"]
            assert await queue.cancel() == []
            assert (await queue.stats()).delayed == 2
        assert (await queue.stats()).delayed == 1
        assert await queue.cancel("a", "b") == ["a"]


async def test_what_a_block_cancels_stays_if_the_block_fails(path: Path) -> None:
    # DR-50
    async def cancel_and_fail() -> None:
        async with store.transaction():
            assert await queue.cancel("a") == ["a"]
            raise ZeroDivisionError

    async with timers(path) as (store, queue, _, _):
        with pytest.raises(ZeroDivisionError):
            await cancel_and_fail()
        assert await queue.cancel("a") == ["a"]


async def test_an_id_that_the_queue_has_chosen_is_cancelled_too(path: Path) -> None:
    # DR-50
    async with timers(path) as (store, queue, _, _):
        [result] = await queue.put(b"")
        async with store.transaction():
            assert await queue.cancel(result.id) == [result.id]
        assert await ids_of(queue) == []


@modes
async def test_a_timer_that_begins_before_the_commit_is_a_conflict(path: Path, mode: object) -> None:
    # DR-50
    async def pay_beside_a_claim() -> None:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE paid (id)")
            assert await queue.cancel("due") == ["due"]
            assert [claim.id for claim in await do(theirs.claim, 1, 60)] == ["due"]

    async with timers(path, mode) as (store, queue, theirs, do):
        await queue.put(Item(b"", id="due"))
        with pytest.raises(ReadConflict) as conflict:
            await pay_beside_a_claim()
        assert conflict.value.statement == "timers.cancel('due')"
        async with store.transaction() as tx:
            assert await tx.fetch("SELECT name FROM sqlite_master WHERE name = 'paid'") == []


@modes
async def test_a_timer_that_is_put_before_the_commit_is_a_conflict_for_one_who_was_told_there_was_none(
    path: Path, mode: object
) -> None:
    # DR-50
    async def cancel_beside_a_put() -> None:
        async with store.transaction():
            assert await queue.cancel("late") == []
            await do(theirs.put, Item(b"", id="late"))

    async with timers(path, mode) as (store, queue, theirs, do):
        with pytest.raises(ReadConflict):
            await cancel_beside_a_put()
        assert await queue.cancel("late") == ["late"]


async def test_a_timer_that_only_becomes_due_is_no_conflict(path: Path) -> None:
    # DR-50
    clock = Clock()
    async with alone(path, clock) as (store, _), outsider() as do:
        queue = store.queue("timers")
        await queue.put(Item(b"", id="b"), Item(b"", id="a", delay=1))
        async with store.transaction():
            assert await queue.cancel("a") == ["a"]
            clock.now += 2
            assert [claim.id for claim in await do(queue.claim, 1, 60)] == ["b"]
        assert (await queue.stats()).ready == 0


async def test_what_the_block_itself_has_put_or_cancelled_is_a_conflict_and_works_in_an_immediate_one(
    path: Path,
) -> None:
    # DR-50: reads do not see the block's own writes, so that the answer would not be true
    async def put_and_cancel() -> None:
        async with store.transaction():
            await queue.put(Item(b"", id="new"))
            assert await queue.cancel("new", "a") == ["a"]

    async def cancel_twice() -> None:
        async with store.transaction():
            assert await queue.cancel("a", "b") == await queue.cancel("a", "b") == ["a", "b"]

    async with timers(path) as (store, queue, _, _):
        with pytest.raises(ReadConflict, match=r"timers\.cancel\('new'\)"):
            await put_and_cancel()
        with pytest.raises(ReadConflict, match=r"timers\.cancel\('a', 'b'\)"):
            await cancel_twice()
        async with store.transaction(immediate=True):
            await queue.put(Item(b"", id="new"))
            assert await queue.cancel("new", "a") == ["new", "a"]
            assert await queue.cancel("new", "a") == []


async def test_a_block_may_replace_a_timer(path: Path) -> None:
    # DR-50
    async with timers(path) as (store, queue, _, _):
        async with store.transaction():
            assert await queue.cancel("a") == ["a"]
            await queue.put(Item(b"again", id="a"))
        assert [claim.body for claim in await queue.claim(9, 60)] == [b"again"]


class Pay(Command[None]):
    """A command that makes the timer "a" pointless."""


async def test_a_handler_cancels_a_timer_or_is_told_that_it_has_begun(path: Path) -> None:
    # DR-50: a conflict runs the handler again, at no cost of attempts
    told: list[list[str]] = []

    async def pay(command: Pay) -> None:
        told.append(await queue.cancel("due"))
        if len(told) == 1:
            await do(queue.claim, 1, 60)

    async with timers(path) as (store, queue, _, do):
        await queue.put(Item(b"", id="due"))
        commands = store.queue("commands")
        bus = CommandBus([pay], middleware=[Enqueue(commands)])
        await bus.dispatch(Pay())
        await Worker(commands, bus, max_messages=1).run()
        assert told == [["due"], []]
        assert await commands.dead() == []
