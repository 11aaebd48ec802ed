"""The virtual clock of trio: trio's own, told when a worker thread is at work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

try:
    import trio
    from trio.testing import MockClock
except ImportError as missing:
    raise ImportError("the virtual clock on trio needs trio: pip install modd[trio]") from missing


def options(patience: float) -> dict[str, Any]:
    """What anyio calls the options of the backend."""
    clock = MockClock()
    return {"clock": clock, "instruments": [Patience(clock, patience)]}


def run(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run an async function from its start to its end; anyio did not give trio its options in each version."""
    return trio.run(function, *args, **options)


class Patience(trio.abc.Instrument):
    """After each step, sets for how long nothing must happen before the clock jumps to what is due next."""

    def __init__(self, clock: MockClock, patience: float) -> None:
        self._clock, self._patience = clock, patience

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """While a thread is at work, as long as in reality; for ever when nothing is due."""
        due = trio.lowlevel.current_statistics().seconds_to_next_deadline
        at_work = trio.to_thread.current_default_thread_limiter().borrowed_tokens
        threshold = due if at_work or due == inf else self._patience
        if threshold != self._clock.autojump_threshold:
            self._clock.autojump_threshold = max(threshold, 0)
