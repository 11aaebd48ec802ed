"""Messages that are queued under ids that the queue has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.cqrs import Command, CommandBus, Delay, Envelope, Queued
from modd.middleware.enqueue import Enqueue
from modd.ports import Item, Queue
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import Worker

pytestmark = pytest.mark.anyio


class Sync(Command[None]):
    number: int


class Tick(Command[None]):
    pass


class Plan(Command[None]):
    pass


@asynccontextmanager
async def queue_of(kind: str, path: Path) -> AsyncIterator[Queue]:
    """A queue in memory, or in a file, where handlers run in transactions."""
    if kind == "memory":
        yield MemoryQueue()
    else:
        async with SqliteStore(path / "store.db") as store:
            yield store.queue("jobs")


kinds = pytest.mark.parametrize("kind", ["memory", "file"])


async def dispatched(bus: Any, message: Command[None], *stamps: Any, id: str = "one") -> Queued:
    """The stamp with which the dispatch of a message under an id ends."""
    stamp = (await bus.dispatch(Envelope(message, *stamps, id=id))).envelope.last(Queued)
    assert isinstance(stamp, Queued)
    return stamp


@kinds
async def test_the_sender_is_told_that_the_queue_has_a_message_with_this_id(kind: str, tmp_path: Path) -> None:
    # DR-51
    async def sync(command: Sync) -> None:
        synced.append(command.number)

    synced: list[int] = []
    async with queue_of(kind, tmp_path) as queue:
        bus = CommandBus([sync], middleware=[Enqueue(queue)], clock=lambda: 100.0)
        assert await dispatched(bus, Sync(1)) == Queued(at=100.0, duplicate=False)
        assert await dispatched(bus, Sync(2)) == Queued(at=100.0, duplicate=True)
        assert await dispatched(bus, Sync(3), id="two") == Queued(at=100.0, duplicate=False)
        await Worker(queue, bus, max_messages=2).run()
        assert sorted(synced) == [1, 3]


async def test_in_a_transaction_that_defers_its_writes_the_commit_decides(tmp_path: Path) -> None:
    # DR-51
    async def sync(command: Sync) -> None:
        pass

    async with SqliteStore(tmp_path / "store.db") as store:
        queue = store.queue("jobs")
        bus = CommandBus([sync], middleware=[Enqueue(queue)])
        async with store.transaction():
            assert [(await dispatched(bus, Sync(number))).duplicate for number in (1, 2)] == [None, None]
            results = await queue.put(b"", Item(b""), Item(b"", id="mine"))
            assert [result.duplicate for result in results] == [False, False, None]
        assert (await queue.stats()).ready == 4
        async with store.transaction(immediate=True):
            assert (await dispatched(bus, Sync(3))).duplicate is True


@kinds
@pytest.mark.parametrize(("unique", "told", "wanted"), [("until-done", True, [1]), ("until-started", False, [1, 2])])
async def test_a_message_that_comes_while_the_one_with_its_id_is_handled_is_handled_too_or_its_sender_is_told(
    kind: str, tmp_path: Path, unique: Any, told: bool, wanted: list[int]
) -> None:
    # DR-52
    synced: list[int] = []
    async with queue_of(kind, tmp_path) as queue:
        bus = CommandBus(
            {Sync: lambda command: synced.append(command.number)}, middleware=[Enqueue(queue, unique=unique)]
        )
        await dispatched(bus, Sync(1))
        [claim] = await queue.claim(1, 60)
        assert (await dispatched(bus, Sync(2))).duplicate is told
        assert (await dispatched(bus, Sync(3))).duplicate is True
        await queue.release(claim)
        await Worker(queue, bus, max_messages=len(wanted)).run()
        assert sorted(synced) == wanted


async def test_the_time_of_uniqueness_may_differ_by_type() -> None:
    # DR-52
    queue = MemoryQueue()
    enqueue = Enqueue(queue, intents={Sync: {"unique": "until-started"}})
    bus = CommandBus({Sync: print, Tick: print}, middleware=[enqueue])
    await dispatched(bus, Sync(1), id="sync")
    await dispatched(bus, Tick(), id="tick")
    await queue.claim(2, 60)
    assert (await dispatched(bus, Sync(2), id="sync")).duplicate is False
    assert (await dispatched(bus, Tick(), id="tick")).duplicate is True


def test_a_time_of_uniqueness_that_does_not_exist_is_an_error() -> None:
    # DR-52
    wrong: Any = "always"
    with pytest.raises(InvalidOption, match=r"unique='always': give \"until-done\" or \"until-started\""):
        Enqueue(MemoryQueue(), unique=wrong)
    with pytest.raises(InvalidOption, match="unique='always'"):
        Item(b"", unique=wrong)


@kinds
async def test_a_job_that_plans_its_next_run_under_its_own_id_goes_on(kind: str, tmp_path: Path) -> None:
    # DR-53: also by way of a second command, and one next run at a time
    async def tick(command: Tick) -> None:
        ticks.append(1)
        await around.dispatch(Plan())

    async def plan(command: Plan) -> None:
        for _ in range(2):
            await dispatched(bus, Tick(), Delay(seconds=0.001), id="tick")

    ticks: list[int] = []
    async with queue_of(kind, tmp_path) as queue:
        bus = CommandBus([tick, plan], middleware=[Enqueue(queue, intents={Plan: {"enabled": False}})])
        around = Bus([bus])
        await dispatched(bus, Tick(), id="tick")
        await Worker(queue, bus, max_messages=4, poll=0.001).run()
        assert len(ticks) == 4
        stats = await queue.stats()
        assert (stats.ready + stats.delayed, stats.leased, stats.dead) == (1, 0, 0)


@kinds
async def test_a_run_that_fails_leaves_one_next_run(kind: str, tmp_path: Path) -> None:
    # DR-53
    async def tick(command: Tick) -> None:
        ticks.append(1)
        await dispatched(bus, Tick(), Delay(seconds=3600), id="tick")
        if len(ticks) == 1:
            raise ConnectionError

    ticks: list[int] = []
    async with queue_of(kind, tmp_path) as queue:
        bus = CommandBus([tick], middleware=[Enqueue(queue)])
        await dispatched(bus, Tick(), id="tick")
        await Worker(queue, bus, max_messages=2, backoff=lambda attempt: 0).run()
        assert len(ticks) == 2
        assert (await queue.stats()).delayed == 1
