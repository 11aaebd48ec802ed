"""Retryer in a transaction of a store: writes of a failed attempt are rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.cqrs import Command, CommandBus, Envelope
from modd.cqrs.stamps import Failed
from modd.middleware import Enqueue, Retryer
from modd.ports import Transaction
from modd.stores import SqliteStore
from modd.worker import Worker

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("immediate", [False, True])


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: work in other threads takes time."""
    return request.param


class Pay(Command[None]):
    cents: int = 1


class Desk:
    """A handler that writes, and fails at first."""

    def __init__(self) -> None:
        self.tries = 0

    async def pay(self, command: Pay, tx: Transaction) -> None:
        self.tries += 1
        await tx.execute("INSERT INTO paid VALUES (?)", (self.tries,))
        if self.tries < 3:
            raise ValueError("not yet")


async def made(store: SqliteStore) -> None:
    async with store.transaction() as tx:
        await tx.execute("CREATE TABLE paid (try INTEGER)")


async def paid(store: SqliteStore) -> list[Any]:
    async with store.transaction() as tx:
        return await tx.fetch("SELECT try FROM paid")


async def test_under_a_worker_only_the_attempt_that_went_well_has_effects(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        await made(store)
        queue = store.queue("pay")
        bus = CommandBus([Desk().pay], middleware=[Enqueue(queue), Retryer(backoff="none")])
        await bus.dispatch(Pay())
        await Worker(queue, bus, max_messages=1).run()
        assert await paid(store) == [(3,)]


@both
async def test_what_was_written_around_the_attempts_stays(tmp_path: Path, immediate: bool) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        await made(store)
        bus = CommandBus([Desk().pay], middleware=[Retryer(backoff="none")])
        async with store.transaction(immediate=immediate) as tx:
            await tx.execute("INSERT INTO paid VALUES (0)")
            await bus.dispatch(Pay())
        assert await paid(store) == [(0,), (3,)]


async def test_a_failed_stamp_undoes_an_attempt_as_an_error_does(tmp_path: Path) -> None:
    desk = Desk()

    async def noting(envelope: Envelope[Any], call_next: Any) -> None:
        try:
            await call_next(envelope)
        except ValueError as error:
            envelope.add(Failed(str(error)))

    async with SqliteStore(tmp_path / "store.db") as store:
        await made(store)
        bus = CommandBus([desk.pay], middleware=[Retryer(backoff="none"), noting])
        async with store.transaction():
            await bus.dispatch(Pay())
        assert await paid(store) == [(3,)]


@both
async def test_in_another_task_of_a_transaction_attempts_are_made_outside_of_it(
    tmp_path: Path, immediate: bool
) -> None:
    tries = list[int]()

    async def fail_once(command: Pay) -> None:
        tries.append(command.cents)
        if len(tries) == 1:
            raise ValueError("not yet")

    async with SqliteStore(tmp_path / "store.db") as store:
        bus = CommandBus([fail_once], middleware=[Retryer(backoff="none")])
        async with store.transaction(immediate=immediate), anyio.create_task_group() as tasks:
            tasks.start_soon(bus.dispatch, Pay())
        assert tries == [1, 1]
