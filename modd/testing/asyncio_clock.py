"""The virtual clock of asyncio: an event loop whose selector moves the time on in place of sleeping."""

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

Ts = TypeVarTuple("Ts")


T = TypeVar("T")


def options(patience: float) -> dict[str, Any]:
    """What anyio calls the options of the backend."""
    return {"loop_factory": partial(VirtualLoop, patience)}


def run(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run an async function from its start to its end."""
    return anyio.run(function, *args, backend="asyncio", backend_options=options)


class VirtualSelector(DefaultSelector):
    """Looks for input and, when there is none, moves the time on to what is due next."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.now = 0.0
        self.calls: set[asyncio.Future[Any]] = set()
        """What runs in an executor."""
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait for input; with nothing due (``timeout`` is None) as long as it takes."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        at_work = self.calls or current_default_thread_limiter().borrowed_tokens
        ready = super().select(timeout if at_work else min(timeout, self._patience))
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    def __init__(self, patience: float) -> None:
        self._virtual = VirtualSelector(patience)
        super().__init__(self._virtual)
        self._clock_resolution = 1e-6  # that of the real clock is lost in a float after 97 days: nothing would be due

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self._virtual.now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a time; what is never due is not scheduled, or the time would run towards it for ever."""
        if when == inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run in a thread, and let no time pass meanwhile that does not really pass."""
        call = super().run_in_executor(executor, func, *args)
        self._virtual.calls.add(call)
        call.add_done_callback(self._virtual.calls.discard)
        return call

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads however long it takes: the time allowed would be over at once."""
        await super().shutdown_default_executor()
