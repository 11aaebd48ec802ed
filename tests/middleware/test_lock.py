"""Lock lets in one dispatch at a time for each key."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf, nan
from time import sleep
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from modd import Bus, InvalidOption, detached
from modd.cqrs import Command, CommandBus, Envelope, LockTimeout, NoHandler, Query, QueryBus
from modd.errors import Deadlock, ModdError
from modd.middleware.lock import Lock, LockLost
from modd.stores import MemoryLocks
from modd.testing import run_virtual
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Work(Command[str]):
    key: str = "a"
    seconds: float = 1.0


class Export(Work):
    pass


class Missing(Command[None]):
    pass


class Find(Query[str]):
    pass


class Worker:
    """A handler that takes its time, and knows how many were in at once, for each key, and when they came and went."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = iter(errors)
        self.inside: dict[str, int] = {}
        self.most = 0
        self.began: list[float] = []
        self.ended: list[float] = []

    async def __call__(self, command: Work) -> str:
        self.inside[command.key] = inside = self.inside.get(command.key, 0) + 1
        self.most = max(self.most, inside)
        self.began.append(anyio.current_time())
        try:
            await anyio.sleep(command.seconds)
            for error in self._errors:
                raise error
            return "done"
        finally:
            self.inside[command.key] -= 1
            self.ended.append(anyio.current_time())


class SlowLocks(MemoryLocks):
    """Locks that take some time to answer, after they have done what they were asked for."""

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        acquired = await super().acquire(key, ttl, token)
        await anyio.sleep(0.1)
        return acquired


class FailingLocks(MemoryLocks):
    """Locks of which some methods fail, as often as they are told to, and that note when they were asked to renew."""

    def __init__(self, **failing: int) -> None:
        super().__init__()
        self.failing = failing
        self.renewals: list[float] = []

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        self.renewals.append(anyio.current_time())
        self._fail("renew")
        return await super().renew(key, ttl, token)

    async def release(self, key: str, token: str) -> None:
        self._fail("release")
        await super().release(key, token)

    def _fail(self, method: str) -> None:
        self.failing[method] = self.failing.get(method, 0) - 1
        if self.failing[method] >= 0:
            raise OSError(f"cannot {method}")


class StuckLocks(MemoryLocks):
    """Locks that never answer when they are asked to renew or to release."""

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        await anyio.sleep_forever()
        return True

    async def release(self, key: str, token: str) -> None:
        await anyio.sleep_forever()


def by_key(envelope: Envelope[Any]) -> str:
    return str(envelope.message.key)


def bus_of(handler: Any, *, locks: Any = None, name: str = "commands", **options: Any) -> CommandBus:
    middleware = [Lock(**{"key": by_key, "locks": locks} | options)]
    return CommandBus({Work: handler, Export: handler}, middleware=middleware, name=name)


async def all_of(*calls: Awaitable[Any]) -> list[Any]:
    """What they return or raise, run side by side."""
    outcomes: dict[int, Any] = {}

    async def run(at: int, call: Awaitable[Any]) -> None:
        try:
            outcomes[at] = await call
        except Exception as error:
            outcomes[at] = error

    async with anyio.create_task_group() as tasks:
        for at, call in enumerate(calls):
            tasks.start_soon(run, at, call)
    return [outcomes[at] for at in range(len(calls))]


async def is_free(locks: MemoryLocks, key: str = "commands:a") -> bool:
    return await locks.acquire(key, 1, "another")


# MI-32
async def test_one_at_a_time_is_let_in_for_each_key() -> None:
    worker = Worker()
    bus = bus_of(worker)
    start = anyio.current_time()
    assert await all_of(*[bus.ask(Work(key)) for key in "aabbb"]) == ["done"] * 5
    assert worker.most == 1
    assert anyio.current_time() - start == pytest.approx(3, abs=0.3)


# MI-33
async def test_a_handler_that_takes_longer_than_the_ttl_lets_no_second_one_in() -> None:
    worker = Worker()
    bus = bus_of(worker, ttl=0.5, timeout=100)
    assert await all_of(*[bus.ask(Work(seconds=20)) for _ in range(3)]) == ["done"] * 3
    assert worker.most == 1
    for before, after in zip(worker.ended, worker.began[1:], strict=False):
        assert before <= after <= before + 0.11


# MI-33
async def test_the_lock_is_tried_at_every_poll_until_the_timeout() -> None:
    locks, tries = MemoryLocks(), []
    await locks.acquire("commands:a", 60, "another")
    acquire = locks.acquire

    class Counted(MemoryLocks):
        async def acquire(self, key: str, ttl: float, token: str) -> bool:
            tries.append(round(anyio.current_time() - start, 6))
            return await acquire(key, ttl, token)

    start = anyio.current_time()
    with pytest.raises(LockTimeout, match="not free within 1 s") as caught:
        await bus_of(Worker(), locks=Counted(), poll=0.3, timeout=1, random=lambda: 0.5).ask(Work())
    assert tries == [0, 0.3, 0.6, 0.9, 1]
    assert (caught.value.key, caught.value.timeout) == ("commands:a", 1)
    assert isinstance(caught.value, TimeoutError)


# MI-33
async def test_a_timeout_of_0_fails_at_once_but_tries() -> None:
    locks, worker = MemoryLocks(), Worker()
    bus = bus_of(worker, locks=locks, timeout=0)
    assert await bus.ask(Work()) == "done"
    await locks.acquire("commands:a", 60, "another")
    start = anyio.current_time()
    with pytest.raises(LockTimeout):
        await bus.ask(Work())
    assert anyio.current_time() == start
    assert len(worker.began) == 1


# MI-33
async def test_the_one_who_waits_in_vain_does_not_free_the_lock() -> None:
    worker = Worker()
    bus = bus_of(worker, timeout=1)
    outcomes = await all_of(*[bus.ask(Work(seconds=10)) for _ in range(3)])
    assert sorted(type(each).__name__ for each in outcomes) == ["LockTimeout", "LockTimeout", "str"]
    assert worker.most == 1


# MI-32
async def test_the_lock_is_free_when_the_dispatch_is_over() -> None:
    locks = MemoryLocks()
    await bus_of(Worker(), locks=locks).ask(Work())
    assert await is_free(locks)


# MI-33
@pytest.mark.parametrize(
    "error",
    [ValueError("no"), ExceptionGroup("several", [ValueError(), OSError()]), TimeoutError(), LockTimeout("x", 1)],
)
async def test_an_error_comes_out_as_it_is_and_the_lock_is_free(error: Exception) -> None:
    locks = MemoryLocks()
    with pytest.raises(type(error)) as caught:
        await bus_of(Worker(error), locks=locks).ask(Work())
    assert caught.value is error
    assert await is_free(locks)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
async def test_what_ends_the_process_comes_out_as_it_is(error: BaseException) -> None:
    outcome: list[BaseException] = []

    async def catches(envelope: Envelope[Any], call_next: Any) -> None:
        try:
            await call_next(envelope)
        except BaseException as raised:
            outcome.append(raised)

    locks = MemoryLocks()
    bus = CommandBus({Work: Worker(error)}, middleware=[catches, Lock(by_key, locks=locks)])
    await bus.dispatch(Work())
    assert outcome == [error]
    assert await is_free(locks)


# MI-33
@pytest.mark.parametrize("make", [MemoryLocks, SlowLocks])
@pytest.mark.parametrize("seconds", [0, 0.05])
async def test_a_cancellation_at_any_point_leaves_the_lock_free(
    make: Callable[[], MemoryLocks], seconds: float
) -> None:
    for after in (*range(25), None):
        locks, worker = make(), Worker()
        bus = bus_of(worker, locks=locks, ttl=3600)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.dispatch, Work(seconds=seconds))
            if after is None:
                await anyio.sleep(0.12)
            for _ in range(after or 0):
                await checkpoint()
            tasks.cancel_scope.cancel()
        assert await is_free(locks)
        assert not any(worker.inside.values())


# MI-33
@pytest.mark.slow
@given(
    st.lists(st.tuples(*[st.integers(0, 40).map(lambda tenths: tenths / 10)] * 3), max_size=8),
    st.sampled_from([0.3, 0.5, 2.0]),
    st.sampled_from(["asyncio", "trio"]),
)
def test_there_is_never_more_than_one_whoever_comes_and_is_cancelled(
    passes: list[tuple[float, float, float]], ttl: float, backend: str
) -> None:
    async def run() -> None:
        locks, worker = SlowLocks(), Worker()
        bus = bus_of(worker, locks=locks, ttl=ttl, timeout=100)

        async def one(begin: float, seconds: float, cancel_after: float) -> None:
            await anyio.sleep(begin)
            with anyio.move_on_after(cancel_after):
                await bus.dispatch(Work(seconds=seconds))

        async with anyio.create_task_group() as tasks:
            for each in passes:
                tasks.start_soon(one, *each)
        assert worker.most <= 1
        assert await is_free(locks)

    run_virtual(run, backend=backend)


# MI-33
async def test_a_cancelled_wait_takes_nothing_from_the_one_who_holds_the_lock() -> None:
    worker, locks = Worker(), MemoryLocks()
    bus = bus_of(worker, locks=locks)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.dispatch, Work(seconds=10))
        await anyio.sleep(1)
        with anyio.move_on_after(1) as scope:
            await bus.dispatch(Work())
        assert scope.cancelled_caught
        assert not await is_free(locks)
    assert worker.most == len(worker.began) == 1


async def test_an_error_on_cancellation_comes_out_as_it_is() -> None:
    async def work(command: Work) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    error, locks = ValueError("cannot be undone"), MemoryLocks()
    with pytest.raises(ValueError, match="cannot be undone") as caught, anyio.move_on_after(1):
        await bus_of(work, locks=locks).ask(Work())
    assert caught.value is error
    assert await is_free(locks)


# MI-33
async def test_when_the_lock_is_lost_the_dispatch_is_cancelled_and_fails() -> None:
    class Forgetful(MemoryLocks):
        async def renew(self, key: str, ttl: float, token: str) -> bool:
            await super().release(key, token)
            return await super().renew(key, ttl, token)

    worker = Worker()
    start = anyio.current_time()
    with pytest.raises(LockLost, match="'commands:a' was lost") as caught:
        await bus_of(worker, locks=Forgetful(), ttl=3).ask(Work(seconds=3600))
    assert anyio.current_time() - start == pytest.approx(1)
    assert (caught.value.key, caught.value.ttl) == ("commands:a", 3)
    assert isinstance(caught.value, ModdError) and caught.value.__cause__ is None
    assert not any(worker.inside.values())


# MI-33
async def test_the_error_of_a_handler_that_lost_its_lock_is_the_cause() -> None:
    async def work(command: Work) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    error = ValueError("cannot be undone")
    with pytest.raises(LockLost) as caught:
        await bus_of(work, locks=StuckLocks()).ask(Work())
    assert caught.value.__cause__ is error


# MI-33
async def test_a_lost_lock_in_a_cancelled_dispatch_is_a_cancellation() -> None:
    async def work(command: Work) -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(10)
        await checkpoint()
        return "never"

    with anyio.move_on_after(0.1) as scope:
        await bus_of(work, locks=StuckLocks()).ask(Work())
    assert scope.cancelled_caught


# MI-33
async def test_a_renewal_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    locks, worker = FailingLocks(renew=1), Worker()
    start = anyio.current_time()
    assert await bus_of(worker, locks=locks, ttl=3).ask(Work(seconds=5.5)) == "done"
    assert [round(time - start, 6) for time in locks.renewals] == [1, 2, 3, 4, 5]
    assert [record.name for record in caplog.records] == ["modd.commands"]
    assert "cannot renew" in caplog.text


# MI-33
@pytest.mark.parametrize("make", [partial(FailingLocks, renew=99), StuckLocks])
async def test_a_lock_that_cannot_be_renewed_in_its_time_is_lost(make: Callable[[], MemoryLocks]) -> None:
    worker = Worker()
    with pytest.raises(LockLost):
        await bus_of(worker, locks=make(), ttl=3).ask(Work(seconds=3600))
    assert worker.ended[0] - worker.began[0] == pytest.approx(3)


# MI-33
@pytest.mark.parametrize("make", [partial(FailingLocks, release=1), StuckLocks])
async def test_a_lock_that_cannot_be_released_changes_no_outcome(
    make: Callable[[], MemoryLocks], caplog: pytest.LogCaptureFixture
) -> None:
    locks = make()
    assert await bus_of(Worker(), locks=locks, ttl=3).ask(Work(seconds=0.1)) == "done"
    [record] = caplog.records
    assert (record.name, record.levelno) == ("modd.commands", logging.WARNING)
    assert "'commands:a' was not released" in record.getMessage()
    await anyio.sleep(3)
    assert await is_free(locks)


async def test_an_error_of_the_store_comes_out_and_the_handler_does_not_run() -> None:
    class Down(MemoryLocks):
        async def acquire(self, key: str, ttl: float, token: str) -> bool:
            raise OSError("no connection")

    worker = Worker()
    with pytest.raises(OSError, match="no connection"):
        await bus_of(worker, locks=Down()).ask(Work())
    assert worker.began == []


async def test_a_handler_that_keeps_the_loop_is_done_all_the_same() -> None:
    locks = MemoryLocks()

    def work(command: Work) -> str:
        sleep(0.002)  # in real time, which the virtual clock does not see: no other task runs meanwhile
        return "done"

    assert await bus_of(work, locks=locks).ask(Work()) == "done"
    assert await is_free(locks)


# MI-60
async def test_buses_that_share_a_store_or_the_middleware_do_not_exclude_each_other() -> None:
    worker, locks = Worker(), MemoryLocks()
    buses = [bus_of(worker, locks=locks, name=name, timeout=0) for name in ("one", "two")]
    lock = Lock(by_key, timeout=0)
    buses += [CommandBus({Work: worker}, middleware=[lock], name=name) for name in ("three", "four")]
    assert await all_of(*[bus.ask(Work()) for bus in buses]) == ["done"] * 4
    assert worker.most == 4


# MI-60
async def test_no_name_of_a_bus_and_key_are_taken_for_another() -> None:
    worker, locks = Worker(), MemoryLocks()
    names = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a%", "3Ab:c")]
    calls = [bus_of(worker, locks=locks, name=name, timeout=0).ask(Work(key)) for name, key in names]
    assert await all_of(*calls) == ["done"] * 4


# MI-60
async def test_several_that_share_a_store_and_a_name_exclude_each_other() -> None:
    worker, locks = Worker(), MemoryLocks()
    await all_of(*[bus_of(worker, locks=locks).ask(Work()) for _ in range(3)])
    assert worker.most == 1


# MI-33
async def test_a_handler_that_wants_its_own_lock_gets_a_deadlock_at_once() -> None:
    async def nest(command: Work) -> str:
        return await bus.ask(Work(command.key)) if command.seconds else "inner"

    locks = MemoryLocks()
    bus = CommandBus({Work: nest}, middleware=[Lock(by_key, locks=locks)])
    started = anyio.current_time()
    with pytest.raises(Deadlock, match="the lock 'commands:a' waits for the lock 'commands:a'"):
        await bus.ask(Work())
    assert anyio.current_time() == started
    assert await is_free(locks)


# MI-33
async def test_it_gets_one_by_way_of_others_too_and_under_another_key_it_gets_in() -> None:
    async def nest(command: Work) -> str:
        return await around.ask(Find()) if command.seconds else "inner"

    async def find(query: Find) -> str:
        return await bus.ask(Work(key, seconds=0))

    bus = CommandBus({Work: nest}, middleware=[Lock(by_key)])
    around = Bus([bus, QueryBus({Find: find})])
    async with around:
        key = "b"
        assert await around.ask(Work()) == "inner"
        key = "a"
        with pytest.raises(Deadlock):
            await around.ask(Work())


# MI-33
async def test_work_that_is_detached_waits_for_the_lock_as_others_do() -> None:
    ends: list[str] = []

    async def later() -> None:
        ends.append(await bus.ask(Work(seconds=0)))

    async def nest(command: Work) -> str:
        if command.seconds:
            with detached():
                tasks.start_soon(later)
            await anyio.sleep(1)
            assert ends == []
        return "done"

    bus = CommandBus({Work: nest}, middleware=[Lock(by_key)])
    async with anyio.create_task_group() as tasks:
        assert await bus.ask(Work()) == "done"
    assert ends == ["done"]


# MI-33
async def test_one_that_was_lost_is_not_taken_for_that_of_another() -> None:
    locks, worker = MemoryLocks(), Worker()
    tokens: list[str] = []

    async def stubborn(command: Work) -> str:
        if command.seconds == 1:
            with anyio.CancelScope(shield=True):
                [token] = locks._tokens.values()
                await locks.release("commands:a", token)
                await anyio.sleep(2)
            tokens.extend(lock._holders)
        return await worker(command)

    lock = Lock(by_key, locks=locks)
    bus = CommandBus({Work: stubborn}, middleware=[lock])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(all_of, bus.ask(Work(seconds=1)))
        await anyio.sleep(0.1)
        assert await bus.ask(Work(seconds=5)) == "done"
    assert (tokens, lock._holders) == (["commands:a"], {})


# MI-13
async def test_types_have_options_of_their_own() -> None:
    async def fixed(envelope: Envelope[Any]) -> str:
        await checkpoint()
        return "exports"

    worker, locks = Worker(), MemoryLocks()
    bus = bus_of(worker, locks=locks, intents={Export: {"key": fixed, "timeout": 0}})
    done = await all_of(*[bus.ask(intent) for intent in (Export("a"), Export("b"), Work("a"), Work("a"))])
    timeouts = [each for each in done if isinstance(each, LockTimeout)]
    assert [each.key for each in timeouts] == ["commands:exports"] and done.count("done") == 3


# MI-14
async def test_it_works_on_other_buses_too() -> None:
    async def find(query: Find) -> str:
        return "found"

    assert await QueryBus([find], middleware=[Lock(lambda envelope: "all")]).ask(Find()) == "found"


@pytest.mark.parametrize("key", [1, None])
async def test_a_key_that_is_no_text_is_refused(key: Any) -> None:
    worker = Worker()
    with pytest.raises(InvalidOption, match="return a text"):
        await bus_of(worker, key=lambda envelope: key).ask(Work())
    assert worker.began == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("key", None),
        ("key", "a"),
        ("ttl", 0),
        ("ttl", True),
        ("poll", 0),
        ("poll", nan),
        ("timeout", -1),
        ("timeout", inf),
    ],
)
def test_wrong_values_fail_at_once(option: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=option):
        Lock(**cast(dict[str, Any], {"key": by_key}) | {option: value})
    with pytest.raises(InvalidOption, match=option):
        Lock(by_key, intents={Work: {option: value}})  # type: ignore[misc]


@pytest.mark.parametrize("locks", [object(), MemoryLocks, 5])
def test_what_keeps_no_locks_is_refused(locks: Any) -> None:
    with pytest.raises(InvalidOption, match=r"modd\.ports\.Locks"):
        Lock(by_key, locks=locks)


def test_misspelt_options_and_foreign_types_fail_before_anything_is_dispatched() -> None:
    with pytest.raises(InvalidOption, match="there are: key, ttl, poll, timeout"):
        Lock(by_key, intents={Work: {"tll": 5}})  # type: ignore[typeddict-unknown-key]
    bus = CommandBus({Work: Worker()}, middleware=[Lock(by_key, intents={Missing: {"ttl": 1}})])
    with pytest.raises(NoHandler, match="Missing"):
        bus.check()
