"""Timers of one name in several processes, which fire each slot once between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.app import cron, every
from modd.cqrs import CommandBus
from modd.middleware import Enqueue
from modd.ports import AlreadyHandled, Inbox, Queue
from modd.stores import MemoryInbox, MemoryStore, SqliteStore
from tests.app.clocks import SystemClock
from tests.app.timed import Remind, Times, run_for, running
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def inboxes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Inbox]]:
    """The inbox of two processes: one object, or that of two stores on one file."""
    if request.param == "memory":
        inbox = MemoryInbox()
        yield [inbox, inbox]
        return
    async with AsyncExitStack() as stack:
        stores = [SqliteStore(tmp_path / "shop.db", clock=anyio.current_time) for _ in range(2)]
        yield [(await stack.enter_async_context(store)).inbox for store in stores]


async def test_of_two_timers_of_one_name_one_fires_each_slot(inboxes: list[Inbox]) -> None:
    # AP-22
    clock, times = SystemClock("2026-06-01T05:00:30"), Times()
    await run_for(600, *(every(60, Remind(), to=times, once=inbox, clock=clock) for inbox in inboxes))
    assert len(times.times) == 11  # that of the start, and ten more
    assert await inboxes[0].has("timer/Remind/2026-06-01T05:00:00Z")
    assert await inboxes[0].has("timer/Remind/2026-06-01T05:10:00Z")


@pytest.mark.costly
async def test_slots_of_cron_are_fired_once_too(inboxes: list[Inbox]) -> None:
    # AP-22
    clock, times = SystemClock("2026-06-01T05:00:30"), Times()
    await run_for(7200, *(cron("0 * * * *", Remind(), to=times, once=inbox, clock=clock) for inbox in inboxes))
    assert len(times.times) == 3
    assert await inboxes[1].has("timer/Remind/2026-06-01T06:00:00Z")


async def test_without_an_inbox_each_process_fires() -> None:
    # AP-22
    times = Times()
    await run_for(35, every(10, Remind(), to=times), every(10, Remind(), to=times))
    assert len(times.times) == 6


async def test_timers_of_two_names_fire_both(inboxes: list[Inbox]) -> None:
    times, clock = Times(), SystemClock("2026-06-01T05:00:30")
    timers = [
        every(60, Remind(), to=times, once=inbox, clock=clock, name=name)
        for name, inbox in zip("ab", inboxes, strict=True)
    ]
    await run_for(40, *timers)
    assert len(times.times) == 4


@pytest.mark.costly
async def test_a_process_that_was_down_at_the_slot_fires_the_latest_one_at_its_start(inboxes: list[Inbox]) -> None:
    # AP-23
    clock, times = SystemClock("2026-06-01T05:00:30"), Times()
    first, second = (every(3600, Remind(), to=times, once=inbox, clock=clock) for inbox in inboxes)
    await run_for(600, first)
    assert len(times.times) == 1
    await run_for(600, second)
    assert len(times.times) == 1  # this slot was fired
    await anyio.sleep(3 * 3600)
    await run_for(600, second)
    assert len(times.times) == 2  # the latest of three
    await run_for(600, first)
    assert len(times.times) == 2


@pytest.mark.parametrize("queued", [False, True])
async def test_a_slot_that_is_made_up_for_is_logged_by_the_process_that_fires_it(
    queued: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-71
    caplog.set_level("INFO", "modd.app")
    store, clock = MemoryStore(), SystemClock("2026-06-01T07:19:00")
    to: Any = CommandBus({Remind: print}, middleware=[Enqueue(store.queue("reminders"))]) if queued else Times()
    timers = [
        cron("0 * * * *", Remind(), to=to, tz="Europe/Berlin", once=store.inbox, clock=clock, name="nightly")
        for _ in range(2)
    ]
    await run_for(3600, *timers)
    assert caplog.messages == ["the timer nightly makes up for 2026-06-01T07:00:00Z"]


async def test_a_slot_that_comes_while_the_timer_runs_is_not_made_up_for(caplog: pytest.LogCaptureFixture) -> None:
    # AP-71
    caplog.set_level("INFO", "modd.app")
    times = Times()
    clock = SystemClock("2026-06-01T05:00:00")
    await run_for(
        90, every(60, Remind(), to=times, at_once=True), every(60, Remind(), to=times, once=MemoryInbox(), clock=clock)
    )
    assert len(times.times) == 4
    assert caplog.messages == []


async def test_cron_makes_up_for_a_slot_of_the_last_day_only() -> None:
    # AP-23
    inbox = MemoryInbox()
    for begin, fired in [("2026-06-02T05:29:00", 1), ("2026-06-02T05:31:00", 0)]:
        times = Times()
        timer = cron("30 5 1 * *", Remind(), to=times, once=inbox, clock=SystemClock(begin), name=begin)
        await run_for(10, timer)
        assert len(times.times) == fired


async def test_a_period_longer_than_the_memory_of_an_inbox_makes_up_for_a_week() -> None:
    inbox, times = MemoryInbox(), Times()
    month = 30 * 86_400
    clock = SystemClock("1970-01-31T00:00:10")
    timer = every(month, Remind(), to=times, once=inbox, clock=clock)
    await run_for(10, timer)
    await anyio.sleep(8 * 86_400)
    await run_for(10, timer)
    assert len(times.times) == 1


@pytest.mark.costly
@pytest.mark.parametrize(("hours", "fired"), [(0.5, 2), (1.5, 1)])
@pytest.mark.parametrize("kind", ["every", "cron"])
async def test_a_slot_that_is_older_than_the_retention_of_the_inbox_is_not_made_up_for(
    kind: str, hours: float, fired: int, tmp_path: Path
) -> None:
    # AP-77
    clock = SystemClock("2026-06-01T23:50:00")
    for store in MemoryStore(retention=3600), SqliteStore(tmp_path / "shop.db", retention=3600, clock=clock):
        async with store:
            times = Times()
            clock.set("2026-06-01T23:50:00")
            if kind == "every":
                timer = every(86_400, Remind(), to=times, once=store.inbox, clock=clock)
            else:
                timer = cron("0 0 * * *", Remind(), to=times, once=store.inbox, clock=clock)
            await run_for(1200, timer)
            clock.set("2026-06-03T00:00:00")
            await anyio.sleep(hours * 3600)
            await run_for(10, timer)
            assert len(times.times) == fired


async def test_a_process_that_starts_again_after_the_retention_fires_no_slot_twice() -> None:
    # AP-77
    inbox, times = MemoryInbox(retention=3600), Times()
    clock = SystemClock("2026-06-01T23:50:00")
    timer = every(86_400, Remind(), to=times, once=inbox, clock=clock)
    await run_for(1200, timer)
    await anyio.sleep(7200)
    await run_for(10, timer)
    assert len(times.times) == 1


class ForgetfulInbox:
    """An inbox that tells no retention."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def add(self, id: str) -> None:
        """Note an id."""
        self.ids.append(id)

    async def has(self, id: str) -> bool:
        """Return True for a noted id."""
        return id in self.ids


async def test_an_inbox_that_tells_no_retention_counts_as_one_of_a_week() -> None:
    # AP-77
    month = 30 * 86_400
    for days, count in [(6, 1), (8, 0)]:
        inbox = ForgetfulInbox()
        clock = SystemClock("1970-01-31T00:00:10")
        await anyio.sleep(days * 86_400)
        await run_for(10, every(month, Remind(), to=Times(), once=inbox, clock=clock))
        assert len(inbox.ids) == count


async def test_a_slot_of_less_than_a_second_has_a_name_of_its_own() -> None:
    inbox, times = MemoryInbox(), Times()
    await run_for(1, every(0.25, Remind(), to=times, once=inbox, clock=SystemClock("2026-06-01T05:00:00.1")))
    assert len(times.times) == 5
    assert await inbox.has("timer/Remind/2026-06-01T05:00:00.750000Z")


@pytest.mark.parametrize("setting", ["2026-06-01T03:00:00", "2026-06-01T09:00:00"])
async def test_every_goes_on_at_its_pace_when_the_clock_is_set_back_or_forward(setting: str) -> None:
    inbox, times = MemoryInbox(), Times()
    clock = SystemClock("2026-06-01T05:00:00")
    async with running(every(600, Remind(), to=times, once=inbox, clock=clock)):
        await anyio.sleep(610)
        clock.set(setting)
        await anyio.sleep(1810)
    gaps = [after - before for before, after in zip(times.times, times.times[1:], strict=False)]
    assert 5 <= len(times.times) <= 6
    assert max(gaps) <= 600.001


async def test_a_slot_that_is_being_fired_is_in_the_inbox_so_a_process_that_dies_then_leaves_it_out() -> None:
    # AP-22
    inbox, asked = MemoryInbox(), list[bool]()

    async def ask(message: Remind) -> None:
        asked.append(await inbox.has("timer/Remind/2026-06-01T05:00:00Z"))

    await run_for(10, every(60, Remind(), to=ask, once=inbox, clock=SystemClock("2026-06-01T05:00:30")))
    assert asked == [True]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """A store with transactions."""
    async with MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "shop.db") as store:
        yield store


class Full(Exception):
    """A queue takes no more."""


class FullQueue:
    """The queue of a store that refuses items at first."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self.refuses = queue, True
        self.store: Any = queue.store  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def put(self, *items: Any) -> Any:
        """Put items, or raise."""
        if self.refuses:
            raise Full
        return await self._queue.put(*items)


async def test_slot_and_message_are_one_commit_if_the_queue_is_of_the_store_of_the_inbox(store: Any) -> None:
    # AP-22
    queue: Any = FullQueue(store.queue("reminders"))
    bus = CommandBus({Remind: print}, middleware=[Enqueue(queue)])
    timer = every(60, Remind(), to=bus, once=store.inbox, clock=SystemClock("2026-06-01T05:00:30"))
    slot = "timer/Remind/2026-06-01T05:00:00Z"
    await run_for(10, timer)
    assert not await store.inbox.has(slot)
    queue.refuses = False
    await run_for(10, timer)
    assert await store.inbox.has(slot)
    await run_for(10, timer)
    assert (await queue.stats()).ready == 1


@pytest.mark.parametrize("kind", ["function", "called at once", "other store", "no bus"])
async def test_otherwise_a_slot_that_failed_stays_in_the_inbox(kind: str) -> None:
    # AP-22
    store, slot = MemoryStore(), "timer/remind/2026-06-01T05:00:00Z"
    queue: Any = FullQueue((MemoryStore() if kind == "other store" else store).queue("reminders"))

    async def fail(message: Remind) -> None:
        raise Full

    bus = CommandBus({Remind: fail}, middleware=[Enqueue(queue, enabled=kind != "called at once")])
    timer = every(
        60,
        (lambda: Remind()) if kind == "function" else Remind(),
        to=fail if kind == "no bus" else bus,
        once=store.inbox,
        clock=SystemClock("2026-06-01T05:00:30"),
        name="remind",
    )
    await run_for(10, timer)
    assert await store.inbox.has(slot)


async def test_an_id_that_the_receiver_has_handled_is_a_failure_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-22
    async def handle(message: Remind) -> None:
        raise AlreadyHandled("order-7")

    await run_for(11, every(10, Remind(), to=handle))
    assert "order-7" in caplog.text
