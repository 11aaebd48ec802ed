"""Waiting for a lock is fair, and a free lock is not timed out on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd.cqrs import Command, CommandBus, LockTimeout
from modd.errors import InvalidOption
from modd.middleware.lock import Lock, LockLost
from modd.middleware.lock_line import lines_of
from modd.stores import MemoryLocks
from modd.testing import run_virtual
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Book(Command[int]):
    number: int = 0
    seconds: float = 0.001


class Desk:
    """Handles bookings, one at a time, and notes their order."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.busy = False

    async def __call__(self, command: Book) -> int:
        assert not self.busy
        self.busy = True
        try:
            await anyio.sleep(command.seconds)
        finally:
            self.busy = False
        self.numbers.append(command.number)
        return command.number


class Counted(MemoryLocks):
    """Locks that note when they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.tries: list[float] = []

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        self.tries.append(anyio.current_time())
        return await super().acquire(key, ttl, token)


def bus_of(desk: Desk, **options: Any) -> CommandBus:
    return CommandBus([desk], middleware=[Lock(lambda envelope: "desk", **options)])


# DF-10
@pytest.mark.costly
async def test_those_who_wait_in_one_process_get_the_lock_in_their_order_and_as_soon_as_it_is_free() -> None:
    desk, locks = Desk(), Counted()
    first, second = bus_of(desk, locks=locks), bus_of(desk, locks=locks)
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon((first, second)[number % 2].ask, Book(number))
            await anyio.lowlevel.checkpoint()
    assert desk.numbers == [*range(100)]
    assert anyio.current_time() - start == pytest.approx(0.1, abs=0.02)
    assert len(locks.tries) == 100
    assert len(lines_of(locks)) == 0


# DF-10
@pytest.mark.parametrize(("random", "share"), [(lambda: 0.0, 0.5), (lambda: 0.5, 1.0), (lambda: 0.75, 1.25)])
async def test_a_lock_of_another_process_is_tried_at_random_times_by_the_first_in_line(
    random: Callable[[], float], share: float
) -> None:
    desk, locks = Desk(), Counted()
    await locks.acquire("commands:desk", 60, "another process")
    locks.tries, start = [], anyio.current_time()
    bus = bus_of(desk, locks=locks, poll=0.2, random=random)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(bus.ask, Book(number))
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(0.9)
        assert [at - start for at in locks.tries] == pytest.approx(
            [n * share * 0.2 for n in range(len(locks.tries))], abs=1e-6
        )
        await locks.release("commands:desk", "another process")
    assert desk.numbers == [*range(5)]


# DF-10
async def test_a_lock_that_is_free_when_the_time_is_over_is_acquired_though_the_first_in_line_sleeps() -> None:
    desk, locks = Desk(), MemoryLocks()
    await locks.acquire("commands:desk", 1, "another process")
    patient = CommandBus([desk], middleware=[Lock(lambda envelope: "desk", locks=locks, poll=40, timeout=50)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(patient.ask, Book(1))
        await anyio.wait_all_tasks_blocked()
        assert await bus_of(desk, locks=locks, timeout=2).ask(Book(2)) == 2
        assert await bus_of(desk, locks=locks, timeout=0).ask(Book(3)) == 3
    assert desk.numbers == [2, 3, 1]


# DF-10
async def test_who_gives_up_or_is_cancelled_leaves_the_line() -> None:
    desk, locks, outcomes = Desk(), MemoryLocks(), list[str]()
    impatient, bus = bus_of(desk, locks=locks, timeout=1), bus_of(desk, locks=locks, timeout=100)

    async def give_up() -> None:
        with pytest.raises(LockTimeout):
            await impatient.ask(Book(2))
        outcomes.append("timeout")

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as holder, anyio.CancelScope() as waiter:
            async with anyio.create_task_group() as others:
                others.start_soon(bus.ask, Book(1, 5))
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(give_up)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(bus.ask, Book(3))
                await anyio.sleep(2)
                waiter.cancel()
        assert not holder.cancelled_caught
    assert (desk.numbers, outcomes, len(lines_of(locks))) == ([3], ["timeout"], 0)


# DF-10
async def test_when_a_lock_is_lost_the_next_in_line_does_not_wait_for_the_end_of_the_work() -> None:
    locks, began = MemoryLocks(), list[int]()

    async def book(command: Book) -> int:
        began.append(command.number)
        if command.number == 1:
            with anyio.CancelScope(shield=True):
                [token] = locks._tokens.values()
                await locks.release("commands:desk", token)
                await anyio.sleep(100)
        return command.number

    async def lose() -> None:
        with pytest.raises(LockLost):
            await bus.ask(Book(1))
        began.append(-1)

    bus = CommandBus([book], middleware=[Lock(lambda envelope: "desk", locks=locks, timeout=5)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lose)
        await anyio.wait_all_tasks_blocked()
        assert await bus.ask(Book(2)) == 2
    assert began == [1, 2, -1]


# DF-10
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_one_lock_serves_one_loop_after_another_and_side_by_side(backend: str) -> None:
    desk = Desk()
    bus = bus_of(desk, timeout=60)

    async def book() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(bus.ask, Book(number))
                await anyio.lowlevel.checkpoint()

    for other in ("asyncio", "trio", backend):
        run_virtual(book, backend=other)
    assert desk.numbers == [0, 1, 2] * 3
    threads = [threading.Thread(target=anyio.run, args=[line_up], kwargs={"backend": backend}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


LINES = lines_of(MemoryLocks())


async def line_up() -> None:
    """Wait in the line of a key that another loop uses as well."""
    place, deadline = object(), anyio.current_time() + 10
    assert await LINES.enter("desk", place, deadline)
    LINES.leave("desk", place)


# DF-10
async def test_locks_that_cannot_be_referred_to_weakly_work_too() -> None:
    class Slotted:
        __slots__ = ("inner",)

        def __init__(self) -> None:
            self.inner = MemoryLocks()

        async def acquire(self, key: str, ttl: float, token: str) -> bool:
            return await self.inner.acquire(key, ttl, token)

        async def renew(self, key: str, ttl: float, token: str) -> bool:
            return await self.inner.renew(key, ttl, token)

        async def release(self, key: str, token: str) -> None:
            await self.inner.release(key, token)

    desk = Desk()
    bus = bus_of(desk, locks=Slotted())
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(bus.ask, Book(number))
            await anyio.lowlevel.checkpoint()
    assert desk.numbers == [0, 1, 2]


def test_random_is_a_function() -> None:
    with pytest.raises(InvalidOption, match="random"):
        bus_of(Desk(), random=0.5)
