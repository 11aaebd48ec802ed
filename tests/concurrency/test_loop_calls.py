"""Calls into a loop of asyncio: the same one, or one in a thread under trio."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial

import anyio
import pytest

from modd.concurrency.loop_calls import LoopCall, LoopCalls, last_step
from modd.concurrency.loop_thread import start_loop_thread
from modd.concurrency.loops import loop_name

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

inherited: ContextVar[str] = ContextVar("inherited", default="nothing")


@pytest.fixture
async def calls(anyio_backend_name: str) -> AsyncIterator[LoopCalls]:
    loop = start_loop_thread()
    yield LoopCalls(loop, BrokenPipeError)
    if loop is not None:
        loop.close()


class Work:
    """Work that waits until it is told to go on, and notes how it ended."""

    def __init__(self) -> None:
        self.started, self.may_end = anyio.Event(), asyncio.Event()
        self.end = ""

    async def run(self, calls: LoopCalls, clean_up: float = 0) -> str:
        calls.call_home(self.started.set)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(clean_up)
            self.end = "cancelled"
            raise
        self.end = "done"
        return self.end


async def test_a_result_and_an_error_come_back(calls: LoopCalls) -> None:
    # PG-58
    async def fail() -> None:
        raise KeyError("rope")

    async def add() -> int:
        await asyncio.sleep(0)
        return 3

    assert await calls.run(add) == 3
    with pytest.raises(KeyError, match="rope"):
        await calls.run(fail)


async def test_the_work_inherits_no_context(calls: LoopCalls) -> None:
    # PG-58
    async def look() -> str:
        return inherited.get()

    inherited.set("a transaction")
    assert await calls.run(look) == "nothing"


async def test_a_call_that_is_cancelled_ends_when_its_work_has_cleaned_up(calls: LoopCalls) -> None:
    # PG-58
    work = Work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(calls.run, lambda: work.run(calls, 0.05))
        await work.started.wait()
        tasks.cancel_scope.cancel()
    assert work.end == "cancelled"


async def test_of_a_call_that_was_cancelled_nothing_of_its_work_is_kept(calls: LoopCalls) -> None:
    # PG-58
    works, errors = [Work()], list[BaseException]()
    started, work = works[0].started, weakref.ref(works[0])

    async def call() -> None:
        try:
            await calls.run(lambda: works.pop().run(calls))
        except BaseException as error:
            errors.append(error)  # whose frames have those of the call
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await started.wait()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(60):
        while work() is not None:  # noqa: ASYNC110  # nobody tells
            await anyio.sleep(0.001)
    assert len(errors) == 1


async def test_a_call_that_is_cancelled_while_its_work_ends_waits_for_it(calls: LoopCalls) -> None:
    # PG-58
    started, ended, scope = anyio.Event(), list[str](), anyio.CancelScope()

    async def stubborn() -> str:
        calls.call_home(started.set)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        ended.append("done")
        raise ValueError("an error that nobody waits for")

    async def cancel() -> None:
        await started.wait()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        with scope:
            tasks.start_soon(cancel)
            await calls.run(stubborn)
    assert scope.cancelled_caught and ended == ["done"]


async def test_a_call_that_is_cancelled_when_its_work_is_done_has_its_result_and_puts_the_cancellation_off(
    calls: LoopCalls,
) -> None:
    # PG-58
    started = anyio.Event()

    async def stubborn() -> str:
        calls.call_home(started.set)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "done"

    results, scope = list[str](), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_after, started, scope)
        with scope:
            results.append(await calls.run(stubborn))
            await anyio.lowlevel.checkpoint()
            results.append("not cancelled")
    assert results == ["done"] and scope.cancelled_caught


async def cancel_after(started: anyio.Event, scope: anyio.CancelScope) -> None:
    await started.wait()
    scope.cancel()


async def cancelled_in_last_step(calls: LoopCalls, seconds: float, error: Exception | None = None) -> list[str]:
    """Cancel a call in the last step of its work, which takes 0.05 s of these; return how each part ended."""
    started, scope, ends = anyio.Event(), anyio.CancelScope(), list[str]()

    async def work() -> str:
        with suppress(KeyError), last_step(seconds):
            calls.call_home(started.set)
            await asyncio.sleep(0.05)
            ends.append("step")
            if error is not None:
                raise error
            return "done"
        await asyncio.sleep(60)
        return "not cancelled"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_after, started, scope)
        with scope:
            ends.append(await calls.run(work))
    return ends


async def test_a_cancellation_waits_for_the_last_step_of_the_work_as_long_as_that_may_take(calls: LoopCalls) -> None:
    # PG-58
    assert await cancelled_in_last_step(calls, 60) == ["step", "done"]
    assert await cancelled_in_last_step(calls, 0.001) == []


async def commit(calls: LoopCalls, started: anyio.Event) -> str:
    """Do a last step in which a cancellation comes."""
    with last_step(60):
        calls.call_home(started.set)
        await asyncio.sleep(0.05)
    return "done"


async def test_a_time_limit_that_ends_with_the_last_step_cancels_nothing_after_it(calls: LoopCalls) -> None:
    # PG-58
    if loop_name() == "trio":
        return
    started, results = anyio.Event(), list[str]()
    async with anyio.create_task_group() as tasks:
        async with asyncio.timeout(None) as limit:
            tasks.start_soon(expire_after, started, limit)
            results.append(await calls.run(partial(commit, calls, started)))
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
    assert results == ["done"]


async def expire_after(started: anyio.Event, limit: asyncio.Timeout) -> None:
    await started.wait()
    limit.reschedule(asyncio.get_running_loop().time())


@pytest.mark.parametrize("is_scope_cancelled", [False, True])
async def test_a_native_cancellation_is_put_off_also_when_a_scope_is_cancelled_while_it_waits(
    calls: LoopCalls, is_scope_cancelled: bool
) -> None:
    # PG-58
    if loop_name() == "trio":
        return
    started, results, scope = anyio.Event(), list[str](), anyio.CancelScope()

    async def work() -> None:
        with scope:
            results.append(await calls.run(partial(commit, calls, started)))
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    if is_scope_cancelled:
        scope.cancel()
    with pytest.raises(asyncio.CancelledError), anyio.fail_after(30):
        await task
    assert results == ["done"]


async def test_a_cancellation_comes_at_once_when_the_last_step_fails(calls: LoopCalls) -> None:
    # PG-58
    assert await cancelled_in_last_step(calls, 60, KeyError("rope")) == ["step"]


async def test_a_cancellation_that_comes_after_the_result_was_taken_does_nothing(calls: LoopCalls) -> None:
    # PG-58: in another thread it may cross later, and those that cross behind it are called, too
    call, crossed = LoopCall(lambda: asyncio.sleep(0, "done"), calls._home), anyio.Event()
    calls._there.call(call.start)
    await call.wait()
    assert call.result() == "done"
    calls._there.call(call.cancel)
    calls._there.call(lambda: calls.call_home(crossed.set))
    await crossed.wait()


async def test_the_error_of_a_last_step_comes_as_it_is(calls: LoopCalls) -> None:
    # PG-58
    async def fail() -> None:
        with last_step(60):
            raise KeyError("rope")

    with pytest.raises(KeyError, match="rope"):
        await calls.run(fail)


async def test_a_call_that_is_cancelled_natively_several_times_waits_as_well(calls: LoopCalls) -> None:
    # PG-58
    if loop_name() == "trio":
        return
    work = Work()
    task = asyncio.create_task(calls.run(lambda: work.run(calls, 0.05)))
    await work.started.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.end == "cancelled"


async def test_calls_under_way_are_ended_when_all_are_closed_and_none_comes_after(calls: LoopCalls) -> None:
    # PG-58
    work, errors = Work(), list[Exception]()

    async def call() -> None:
        try:
            await calls.run(partial(work.run, calls))
        except BrokenPipeError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await work.started.wait()
        await calls.close()
        assert work.end == "cancelled"
    assert len(errors) == 1
    with pytest.raises(BrokenPipeError):
        await calls.run(partial(work.run, calls))
