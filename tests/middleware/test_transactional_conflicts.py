"""A dispatch in a transaction that ends in a conflict runs again at once, and gets through."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.cqrs import Command, CommandBus, Dispatched, Emit, Event, Outboxed
from modd.middleware import Transactional
from modd.ports import Conflict, RevisionConflict, Transaction
from modd.stores import SqliteStore

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: work in other threads takes time."""
    return str(request.param)


class Reserve(Command[int]):
    seats: list[int]


class Reserved(Event):
    seat: int


class Hall:
    """A handler that reads how many seats are left, and writes one less."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.calls = store, 0
        self.bus = CommandBus([self.reserve], middleware=[Transactional(store)])

    async def reserve(self, command: Reserve, tx: Transaction, emit: Emit) -> int:
        self.calls += 1
        command.seats.append(self.calls)
        [(left,)] = await tx.fetch("SELECT seats FROM hall")
        await anyio.lowlevel.checkpoint()
        if left:
            await tx.execute("UPDATE hall SET seats = ?", (left - 1,))
            emit(Reserved(left))
        return len(command.seats)

    async def fill(self, seats: int) -> None:
        async with self.store.transaction() as tx:
            await tx.execute("CREATE TABLE hall (seats INTEGER)")
            await tx.execute("INSERT INTO hall VALUES (?)", (seats,))

    async def left(self) -> int:
        async with self.store.transaction() as tx:
            [(left,)] = await tx.fetch("SELECT seats FROM hall")
        return int(left)


async def test_no_seat_is_sold_twice_and_each_dispatch_gets_through(tmp_path: Path) -> None:
    # DR-26
    async def reserve() -> None:
        dispatched.append(await hall.bus.dispatch(Reserve([])))

    dispatched: list[Dispatched[int]] = []
    async with SqliteStore(tmp_path / "hall.db") as store:
        hall = Hall(store)
        await hall.fill(5)
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(reserve)
        assert await hall.left() == 0
        assert 12 < hall.calls <= 24
        assert [each.result for each in dispatched] == [1] * 12
        assert sum(len(each.envelope.all(Outboxed)) for each in dispatched) == 5
        assert len(await store.outbox.claim(99, 60)) == 5


async def test_inside_of_another_transaction_a_conflict_is_left_to_its_owner(tmp_path: Path) -> None:
    async def fail(command: Reserve) -> int:
        calls.append(command)
        raise RevisionConflict("hall", 1, 2)

    async def dispatch_in_a_transaction() -> None:
        async with store.transaction():
            await bus.dispatch(Reserve([]))

    calls: list[Reserve] = []
    async with SqliteStore(tmp_path / "hall.db") as store:
        bus = CommandBus([fail], middleware=[Transactional(store)])
        with pytest.raises(Conflict):
            await dispatch_in_a_transaction()
        assert len(calls) == 1
        with pytest.raises(Conflict):
            await bus.dispatch(Reserve([]))
        assert len(calls) == 3
