"""Middleware inside a transaction: what an attempt wrote, and what is kept of a result, goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modd.cqrs import Command, CommandBus, Envelope, Failed, Next
from modd.middleware import Idempotency, Retryer
from modd.ports import Transaction
from modd.stores import SqliteStore
from modd.worker import Worker
from tests.stores.sqlite.effects import open_store

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("immediate", [False, True])


class Pay(Command[None]):
    """Stands for anything."""


async def table(store: SqliteStore) -> None:
    async with store.transaction() as tx:
        await tx.execute("CREATE TABLE paid (attempt INTEGER)")


async def rows(store: SqliteStore) -> list[Any]:
    async with store.transaction() as tx:
        return await tx.fetch("SELECT attempt FROM paid")


@both
@pytest.mark.parametrize("raises", [True, False])
async def test_of_several_attempts_only_what_the_last_one_wrote_is_kept(
    path: Path, immediate: bool, raises: bool
) -> None:
    # ST-65
    attempts = 0

    async def pay(envelope: Envelope[Pay], tx: Transaction) -> None:
        nonlocal attempts
        attempts += 1
        await tx.execute("INSERT INTO paid VALUES (?)", (attempts,))
        if attempts < 3 and raises:
            raise ConnectionError
        if attempts < 3:
            envelope.add(Failed("later"))

    bus = CommandBus([pay], middleware=[Retryer(backoff="none")])
    async with open_store(path) as store:
        await table(store)
        async with store.transaction(immediate=immediate):
            await bus.dispatch(Pay())
        assert await rows(store) == [(3,)]


@both
async def test_a_result_is_kept_when_the_transaction_is_committed_and_not_before(path: Path, immediate: bool) -> None:
    # ST-65
    async def pay(command: Pay, tx: Transaction) -> None:
        await tx.execute("INSERT INTO paid VALUES (1)")

    async def in_transaction(store: SqliteStore, *, fails: bool) -> None:
        async with store.transaction(immediate=immediate):
            await bus.dispatch(Envelope(Pay(), id="payment-7"))
            if fails:
                raise ZeroDivisionError

    bus = CommandBus([pay], middleware=[Idempotency()])
    async with open_store(path) as store:
        await table(store)
        with pytest.raises(ZeroDivisionError):
            await in_transaction(store, fails=True)
        assert await rows(store) == []
        await in_transaction(store, fails=False)
        await in_transaction(store, fails=False)
        assert await rows(store) == [(1,)]


@both
async def test_what_is_to_be_done_after_a_commit_is_dropped_with_its_part(path: Path, immediate: bool) -> None:
    done: list[str] = []

    async def note(name: str) -> None:
        done.append(name)

    async def fail() -> None:
        raise ZeroDivisionError

    async def part(tx: Any) -> None:
        async with tx.savepoint():
            tx.on_commit(lambda: note("b"))
            raise ConnectionError

    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx:
            tx.on_commit(lambda: note("a"))
            with pytest.raises(ConnectionError):
                await part(tx)
            tx.on_commit(fail)
            tx.on_commit(lambda: note("c"))
            assert done == []
        assert done == ["a", "c"]


async def test_under_a_worker_a_commit_that_fails_leaves_no_result_behind(path: Path) -> None:
    # ST-65
    calls = 0

    async def pay(command: Pay, tx: Transaction) -> None:
        nonlocal calls
        calls += 1
        await tx.execute("INSERT INTO paid VALUES (?)" if calls > 1 else "INSERT INTO missing VALUES (?)", (calls,))

    bus = CommandBus([pay], middleware=[Idempotency()])
    async with open_store(path) as store:
        await table(store)
        queue = store.queue("payments")
        await queue.put(bus.codec.encode(Envelope(Pay())))
        await Worker(queue, bus, backoff="none", max_messages=2).run()
        assert await rows(store) == [(2,)]


# DF-20
@both
@pytest.mark.parametrize("committed", [False, True])
async def test_what_a_transaction_inside_undoes_is_not_stored_and_what_it_commits_is(
    path: Path, immediate: bool, committed: bool
) -> None:
    async def pay(command: Pay, tx: Transaction) -> None:
        await tx.execute("INSERT INTO paid VALUES (1)")

    class InTransaction:
        role = "transaction"

        async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
            async with store.transaction(immediate=immediate):
                await call_next(envelope)
                if fails and not committed:
                    raise ConnectionError
            if fails:
                raise ConnectionError

    async with open_store(path) as store:
        await table(store)
        bus = CommandBus([pay], middleware=[Idempotency(store=store.cache), InTransaction()])
        fails = True
        with pytest.raises(ConnectionError):
            await bus.dispatch(Envelope(Pay(), id="a"))
        assert await rows(store) == [(1,)] * committed
        fails = False
        await bus.dispatch(Envelope(Pay(), id="a"))
        assert await rows(store) == [(1,)]
