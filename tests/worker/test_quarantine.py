"""Suspects, which may have ended their process, are handled alone in their process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from modd.cqrs import CommandBus
from modd.ports import Stats, StoreError
from modd.stores import MemoryQueue
from modd.worker import Worker
from modd.worker.quarantine import Occupant
from tests.worker.desk import Pay, at_work, item, work_off

pytestmark = pytest.mark.anyio


class Till:
    """A handler that takes its time, and notes beside how many others of all tills each message is handled."""

    def __init__(self, seconds: float = 10.0, others: Till | None = None) -> None:
        self.seconds = seconds
        self.log: list[tuple[int, float, int]] = []
        self.begun = 0
        self._all: list[int] = [0] if others is None else others._all

    async def __call__(self, pay: Pay) -> None:
        self.begun += 1
        self._all[0] += 1
        try:
            await anyio.sleep(self.seconds)
            self.log.append((pay.amount, anyio.current_time(), self._all[0]))
        finally:
            self._all[0] -= 1

    @property
    def amounts(self) -> list[int]:
        return [amount for amount, _, _ in self.log]

    def worker(self, *queues: Any, **options: Any) -> Worker:
        return Worker(queues, CommandBus({Pay: self}), **options)


async def suspects(queue: MemoryQueue, *amounts: int) -> None:
    """Put messages, and claim them for a process that ends."""
    await queue.put(*[item(Pay(amount)) for amount in amounts])
    assert len(await queue.claim(len(amounts), 1)) == len(amounts)
    await anyio.sleep(2)


async def test_suspects_are_handled_one_at_a_time_after_the_others() -> None:
    # DR-41
    queue, till = MemoryQueue(), Till()
    await suspects(queue, 1, 2, 3)
    await queue.put(*[item(Pay(amount)) for amount in (4, 5)])
    begun = anyio.current_time()
    await till.worker(queue).run_until_idle()
    assert (sorted(till.amounts[:2]), till.amounts[2:]) == ([4, 5], [3, 2, 1])
    assert [round(at - begun) for _, at, _ in till.log] == [10, 10, 20, 30, 40]
    assert await queue.dead() == []


async def test_nothing_is_claimed_beside_a_suspect() -> None:
    # DR-41
    queue, till = MemoryQueue(), Till()
    await suspects(queue, 1)
    async with at_work(till.worker(queue)):
        await anyio.sleep(1)
        await queue.put(item(Pay(2)), item(Pay(3)))
        await anyio.sleep(30)
    assert till.amounts[0] == 1
    assert [beside for _, _, beside in till.log] == [1, 2, 1]


async def test_other_workers_of_the_process_claim_nothing_beside_a_suspect_and_go_on_afterwards() -> None:
    # DR-41
    queue, other, till = MemoryQueue(), MemoryQueue(), Till()
    side = Till(others=till)
    await suspects(queue, 1)
    async with at_work(till.worker(queue)), at_work(side.worker(other)):
        await anyio.sleep(1)
        await other.put(item(Pay(2)))
        await anyio.sleep(30)
    [(_, first, _)], [(_, second, beside)] = till.log, side.log
    assert (second - first, beside) == (10, 1)


async def test_a_worker_announces_its_handlers_before_it_may_claim() -> None:
    # DR-30 DR-41
    queue, other, till = MemoryQueue(), MemoryQueue(), Till()
    await suspects(queue, 1)
    async with at_work(till.worker(queue)):
        await anyio.sleep(1)
        async with at_work(till.worker(other)):
            await anyio.sleep(1)
            assert [each.type for each in await other.subscriptions()] == ["Pay"]
            assert till.log == []


async def test_a_suspect_waits_for_the_other_workers_of_the_process() -> None:
    # DR-41
    queue, other, till = MemoryQueue(), MemoryQueue(), Till()
    side = Till(20, others=till)
    await suspects(queue, 1)
    await other.put(item(Pay(2)))
    async with at_work(side.worker(other)):
        await anyio.sleep(1)
        async with at_work(till.worker(queue)):
            await anyio.sleep(40)
    assert [beside for _, _, beside in [*till.log, *side.log]] == [1, 1]
    assert side.log[0][1] < till.log[0][1]


async def test_a_worker_that_is_never_idle_rests_when_suspects_wait_so_that_they_have_their_turn() -> None:
    # DR-42
    queue, till = MemoryQueue(), Till(7)
    await suspects(queue, 0)
    async with at_work(till.worker(queue, concurrency=2, lease=30)), always(queue, 1):
        await anyio.sleep(200)
    [(at, beside)] = [(at, beside) for amount, at, beside in till.log if amount == 0]
    assert beside == 1
    assert till.log[-1][1] - at > 100  # it goes on


async def test_suspects_have_their_turn_though_a_worker_gets_other_messages_whenever_it_has_none() -> None:
    # DR-42
    queue, till = MemoryQueue(), Till(7)
    await suspects(queue, 0)
    async with at_work(till.worker(queue, concurrency=1, lease=30)), always(queue, 1):
        await anyio.sleep(200)
    assert 0 in till.amounts


async def test_a_rest_ends_if_a_message_takes_longer_than_a_lease() -> None:
    # DR-42
    queue, slow, till = MemoryQueue(), MemoryQueue(), Till(7)
    long = Till(1000, others=till)
    await suspects(queue, 0)
    await slow.put(item(Pay(9)))
    async with at_work(long.worker(slow)):
        await anyio.sleep(1)
        async with at_work(till.worker(queue, concurrency=2, lease=30)), always(queue, 1):
            await anyio.sleep(250)
    assert 0 not in till.amounts
    gaps = [later - at for at, later in zip(times(till), times(till)[1:], strict=False)]
    assert max(gaps) < 45
    assert len(till.log) > 30


async def test_other_workers_rest_too_and_are_woken_when_the_rest_is_over() -> None:
    # DR-42
    queue, other, till = MemoryQueue(), MemoryQueue(), Till(7)
    side = Till(7, others=till)
    await suspects(queue, 0)
    workers = (till.worker(queue, concurrency=2), side.worker(other, concurrency=2))
    async with at_work(workers[0]), at_work(workers[1]), always(queue, 1), always(other, 2):
        await anyio.sleep(150)
    [beside] = [beside for amount, _, beside in till.log if amount == 0]
    assert beside == 1
    assert len(side.log) > 25


async def test_a_busy_worker_without_suspects_does_not_rest_nor_does_one_whose_queue_cannot_tell() -> None:
    # DR-42
    class Mute(MemoryQueue):
        async def stats(self) -> Stats:
            raise StoreError("mute", "stats")

    for queue in (MemoryQueue(), Mute()):
        till = Till(7)
        async with at_work(till.worker(queue, concurrency=1)), always(queue, 1):
            await anyio.sleep(100)
        assert len(till.log) == 14


async def test_of_several_queues_suspects_come_after_the_messages_of_all() -> None:
    # DR-41
    first, second, till = MemoryQueue(), MemoryQueue(), Till()
    await suspects(first, 1)
    await suspects(second, 2)
    await first.put(item(Pay(3)))
    await second.put(item(Pay(4)))
    await till.worker(first, second).run_until_idle()
    assert (sorted(till.amounts[:2]), till.amounts[2:]) == ([3, 4], [1, 2])


async def test_a_worker_of_several_queues_rests_for_the_one_that_has_suspects() -> None:
    # DR-42
    first, second, till = MemoryQueue(), MemoryQueue(), Till(7)
    await suspects(second, 0)
    async with at_work(till.worker(first, second, concurrency=2)), always(first, 1):
        await anyio.sleep(200)
    assert [beside for amount, _, beside in till.log if amount == 0] == [1]


async def test_a_suspect_of_a_worker_that_is_stopped_is_left_a_suspect_and_others_go_on() -> None:
    # DR-41
    queue, other, till = MemoryQueue(), MemoryQueue(), Till(100)
    side = Till(1)
    await suspects(queue, 1)
    async with at_work(side.worker(other)):
        async with anyio.create_task_group() as tasks:
            worker = till.worker(queue, drain=5)
            tasks.start_soon(worker.run)
            await anyio.sleep(1)
            await other.put(item(Pay(2)))
            worker.stop()
        await anyio.sleep(5)
    assert (side.amounts, till.log) == ([2], [])
    [claim] = await queue.claim(9, 60)
    assert (claim.suspect, claim.attempt) == (True, 1)


async def test_a_message_that_ends_its_process_is_a_dead_letter_after_so_many_attempts_alone() -> None:
    # DR-41
    queue, till = MemoryQueue(), Till()
    await suspects(queue, 1, 2)
    claimed = set[str]()
    for _ in range(3):
        claimed.update([claim.id for claim in await queue.claim(9, 1)])
        await anyio.sleep(2)
    await work_off(till.worker(queue, attempts=3), 100)
    assert {dead.id for dead in await queue.dead()} == claimed
    assert till.amounts == [1]


@pytest.mark.parametrize("jump", [0, 100])
async def test_after_a_jump_of_the_clock_suspects_are_left_to_those_who_are_about_to_renew_them(jump: float) -> None:
    # DR-44
    ahead = 0.0
    queue, till = MemoryQueue(), Till()
    await queue.put(item(Pay(1)), item(Pay(2)))
    claims = await queue.claim(2, 5)
    async with at_work(till.worker(queue, lease=30, clock=lambda: anyio.current_time() + ahead)):
        await anyio.sleep(4)
        ahead += jump  # the machine was suspended: the leases end
        await anyio.sleep(10)
        assert till.begun == (not jump)
        if jump:
            await queue.ack(claims[0])
        await anyio.sleep(30)
    assert till.amounts == ([2] if jump else [2, 1])


def test_occupants_of_a_loop_that_is_over_and_of_another_process_are_no_company() -> None:
    async def make() -> Occupant:
        occupant = Occupant(30, lambda: 1, lambda: None)
        stack = occupant.enter()
        stack.__enter__()
        kept.append(stack)
        return occupant

    async def look() -> None:
        forked = await make()
        forked.process += 1
        mine = Occupant(30, lambda: 0, lambda: None)
        assert mine.takes_suspects
        assert mine.begin_claim() == "last"

    kept: list[Any] = []
    for backend in ("asyncio", "trio"):
        anyio.run(make, backend=backend)
        anyio.run(look, backend=backend)
    kept.clear()


def test_workers_in_the_loops_of_two_threads_are_neighbours() -> None:
    # DR-41
    """One is refused while the other handles a suspect, and woken afterwards."""
    woken: list[str] = []

    async def make(name: str) -> Occupant:
        occupant = Occupant(30, lambda: 0, lambda: woken.append(name))
        kept.append(occupant.enter())
        kept[-1].__enter__()
        return occupant

    kept: list[Any] = []
    with start_blocking_portal("asyncio") as one, start_blocking_portal("trio") as two:
        first, second = one.call(make, "first"), two.call(make, "second")
        assert one.call(first.begin_claim) == "last"
        assert two.call(second.begin_claim) is None
        one.call(lambda: first.end_claim(suspect=True))
        assert two.call(second.begin_claim) is None
        one.call(first.finish)
        two.call(anyio.lowlevel.checkpoint)
        assert woken == ["second"]
        assert two.call(second.begin_claim) == "last"
        for each, portal in zip(kept, (one, two), strict=True):
            portal.call(each.__exit__, None, None, None)


def times(till: Till) -> list[float]:
    return [at for _, at, _ in till.log]


@asynccontextmanager
async def always(queue: MemoryQueue, amount: int) -> AsyncIterator[None]:
    """Have a message put every second."""

    async def go_on() -> None:
        while True:
            await queue.put(item(Pay(amount)))
            await anyio.sleep(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(go_on)
        yield
        tasks.cancel_scope.cancel()
