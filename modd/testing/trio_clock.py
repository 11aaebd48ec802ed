"""The virtual clock for trio: its ``MockClock``, paused while a worker thread runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

from modd.concurrency.threads import threads_at_work

try:
    import trio
    from trio.testing import MockClock
except ImportError as missing:
    raise ImportError("the virtual clock on trio needs trio: pip install modd[trio]") from missing


def backend_options(patience: float) -> dict[str, Any]:
    """Return the backend options for anyio."""
    clock = MockClock()
    return {"clock": clock, "instruments": [Patience(clock, patience)]}


def run_with_options(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run an async function in trio and return its result; not every version of anyio passes the options on."""
    return trio.run(function, *args, **options)


class Patience(trio.abc.Instrument):
    """An instrument that sets, after each step, the idle time after which the clock jumps to the next deadline."""

    def __init__(self, clock: MockClock, patience: float) -> None:
        self._clock, self._patience = clock, patience

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Set the idle time: the real time to the deadline while a thread runs, for ever without a deadline."""
        due = trio.lowlevel.current_statistics().seconds_to_next_deadline
        busy = threads_at_work or trio.to_thread.current_default_thread_limiter().borrowed_tokens
        threshold = due if busy or due == inf else self._patience
        if threshold != self._clock.autojump_threshold:
            self._clock.autojump_threshold = max(threshold, 0)
