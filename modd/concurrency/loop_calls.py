"""Calls from any loop into one of asyncio: the same loop, or one in a thread of its own under trio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, Generic, TypeVar

import anyio

from modd.concurrency.cancellation import CancelledError
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

        If the caller is cancelled, the task is cancelled, once, and the call ends when the task has ended.
        """
        if self._is_closed:
            raise self._closed()
        call = LoopCall(work, self._home)
        self._under_way.add(call)
        self._there.call(call.start)
        try:
            await call.wait()
        except BaseException:
            await self._cancel(call)
            raise
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


class LoopCall(Generic[T]):
    """A coroutine that runs in a loop of asyncio for a caller in a loop.

    home: calls functions in the caller's loop.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], home: Crossing) -> None:
        self._work, self._home = work, home
        self._task: asyncio.Task[T] | None = None
        self._signals: list[Signal] = []
        self._is_over = False

    @property
    def was_cancelled(self) -> bool:
        """True if the task has ended because it was cancelled."""
        return self._task is not None and self._task.cancelled()

    def start(self) -> None:
        """Start the task; in its loop."""
        # in an empty context: the caller may be inside of a transaction
        self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())
        self._task.add_done_callback(lambda _: self._home.call(self._end))

    def cancel(self) -> None:
        """Cancel the task; in its loop."""
        assert self._task is not None  # it was started before, as calls cross in order
        self._task.cancel()

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
