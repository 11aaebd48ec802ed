"""The timing of runs, which also a side of a comparison uses that has an older modd."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import perf_counter

from bench.cases import Run


async def calls_for(run: Run, seconds: float, clock: Callable[[], float] = perf_counter) -> int:
    """Return the number of sends that take a number of seconds."""
    sends = 1
    while (took := await timed(run, sends, clock)) < seconds:
        sends = max(sends + 1, int(sends * min(20, 1.15 * seconds / took)))
    return sends


async def timed(run: Run, sends: int, clock: Callable[[], float] = perf_counter) -> float:
    """Return the seconds of a run that begins without garbage of other runs."""
    gc.collect()
    start = clock()
    counted = await run(sends)
    return clock() - start if counted is None else counted
