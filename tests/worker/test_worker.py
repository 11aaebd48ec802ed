"""A worker handles each queued message once, and ends when it is stopped."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus
from modd.cqrs import Command, CommandBus, EventBus, InvalidHandler, Query, QueryBus, WrongBus
from modd.middleware import Enqueue
from modd.ports import Stats
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import AlreadyRunning, Worker
from tests.worker.desk import Paid, Pay, Ship, at_work, item, work_off
from tests.worker.flaky import Plain

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


@pytest.mark.costly
async def test_what_is_queued_is_handled_once_and_gone() -> None:
    queue, done = MemoryQueue(), list[Any]()
    bus = CommandBus({Pay: done.append})
    await queue.put(*[item(Pay(n)) for n in range(20)])
    await work_off(Worker(queue, bus))
    assert sorted(pay.amount for pay in done) == [*range(20)]
    assert await queue.stats() == EMPTY


async def test_one_configuration_serves_who_queues_and_who_works() -> None:
    # ST-34
    queue, done = MemoryQueue(), list[Any]()
    bus = CommandBus({Pay: done.append}, middleware=[Enqueue(queue)])
    async with at_work(Worker(queue, bus)):
        await bus.dispatch(Pay(5))
        await anyio.sleep(1)
    assert done == [Pay(5)]


async def test_no_more_is_claimed_than_there_are_free_slots_for() -> None:
    # ST-35
    queue, most = MemoryQueue(), 0

    async def pay(command: Pay) -> None:
        nonlocal most
        most = max(most, (await queue.stats()).leased)
        await anyio.sleep(10)

    await queue.put(*[item(Pay(n)) for n in range(9)])
    worker = Worker(queue, CommandBus([pay]), concurrency=3)
    async with at_work(worker):
        await anyio.sleep(5)
        assert (worker.in_flight, (await queue.stats()).leased) == (3, 3)
        await anyio.sleep(50)
    assert most == 3
    assert await queue.stats() == EMPTY


async def test_what_has_one_key_is_handled_in_order_and_other_keys_beside_it() -> None:
    # ST-36
    queue, log = MemoryQueue(), list[Any]()

    async def pay(command: Pay) -> None:
        log.append(("+", command.amount))
        await anyio.sleep(1)
        log.append(("-", command.amount))

    await queue.put(*[item(Pay(n), key="a" if n < 10 else "b") for n in (1, 2, 11, 12)])
    started = anyio.current_time()
    await work_off(Worker(queue, CommandBus([pay]), max_messages=4))
    assert anyio.current_time() - started < 2.5
    for one in ((1, 2), (11, 12)):
        assert [entry for entry in log if entry[1] in one] == [(sign, n) for n in one for sign in "+-"]


@pytest.mark.unmeasured
@pytest.mark.costly
async def test_the_first_queue_is_more_urgent() -> None:
    # ST-37
    urgent, other, done = MemoryQueue(), MemoryQueue(), list[Any]()
    await other.put(*[item(Pay(n)) for n in range(3)])
    await urgent.put(*[item(Pay(100 + n)) for n in range(3)])
    await work_off(Worker([urgent, other], CommandBus({Pay: done.append}), concurrency=1))
    assert [pay.amount for pay in done] == [100, 101, 102, 0, 1, 2]


async def test_work_that_comes_is_begun_at_once_in_any_of_several_queues() -> None:
    # ST-37
    queues, at = [MemoryQueue(), MemoryQueue()], list[float]()
    bus = CommandBus({Pay: lambda pay: at.append(anyio.current_time())})
    async with at_work(Worker(queues, bus, poll=60)):
        for queue in queues * 2:
            await anyio.sleep(10)
            begun = anyio.current_time()
            await queue.put(item(Pay()))
            await anyio.wait_all_tasks_blocked()
            assert at[-1] == begun
    assert len(at) == 4


async def test_a_queue_that_does_not_tell_is_looked_into_now_and_then_and_after_each_message() -> None:
    queue, done = MemoryQueue(), list[Any]()
    plain: Any = Plain(queue)
    async with at_work(Worker(plain, CommandBus({Pay: done.append}), poll=4)):
        await anyio.sleep(10)
        await queue.put(*[item(Pay(n), key="k") for n in range(3)])
        await anyio.sleep(5.1)
        assert len(done) == 3


async def test_a_bus_has_the_typed_buses_inside_served_to_any_depth() -> None:
    queue, done = MemoryQueue(), list[Any]()
    inner = Bus([CommandBus({Ship: done.append})], name="shipping")
    bus = Bus([CommandBus({Pay: done.append}, name="paying"), QueryBus(), inner])
    await queue.put(item(Pay(3)), item(Ship("bob")))
    await work_off(Worker(queue, bus))
    assert sorted(done, key=repr) == [Pay(3), Ship("bob")]


async def test_after_so_many_messages_it_ends_by_itself() -> None:
    queue, done = MemoryQueue(), list[Any]()
    await queue.put(*[item(Pay(n)) for n in range(9)])
    await Worker(queue, CommandBus({Pay: done.append}), max_messages=5).run()
    assert len(done) == 5
    assert await queue.stats() == Stats(ready=4, delayed=0, leased=0, dead=0)


async def test_after_so_many_seconds_it_ends_by_itself() -> None:
    started = anyio.current_time()
    await Worker(MemoryQueue(), CommandBus({Pay: print}), max_age=90).run()
    assert anyio.current_time() - started == 90


async def test_it_tells_when_it_last_looked() -> None:
    # ST-54
    now = 7.0
    worker = Worker(MemoryQueue(), CommandBus({Pay: print}), clock=lambda: now)
    polled = [worker.last_polled]
    await work_off(worker, 3)
    assert [*polled, worker.last_polled, worker.in_flight] == [None, 7.0, 0]


async def test_it_runs_once_at_a_time_and_again_afterwards() -> None:
    worker = Worker(MemoryQueue(), CommandBus({Pay: print}))
    async with at_work(worker):
        await anyio.sleep(1)
        with pytest.raises(AlreadyRunning, match=r"<Worker of commands> is running; run it once at a time"):
            await worker.run()
    await work_off(worker, 3)


async def test_a_bus_is_opened_while_it_runs_and_one_that_is_open_stays_open() -> None:
    bus = CommandBus({Pay: print})
    around = Bus([bus])
    worker = Worker(MemoryQueue(), bus)
    async with at_work(worker):
        await anyio.sleep(1)
        assert around.is_open
        assert bus.is_open
    assert not around.is_open
    async with around:
        await work_off(worker, 1)
        assert bus.is_open


class Count(Query[int]):
    pass


class Late(Command[None]):
    pass


def test_queries_are_not_for_workers() -> None:
    with pytest.raises(WrongBus, match="the sender of a query waits for its result"):
        Worker(MemoryQueue(), QueryBus({Count: lambda count: 1}))


def test_a_handler_registered_twice_is_the_bus_that_says_so() -> None:
    with pytest.raises(InvalidHandler):
        CommandBus({Pay: print}).register(Pay, print)
    assert repr(Worker(MemoryQueue(), EventBus({Paid: print}))) == "<Worker of events>"


def test_a_worker_is_called_by_its_queues_in_its_repr_and_in_the_log() -> None:
    # AP-82
    store = SqliteStore("shop.db")
    queues: list[Any] = [store.queue("commands"), MemoryQueue(), store.queue("events")]
    worker = Worker(queues, CommandBus({Pay: print}))
    assert (repr(worker), worker.label) == ("<Worker commands, events>", "worker commands, events")
    assert Worker(MemoryQueue(), CommandBus({Pay: print})).label == "worker"
