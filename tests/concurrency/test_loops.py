"""What is made at import time is used in one loop after another, and from threads with loops of their own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count as count_from
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from modd import Bus, InOtherLoop, Message, OpenedInOtherTask
from modd.concurrency.loops import KnownLoops, LoopEvent, current_loop, describe_loop, loop_time_of, steady_time
from modd.core.gate import REMOVED
from modd.cqrs import CircuitOpen, Command, CommandBus, NotOpen, Query, QueryBus, RateLimited
from modd.middleware import Cacher, CircuitBreaker, Enqueue, Idempotency, Lock, Logger, RateLimit, Retryer, Timeout
from modd.middleware.webhook.addresses import AddressFilter
from modd.middleware.webhook.client import ConnectionPool
from modd.relay import Relay
from modd.stores import MemoryCache, MemoryEventStore, MemoryInbox, MemoryLocks, MemoryOutbox, MemoryQueue, SqliteStore
from modd.testing import run_virtual
from modd.worker import Worker


def run(function: Callable[..., Awaitable[Any]], *args: Any, backend: str) -> Any:
    """Run an async function in a new loop."""
    return anyio.run(function, *args, backend=backend)


Wait: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
LOOPS = ("asyncio", "trio")
SEQUENCE = ("asyncio", "trio", "trio", "asyncio", "asyncio", "trio")
both = pytest.mark.parametrize("backend", LOOPS)


class Hit(Message):
    n: int = 0


class Ping(Command[int]):
    pass


class Job(Command[None]):
    pass


class Rate(Query[int]):
    pass


class Thread:
    """A loop in a thread of its own: `hold` is what it does until `release`."""

    def __init__(self, backend: str, work: Callable[[Wait], Awaitable[Any]]) -> None:
        self.began, self.released = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1, "holder")
        self._done = self._pool.submit(run, work, self._wait, backend=backend)

    async def _wait(self) -> None:
        self.began.set()
        await to_thread.run_sync(self.released.wait)

    def __enter__(self) -> Thread:
        assert self.began.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._pool.shutdown()

    @property
    def result(self) -> Any:
        return self._done.result(10)


@both
@pytest.mark.parametrize("other", LOOPS)
@pytest.mark.parametrize("exclusive", [True, lambda message: "key"])
def test_a_sender_in_another_loop_waits_until_the_turn_has_ended(backend: str, other: str, exclusive: Any) -> None:
    # DF-2
    order: list[str] = []

    async def work(wait: Wait) -> None:
        async def component(message: Hit) -> None:
            order.append(f"{message.n} begins")
            if message.n == 1:
                await wait()
            order.append(f"{message.n} ends")

        bus.add(component)
        await bus(Hit(1))

    async def send_and_release() -> None:
        async with anyio.create_task_group() as tasks:
            for n in (2, 3):
                tasks.start_soon(bus, Hit(n))
                await anyio.wait_all_tasks_blocked()
            holder.released.set()

    bus = Bus(name="state", exclusive=exclusive)
    with Thread(backend, work) as holder:
        anyio.run(send_and_release, backend=other)
        assert holder.result is None
    assert order == [f"{n} {step}" for n in (1, 2, 3) for step in ("begins", "ends")]
    assert bus.keyed_gates is None or len(bus.keyed_gates) == 0


@both
def test_a_sender_waits_for_a_component_that_blocks_the_thread_of_another_loop(backend: str) -> None:
    # DF-2
    began, release = threading.Event(), threading.Event()
    order: list[int] = []

    def block(message: Hit) -> None:
        if message.n:
            began.set()
            assert release.wait(10)
        order.append(message.n)

    async def send_and_release() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus, Hit())
            await anyio.wait_all_tasks_blocked()
            release.set()

    bus = Bus([block])
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, bus, Hit(1), backend=backend)
        assert began.wait(10)
        anyio.run(send_and_release, backend=backend)
        assert done.result(10) == ()
    assert order == [1, 0]


@pytest.mark.costly
@pytest.mark.parametrize("exclusive", [True, lambda message: message.n % 2])
@pytest.mark.parametrize("is_async", [True, False])
def test_turns_of_loops_in_several_threads_do_not_overlap(exclusive: Any, is_async: bool) -> None:
    # DF-2
    inside, seen = Counter[int](), Counter[str]()

    def count(message: Hit) -> None:
        inside[message.n % 2] += 1
        seen["overlapped" if inside[message.n % 2] > (1 if callable(exclusive) else 2) else "apart"] += 1
        spin(message.n)
        inside[message.n % 2] -= 1

    async def count_with_a_pause(message: Hit) -> None:
        inside[message.n % 2] += 1
        seen["overlapped" if inside[message.n % 2] > 1 else "apart"] += 1
        await checkpoint()
        inside[message.n % 2] -= 1

    async def send() -> None:
        for n in range(400):
            await bus(Hit(n))

    bus = Bus([count_with_a_pause if is_async else count], exclusive=exclusive)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(run, send, backend=LOOPS[n % 2]) for n in range(4)]
            for each in done:
                each.result(60)
    finally:
        sys.setswitchinterval(before)
    assert seen == {"apart": 1600}
    assert bus.keyed_gates is None or len(bus.keyed_gates) == 0


def spin(n: int) -> int:
    """Let other threads run, if the interpreter wants to."""
    return sum(range(n % 7))


def test_a_turn_whose_loop_was_closed_gives_its_bus_up() -> None:
    # DF-2
    async def stay(message: Hit) -> None:
        if message.n:
            await asyncio.Event().wait()

    for bus in (Bus([stay]), Bus([Bus([stay])], exclusive=True), Bus([stay], exclusive=lambda message: 1)):
        loop = asyncio.new_event_loop()
        task = loop.create_task(bus(Hit(1)))
        waiting = loop.create_task(bus(Hit(1)))
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        for backend in LOOPS:
            assert run(within_time, bus, Hit(), backend=backend) == ()
        for each in (task, waiting):
            drop(each)
        assert anyio.run(bus, Hit()) == ()


def drop(task: Any) -> None:
    """Close a task of a loop that is closed; its cancel scopes miss the loop."""
    task._log_destroy_pending = False
    with suppress(RuntimeError):
        task.get_coro().close()


async def within_time(bus: Any, *args: Any) -> Any:
    with anyio.fail_after(30):
        return await bus(*args)


async def fail_before_another_sender(bus: Any) -> None:
    """Send in front of another sender of the same loop, which leaves it to the first to look after the holder."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus, Hit())
            with pytest.raises(InOtherLoop, match="state is in use by an event loop that does not run") as caught:
                await bus(Hit())
            assert caught.value.name == "state" and "Loop" in caught.value.loop
            tasks.cancel_scope.cancel()


def test_a_turn_whose_loop_does_not_run_is_an_error_that_names_the_loop() -> None:
    # DF-2
    released: list[asyncio.Event] = []

    async def stay(message: Hit) -> None:
        if message.n:
            released.append(asyncio.Event())
            await released[0].wait()

    bus = Bus([stay], name="state")
    loop = asyncio.new_event_loop()
    task = loop.create_task(bus(Hit(1)))
    loop.run_until_complete(asyncio.sleep(0))
    run(fail_before_another_sender, bus, backend="asyncio")
    released[0].set()
    assert loop.run_until_complete(task) == ()
    loop.close()
    assert anyio.run(bus, Hit()) == ()


def test_a_place_in_the_line_of_a_loop_that_was_closed_is_passed_over() -> None:
    # DF-2
    async def stay(message: Hit) -> None:
        if message.n:
            began.set()
            await to_thread.run_sync(release.wait)

    async def send_last() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(within_time, bus, Hit())
            await anyio.wait_all_tasks_blocked()
            release.set()

    bus, began, release = Bus([stay]), threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(run, bus, Hit(1), backend="asyncio")
        assert began.wait(10)
        loop = asyncio.new_event_loop()
        second = loop.create_task(bus(Hit()))
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        anyio.run(send_last, backend="trio")
        assert holder.result(10) == ()
    drop(second)
    assert anyio.run(bus, Hit()) == ()


@both
def test_keys_that_take_turns_with_no_key_keep_apart(backend: str) -> None:
    # MO-8
    part: list[int] = []

    async def stay(message: Hit) -> None:
        part.append(message.n)
        await checkpoint()

    async def main() -> None:
        bus = Bus([lambda message: None], exclusive=lambda message: message.n or None)
        for _ in range(3):
            await bus(Hit())
        bus.add(stay)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(bus, Hit(1))

    anyio.run(main, backend=backend)
    assert part == [1, 1, 1]


@both
def test_one_of_two_loops_fills_the_cache_and_the_other_waits_for_it(backend: str) -> None:
    # DF-2
    waits: list[Wait] = []
    asked: list[int] = []

    async def rate(query: Rate) -> int:
        asked.append(1)
        if waits:
            await waits.pop()()
        return 1

    bus = QueryBus([rate], middleware=[Cacher(ttl=60, stale_ttl=0)])

    async def work(wait: Wait) -> int:
        waits.append(wait)
        return await bus.ask(Rate())

    async def ask_and_release() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.ask, Rate())
            await anyio.wait_all_tasks_blocked()
            holder.released.set()

    with Thread(backend, work) as holder:
        anyio.run(ask_and_release, backend=backend)
        assert holder.result == 1
    assert asked == [1]


def test_limits_count_real_time_from_loop_to_loop() -> None:
    # DF-2
    def ping(command: Ping) -> int:
        return 1

    per = 1000.0
    limit = CommandBus([ping], middleware=[RateLimit(3, per=per)])
    for backend in SEQUENCE[:3]:
        anyio.run(limit.ask, Ping(), backend=backend)
    for backend in SEQUENCE:
        with pytest.raises(RateLimited) as refused:
            anyio.run(limit.ask, Ping(), backend=backend)
        assert per - 60 < refused.value.retry_after <= per

    def broken(command: Ping) -> int:
        raise OSError("down")

    circuit = CommandBus([broken], middleware=[CircuitBreaker(1, reset_after=per)])
    with pytest.raises(OSError, match="down"):
        anyio.run(circuit.ask, Ping(), backend="trio")
    for backend in SEQUENCE:
        with pytest.raises(CircuitOpen) as open_:
            anyio.run(circuit.ask, Ping(), backend=backend)
        assert per - 60 < open_.value.retry_after <= per


def test_time_goes_on_from_a_virtual_loop_to_a_real_one() -> None:
    # DF-2
    async def look(seconds: float) -> tuple[float, float]:
        first = steady_time()
        await anyio.sleep(seconds)
        second = steady_time()
        assert loop_time_of(second) == pytest.approx(anyio.current_time(), abs=1)
        return first, second

    times: list[float] = []
    begun = monotonic()
    for backend in LOOPS:
        times += run_virtual(look, 3600, backend=backend)
        times += anyio.run(look, 0.001, backend=backend)
    assert times == sorted(times)
    real = monotonic() - begun
    assert times[-1] - times[0] == pytest.approx(7200 + real, abs=1)


@pytest.mark.parametrize("backends", [SEQUENCE, SEQUENCE[::-1]])
def test_stores_of_this_process_serve_one_loop_after_another(backends: tuple[str, ...]) -> None:
    # DF-2
    queue, outbox, locks, inbox = MemoryQueue(), MemoryOutbox(), MemoryLocks(), MemoryInbox(1000)

    async def first() -> None:
        await queue.put(b"1", b"2")
        await queue.claim(1, 1000)
        await outbox.put(b"1")
        await outbox.claim(1, 1000)
        assert await locks.acquire("key", 1000, "token")
        await inbox.add("id")

    async def later() -> None:
        assert (await queue.stats()).leased == 1
        assert await outbox.claim(1, 1000) == []
        assert not await locks.acquire("key", 1000, "other")
        assert await inbox.has("id")
        with anyio.move_on_after(0.01) as scope:
            await outbox.wait(1000)
        assert scope.cancelled_caught

    anyio.run(first, backend=backends[0])
    for backend in backends:
        anyio.run(later, backend=backend)


@both
@pytest.mark.parametrize("other", LOOPS)
def test_who_waits_in_one_loop_is_woken_from_another(backend: str, other: str) -> None:
    # DF-2
    queue = MemoryQueue()

    async def work(wait: Wait) -> float:
        begun = monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await queue.wait(8)
        return monotonic() - begun

    with Thread(backend, work) as holder:
        anyio.run(queue.put, b"1", backend=other)
        holder.released.set()
        assert holder.result < 7


def test_an_event_of_a_loop_that_is_over_is_set_without_an_error() -> None:
    # DF-2
    async def make() -> LoopEvent:
        return LoopEvent()

    for backend in LOOPS:
        event = anyio.run(make, backend=backend)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(event.set).result()
        assert not event.is_set()


class Later:
    """A middleware with work for the background."""

    background_work = "later"

    async def __call__(self, envelope: Any, call_next: Any) -> None:
        await call_next(envelope)
        envelope.bus.start(anyio.sleep, 0)


@both
def test_work_in_the_background_is_started_in_the_loop_that_opened_the_bus(backend: str) -> None:
    # DF-2
    bus = CommandBus({Ping: lambda ping: 1}, middleware=[Later()])

    async def work(wait: Wait) -> str:
        async with bus:
            await wait()
        return "closed"

    async def open_again() -> None:
        async with bus:
            raise NotImplementedError

    with Thread(backend, work) as holder:
        for use in (partial(bus.ask, Ping()), open_again):
            with pytest.raises(InOtherLoop, match="commands is in use by"):
                anyio.run(use, backend=backend)
        holder.released.set()
        assert holder.result == "closed"


def test_buses_workers_and_relays_made_once_work_in_one_loop_after_another() -> None:
    # DF-2
    done: list[int] = []

    async def work(job: Job) -> None:
        done.append(1)

    outbox, queue = MemoryOutbox(), MemoryQueue()
    lock = Lock(lambda envelope: "key")
    bus = Bus([CommandBus([work], middleware=[Idempotency(), lock, Enqueue(queue)])], name="app")
    worker = Worker(queue, bus, max_messages=1)
    relay, target = Relay(outbox, queue2 := MemoryQueue()), []

    async def main() -> None:
        await bus(Job())
        await worker.run()
        await outbox.put(b"1")
        target.append(await relay.pass_on())

    for backend in SEQUENCE:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(run, main, backend=backend).result(20)
    assert len(done) == len(target) == len(SEQUENCE)
    assert anyio.run(queue2.stats).ready == len(SEQUENCE)


@both
def test_connections_are_those_of_their_loop(backend: str) -> None:
    # DF-2
    resolve: Any = None
    connections = ConnectionPool(AddressFilter(), resolve)

    async def pools() -> int:
        async with connections, connections:
            return len(connections._pools)

    async def leave() -> None:
        await connections.__aexit__(None, None, None)

    async def work(wait: Wait) -> int:
        async with connections:
            await wait()
            return len(connections._pools)

    with Thread(backend, work) as holder:
        assert anyio.run(pools, backend=backend) == 2
        with pytest.raises(InOtherLoop, match="a webhook is in use"):
            anyio.run(leave, backend=backend)
        holder.released.set()
        assert holder.result == 1
    assert not connections._pools
    anyio.run(connections.__aenter__, backend=backend)
    anyio.run(leave, backend=backend)  # their loop is closed, and they with it
    assert not connections._pools


def test_what_was_opened_in_a_loop_that_is_closed_can_be_opened_again() -> None:
    # DF-2
    async def open_again(bus: Any) -> None:
        async with bus:
            assert bus.is_open
        assert not bus.is_open

    for bus in (CommandBus(middleware=[Later()]), Bus([CommandBus(middleware=[Later()])])):
        for backend in LOOPS:
            left = asyncio.new_event_loop()
            left.run_until_complete(left.create_task(bus.__aenter__()))
            left.close()
            run(open_again, bus, backend=backend)
            left = asyncio.new_event_loop()
            left.run_until_complete(left.create_task(bus.__aenter__()))
            left.close()
            assert run(bus.__aexit__, None, None, None, backend=backend) is None
            assert not bus.is_open


def test_the_words_for_a_loop_name_its_thread_if_that_is_known() -> None:
    # DF-2
    async def describe() -> str:
        return describe_loop(current_loop())

    assert "MainThread" in asyncio.run(describe())
    assert anyio.run(describe, backend="trio").startswith("another event loop (TrioToken")
    loop = asyncio.new_event_loop()
    loop.close()
    assert describe_loop(loop).startswith("an event loop that does not run (<")
    assert current_loop() is None


@both
def test_a_worker_and_a_relay_are_stopped_from_another_thread(backend: str) -> None:
    # DF-2
    queue, outbox = MemoryQueue(), MemoryOutbox()
    worker, relay = Worker(queue, CommandBus({Ping: lambda ping: 1})), Relay(outbox, queue)

    async def work(wait: Wait) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            tasks.start_soon(relay.run)
            await anyio.wait_all_tasks_blocked()
            await wait()

    with Thread(backend, work) as holder:
        with pytest.raises(InOtherLoop, match="in use"):
            anyio.run(worker.run, backend=backend)
        worker.stop()
        relay.stop()
        holder.released.set()
        assert holder.result is None


def count(hit: Hit) -> None: ...


def ping(command: Ping) -> int:
    return 1


def rate(query: Rate) -> int:
    return 1


def shared_uses() -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    """Return a use of each object that may be made at import time, by name."""
    memory = MemoryQueue(), MemoryOutbox(), MemoryCache(), MemoryLocks(), MemoryInbox(), MemoryEventStore()
    queue, outbox, cache, locks, inbox, events = memory
    numbers = count_from(1)

    async def use_queue() -> None:
        await queue.put(b"1")
        for claim in await queue.claim(10, 1000):
            await queue.ack(claim)

    async def use_outbox() -> None:
        await outbox.put(b"1")
        for claim in await outbox.claim(10, 1000):
            await outbox.ack(claim)

    async def use_cache() -> None:
        await cache.set("key", b"1", 1000)
        assert await cache.get("key") == b"1"

    async def use_locks() -> None:
        token = str(next(numbers))
        if await locks.acquire("key", 1000, token):
            await locks.release("key", token)

    async def use_inbox() -> None:
        await inbox.add(str(next(numbers)))

    async def use_events() -> None:
        await events.append(str(next(numbers)), [b"1"], 0)

    buses: dict[str, Any] = {
        "exclusive": Bus([count]),
        "key": Bus([count], exclusive=lambda message: 1),
        "side by side": Bus([count, lambda message: None], concurrent=True),
        "overlapping": Bus([count], exclusive=False),
        "a bus in a bus": Bus([Bus([count], name="inner")]),
    }
    middleware: dict[str, Any] = {
        "RateLimit": RateLimit(10**6, per=1000),
        "CircuitBreaker": CircuitBreaker(5, reset_after=1000),
        "Lock": Lock(lambda envelope: "key", ttl=5, timeout=60),
        "Idempotency": Idempotency(),
        "Logger": Logger(),
        "Retryer": Retryer(),
        "Timeout": Timeout(1000),
    }
    uses: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
        "queue": use_queue,
        "outbox": use_outbox,
        "cache": use_cache,
        "locks": use_locks,
        "inbox": use_inbox,
        "events": use_events,
        "Cacher": partial(QueryBus([rate], middleware=[Cacher(stale_ttl=0)]).ask, Rate()),
    }
    uses |= {name: partial(bus, Hit()) for name, bus in buses.items()}
    for name, each in middleware.items():
        uses[name] = partial(CommandBus([ping], middleware=[each]).ask, Ping())
    return uses


USES = [*shared_uses()]


@pytest.mark.unmeasured
@pytest.mark.costly
@pytest.mark.parametrize("name", USES)
def test_an_object_is_used_in_one_loop_after_another_and_in_two_threads_at_once(name: str) -> None:
    # DF-2
    use = shared_uses()[name]

    async def use_often() -> None:
        for _ in range(20):
            await use()

    for backend in SEQUENCE:
        run(use_often, backend=backend)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(run, use_often, backend=LOOPS[n % 2]) for n in range(4)]:
            done.result(60)


def test_a_logger_in_the_background_is_used_in_the_loops_that_open_its_bus() -> None:
    # DF-2
    lines: list[str] = []
    logger = Logger(lambda level, event, fields: lines.append(event), background=True)
    bus = CommandBus([ping], middleware=[logger])

    async def main() -> None:
        async with bus:
            assert await bus.ask(Ping()) == 1

    for backend in SEQUENCE:
        run(main, backend=backend)
    assert lines == ["processing", "processed"] * len(SEQUENCE)


def test_a_store_is_used_in_the_loop_that_opened_it_and_opened_in_one_after_another(tmp_path: Path) -> None:
    # DF-2
    store = SqliteStore(tmp_path / "store.db")
    queue = store.queue("jobs")

    async def main() -> None:
        async with store:
            await queue.put(b"1")

    async def put() -> None:
        await queue.put(b"1")

    for backend in SEQUENCE:
        run(main, backend=backend)
    first, opened, closing = asyncio.new_event_loop(), asyncio.Event(), asyncio.Event()

    async def stay_open() -> None:
        async with store:
            opened.set()
            await closing.wait()

    task = first.create_task(stay_open())
    first.run_until_complete(opened.wait())
    for backend in LOOPS:
        with pytest.raises(InOtherLoop, match=r"store\.db is in use by"):
            run(put, backend=backend)
        with pytest.raises(InOtherLoop, match=r"store\.db is in use by"):
            run(main, backend=backend)
    closing.set()
    first.run_until_complete(task)
    first.close()


def test_a_bus_with_nothing_in_the_background_is_closed_in_any_task_of_any_loop() -> None:
    # DF-2
    async def open_in_task(bus: Any) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.__aenter__)

    async def close_in_task(bus: Any) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.__aexit__, None, None, None)

    async def both_in_tasks(bus: Any) -> None:
        await open_in_task(bus)
        assert bus.is_open
        await close_in_task(bus)

    for bus in (Bus([count]), CommandBus([ping], middleware=[RateLimit(5, per=60)]), Bus([CommandBus([ping])])):
        for backend in LOOPS:
            anyio.run(both_in_tasks, bus, backend=backend)
            assert not bus.is_open
            anyio.run(open_in_task, bus, backend=backend)
            for other in LOOPS:
                anyio.run(close_in_task, bus, backend=other)
                anyio.run(open_in_task, bus, backend=backend)
            anyio.run(close_in_task, bus, backend=backend)
            assert not bus.is_open


@both
def test_what_has_tasks_in_the_background_names_the_task_that_has_to_close_it(backend: str, tmp_path: Path) -> None:
    # DF-2
    async def close_in_task(resource: Any) -> Exception:
        caught: list[Exception] = []

        async def close() -> None:
            with pytest.raises(OpenedInOtherTask, match="closed by the task that opened it") as error:
                await resource.__aexit__(None, None, None)
            caught.append(error.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)
        return caught[0]

    async def main(resource: Any) -> None:
        async with resource:
            error: Any = await close_in_task(resource)
            assert (error.name, error.task) == (resource.name, anyio.get_current_task().name)

    bus = CommandBus([ping], middleware=[Later()])
    for resource in (bus, Bus([bus]), Bus([Bus([bus])]), SqliteStore(tmp_path / "store.db")):
        anyio.run(main, resource, backend=backend)


@both
def test_work_that_no_middleware_declares_is_not_started(backend: str) -> None:
    # DF-2
    async def start(envelope: Any, call_next: Any) -> None:
        await call_next(envelope)
        envelope.bus.start(anyio.sleep, 0)

    async def main() -> None:
        async with CommandBus([ping], middleware=[start]) as bus:
            with pytest.raises(NotOpen, match="give the middleware that starts it a text background_work"):
                await bus.ask(Ping())

    anyio.run(main, backend=backend)


@both
def test_a_sender_takes_a_new_gate_while_another_thread_removes_the_old_one(backend: str) -> None:
    # DF-2
    seen: list[int] = []

    async def main() -> None:
        bus = Bus([lambda message: seen.append(message.n)], exclusive=lambda message: 1)
        assert bus.keyed_gates is not None
        gate: Any = bus.keyed_gates.gate_of(Hit())
        gate.holder = REMOVED
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus, Hit(1))
            for _ in range(3):
                await checkpoint()
            assert seen == []
            del gate.gates[gate.key]
        assert seen == [1] and len(bus.keyed_gates) == 0

    anyio.run(main, backend=backend)


def test_all_loops_are_looked_for_seldom_and_none_is_found_for_a_value_that_no_coroutine_has() -> None:
    # DF-2
    known = KnownLoops()
    assert known.find_halted("turn", object()) is None
    looked = known._next_look
    known._next_look = inf
    assert known.find_halted("turn", object()) is None
    assert known._next_look == inf > looked
