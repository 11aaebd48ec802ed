"""A message whose transaction ends in a conflict is handled again at once, and gets through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.cqrs import Command, CommandBus, Emit, Event
from modd.middleware import Enqueue
from modd.ports import RevisionConflict, Transaction
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import Worker

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: work in other threads takes time."""
    return str(request.param)


class Deposit(Command[None]):
    cents: int


class Deposited(Event):
    cents: int


class Account:
    """A handler that reads a balance, and writes it higher."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.queue = store, store.queue("deposits")
        self.bus = CommandBus([self.deposit], middleware=[Enqueue(self.queue)])
        self.calls = 0
        self.wrong_revision = False

    async def deposit(self, command: Deposit, tx: Transaction, emit: Emit) -> None:
        self.calls += 1
        [(balance,)] = await tx.fetch("SELECT balance FROM account")
        await anyio.lowlevel.checkpoint()
        await tx.execute("UPDATE account SET balance = ?", (balance + command.cents,))
        emit(Deposited(command.cents))
        if self.wrong_revision:
            await self.store.events.append("account", [b""], 7)

    async def order(self, number: int) -> None:
        for _ in range(number):
            await self.bus.dispatch(Deposit(1))

    async def work(self, number: int, **options: Any) -> None:
        """Have so many messages settled."""
        await Worker(self.queue, self.bus, attempts=1, max_messages=number, **options).run()

    async def left(self) -> tuple[int, int, int]:
        """Return the balance, the number of events in the outbox, and that of dead letters."""
        async with self.store.transaction() as tx:
            [(balance,)] = await tx.fetch("SELECT balance FROM account")
        return balance, len(await self.store.outbox.claim(500, 30)), len(await self.queue.dead())


@asynccontextmanager
async def account(folder: Path) -> AsyncIterator[Account]:
    async with SqliteStore(folder / "bank.db") as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE account (balance INTEGER)")
            await tx.execute("INSERT INTO account VALUES (0)")
        with anyio.fail_after(60):
            yield Account(store)


@pytest.mark.costly
async def test_handlers_that_read_and_write_one_row_all_get_through_in_one_attempt_each(tmp_path: Path) -> None:
    # DR-24, WM-8
    async with account(tmp_path) as bank:
        await bank.order(40)
        await bank.work(40)
        assert await bank.left() == (40, 40, 0)
        assert 40 < bank.calls <= 80


@pytest.mark.costly
async def test_types_that_are_handled_in_immediate_transactions_have_no_conflict(tmp_path: Path) -> None:
    # DR-25
    async with account(tmp_path) as bank:
        for immediate in (True, Deposit, [Deposit]):
            await bank.order(10)
            await bank.work(10, immediate=immediate)
        assert (bank.calls, await bank.left()) == (30, (30, 30, 0))


async def test_other_types_are_not_handled_so(tmp_path: Path) -> None:
    async with account(tmp_path) as bank:
        await bank.order(20)
        await bank.work(20, immediate=Deposited)
        assert bank.calls > 20


async def test_a_conflict_in_an_immediate_transaction_is_a_failed_attempt(tmp_path: Path) -> None:
    # DR-24
    async with account(tmp_path) as bank:
        bank.wrong_revision = True
        await bank.order(1)
        await bank.work(1)
        assert (bank.calls, await bank.left()) == (2, (0, 0, 1))
        [dead] = await bank.queue.dead()
        assert dead.reason.startswith("RevisionConflict: account is at revision 0, not at 7")


async def test_without_a_transaction_a_conflict_is_a_failed_attempt() -> None:
    async def deposit(command: Deposit) -> None:
        raise RevisionConflict("account", 1, 2)

    queue = MemoryQueue()
    bus = CommandBus([deposit], middleware=[Enqueue(queue)])
    await bus.dispatch(Deposit(1))
    await Worker(queue, bus, attempts=1, max_messages=1).run()
    assert len(await queue.dead()) == 1


@pytest.mark.parametrize("immediate", ["yes", 1, None, [1], True, Deposit])
def test_immediate_is_a_flag_or_types_and_needs_transactions(immediate: Any) -> None:
    with pytest.raises(InvalidOption, match="immediate"):
        Worker(MemoryQueue(), CommandBus([Account.deposit.__get__(object())]), immediate=immediate)
