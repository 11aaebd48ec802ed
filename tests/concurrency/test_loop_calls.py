"""Calls into a loop of asyncio: the same one, or one in a thread under trio."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import partial

import anyio
import pytest

from modd.concurrency.loop_calls import LoopCalls
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
