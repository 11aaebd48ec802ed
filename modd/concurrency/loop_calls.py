"""Calls from any loop into one of asyncio: the same loop, or one in a thread of its own under trio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, suppress
from contextvars import Context, ContextVar
from typing import Any, Generic, TypeVar

import anyio

from modd.concurrency.blocks import block
from modd.concurrency.cancellation import CancelledError, native_requests, put_off
from modd.concurrency.loop_thread import Crossing, LoopThread
from modd.concurrency.loops import current_loop
from modd.concurrency.signals import Signal, set_signal, signals

T = TypeVar("T")


class LoopCalls:
    """Runs coroutines of a library of asyncio for callers in the current loop.

    loop: the loop in a thread under trio; None for the current loop, which is one of asyncio.
    closed: returns the error of calls that come after `close`, or are under way then.
    """

    def __init__(self, loop: LoopThread | None, closed: Callable[[], Exception]) -> None:
        home, direct = current_loop(), loop is None
        self._there = Crossing(home if loop is None else loop.loop, direct=direct)
        self._home = Crossing(home, direct=direct)
        self._closed, self._is_closed = closed, False
        self._under_way: set[LoopCall[Any]] = set()

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function there, in a task of its own, and return its result.

        If the caller is cancelled, the task is cancelled, once, and the call ends when the task has ended. If the task
        has a result all the same, the caller gets it, and the cancellation is put off.
        """
        if self._is_closed:
            raise self._closed()
        call = LoopCall(work, self._home)
        self._under_way.add(call)
        self._there.call(call.start)
        try:
            await call.wait()
        except BaseException as error:
            requests = native_requests()
            await self._cancel(call)
            if not call.has_result or not isinstance(error, anyio.get_cancelled_exc_class()):
                raise
            put_off(error, requests)
        finally:
            self._under_way.discard(call)
        if call.was_cancelled:
            raise self._closed()
        return call.result()

    async def close(self) -> None:
        """Cancel the calls under way, and return when they have ended: nothing is left in the other loop."""
        self._is_closed = True
        for call in [*self._under_way]:
            await self._cancel(call)

    def call_home(self, function: Callable[[], object]) -> None:
        """Call a function in the loop of the callers; for code that runs there."""
        self._home.call(function)

    async def _cancel(self, call: LoopCall[Any]) -> None:
        self._there.call(call.cancel)
        with anyio.CancelScope(shield=True):
            await call.outlast()


class LastStep:
    """The step with which the work of a call is done, such as a commit: a cancellation waits for it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._cancellation: asyncio.TimerHandle | None = None

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task: at once, or later if it is in its last step."""
        if self._seconds:
            self._cancellation = asyncio.get_running_loop().call_later(self._seconds, task.cancel)
            task.add_done_callback(lambda _: self._forget())
        else:
            task.cancel()

    @block
    def within(self, seconds: float) -> Iterator[None]:
        """Have a cancellation wait for the block and the end of the work; if the block fails, it comes at once."""
        self._seconds = seconds
        try:
            yield
        except Exception:
            self._seconds = 0.0
            if self._forget():
                asyncio.current_task().cancel()  # type: ignore[union-attr]  # a task runs the work
            raise

    def _forget(self) -> bool:
        """Have no cancellation come later; return True if one was to."""
        cancellation, self._cancellation = self._cancellation, None
        if cancellation is not None:
            cancellation.cancel()
        return cancellation is not None


_last_step: ContextVar[LastStep] = ContextVar("modd_last_step")


def last_step(seconds: float) -> AbstractContextManager[None]:
    """Have a cancellation of the call whose work this is wait for the block, and for what the work does after it.

    The result of work whose last step is done is then with the caller, and not lost. If the block fails, the work is
    cancelled at once.

    seconds: the longest wait; then the work is cancelled.
    """
    return _last_step.get(LastStep()).within(seconds)


class LoopCall(Generic[T]):
    """A coroutine that runs in a loop of asyncio for a caller in a loop.

    home: calls functions in the caller's loop.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], home: Crossing) -> None:
        self._work, self._home = work, home
        self._task: asyncio.Task[T] | None = None
        self._signals: list[Signal] = []
        self._is_over = False
        self._last_step = LastStep()

    @property
    def has_result(self) -> bool:
        """True if the task has ended with a result."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    @property
    def was_cancelled(self) -> bool:
        """True if the task has ended because it was cancelled."""
        return self._task is not None and self._task.cancelled()

    def start(self) -> None:
        """Start the task; in its loop."""
        context = Context()  # an empty one: the caller may be inside of a transaction
        context.run(_last_step.set, self._last_step)
        self._task = asyncio.get_running_loop().create_task(self._work(), context=context)
        self._task.add_done_callback(lambda _: self._home.call(self._end))

    def cancel(self) -> None:
        """Cancel the task, unless it ends its last step in time; in its loop."""
        task = self._task
        if task is not None:  # else it has ended, and the caller has its result
            self._last_step.cancel(task)

    async def wait(self) -> None:
        """Return when the task has ended; in the caller's loop."""
        while not self._is_over:
            signal = signals()()
            self._signals.append(signal)
            await signal

    async def outlast(self) -> None:
        """Return when the task has ended, however often the caller is cancelled natively."""
        while not self._is_over:
            try:
                await self.wait()
            except CancelledError:
                continue
        if self._task is not None and not self._task.cancelled():
            self._task.exception()  # it was seen

    def result(self) -> T:
        """Return the result of the task that has ended, or raise its error."""
        task, self._task = self._task, None  # so that error, frame and call form no cycle
        assert task is not None  # only reached when it has ended
        return task.result()

    def _end(self) -> None:
        self._is_over = True
        if self._task is not None and self._task.cancelled():
            # its error leaves the task: it has the frames of the work, and so a connection that was being made, which
            # would else be open until garbage is collected
            with suppress(CancelledError):
                self._task.result()
        for signal in self._signals:
            set_signal(signal)
