"""A process that is told to end by signals, put together as `examples/orders.py` is."""

from __future__ import annotations

import anyio

from modd.worker import run_workers
from tests.proofs.orders import fails_first
from tests.proofs.workshop import Workshop, accept, opened, workers
from tests.proofs.zygote import Outside


class Ready:
    """Runs beside the workers, and tells when they have begun and signals are heard.

    begun: is waited for first.
    """

    def __init__(self, outside: Outside, accepted: list[int], begun: anyio.Event) -> None:
        self._outside, self._accepted, self._begun = outside, accepted, begun
        self._stopped = anyio.Event()

    async def run(self) -> None:
        """Tell it."""
        await self._begun.wait()
        self._outside.tell(accepted=self._accepted)
        await self._stopped.wait()

    def stop(self) -> None:
        """End."""
        self._stopped.set()


async def run(outside: Outside, path: str, numbers: list[int], pauses: list[float], drain: float, busy: bool) -> None:
    """Accept orders, and work until a signal comes.

    pauses: seconds that the orders take in turn, but for those that fail first and those of earlier processes. busy:
    signals are asked for when an order takes its time, and not as soon as they are heard.
    """
    begun = anyio.Event()
    if not busy:
        begun.set()

    def pause(number: int) -> float:
        seconds = 0.0 if fails_first(number) or number not in numbers else pauses[number % len(pauses)]
        if seconds:
            begun.set()
        return seconds

    async with opened(path) as store:
        accepted = await accept(store, numbers)
        await run_workers(*workers(store, Workshop(pause), lease=30.0, drain=drain), Ready(outside, accepted, begun))
