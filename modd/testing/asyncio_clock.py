"""The virtual clock for asyncio: an event loop whose selector advances the time instead of sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from math import inf
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar, TypeVarTuple

import anyio
from anyio.to_thread import current_default_thread_limiter

from modd.concurrency.threads import threads_at_work

Ts = TypeVarTuple("Ts")


T = TypeVar("T")


def backend_options(patience: float) -> dict[str, Any]:
    """Return the backend options for anyio."""
    return {"loop_factory": partial(VirtualLoop, patience)}


def run_with_options(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run an async function in a new event loop and return its result."""
    return anyio.run(function, *args, backend="asyncio", backend_options=options)


class VirtualSelector(DefaultSelector):
    """A selector that advances the time to the next timer if there is no input."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.now = 0.0
        self.calls: set[asyncio.Future[Any]] = set()
        """Calls that run in an executor."""
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait for input; without a timer (``timeout`` is None) for ever."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        busy = self.calls or threads_at_work or current_default_thread_limiter().borrowed_tokens
        ready = super().select(timeout if busy else min(timeout, self._patience))
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a virtual time, which begins at 0."""

    def __init__(self, patience: float) -> None:
        self._virtual = VirtualSelector(patience)
        super().__init__(self._virtual)
        self._clock_resolution = 1e-6  # that of the real clock is lost in a float after 97 days: no timer would be due

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._virtual.now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule a callback; one at infinity is not scheduled, because the time would advance towards it for ever."""
        if when == inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run a function in a thread; meanwhile the virtual time advances with the real time."""
        call = super().run_in_executor(executor, func, *args)
        self._virtual.calls.add(call)
        call.add_done_callback(self._virtual.calls.discard)
        return call

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads without a time-out, which would end at once on virtual time."""
        await super().shutdown_default_executor()
