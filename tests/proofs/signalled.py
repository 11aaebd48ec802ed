"""A process that is told to end by signals, put together as `examples/orders.py` is."""

from __future__ import annotations

import anyio

from modd.worker import run_workers
from tests.proofs.orders import fails_first
from tests.proofs.workshop import Workshop, accept, opened, workers
from tests.proofs.zygote import Outside


class Ready:
    """Runs beside the workers, and tells when they have begun and signals are heard."""

    def __init__(self, outside: Outside, accepted: list[int]) -> None:
        self._outside, self._accepted, self._stopped = outside, accepted, anyio.Event()

    async def run(self) -> None:
        """Tell it."""
        self._outside.tell(accepted=self._accepted)
        await self._stopped.wait()

    def stop(self) -> None:
        """End."""
        self._stopped.set()


async def run(outside: Outside, path: str, numbers: list[int], slow: float, drain: float) -> None:
    """Accept orders, some short and some that take so many seconds, and work until a signal comes."""
    shop = Workshop(lambda number: slow if number % 3 == 2 and not fails_first(number) else 0.0)
    async with opened(path) as store:
        accepted = await accept(store, numbers)
        await run_workers(*workers(store, shop, lease=30.0, drain=drain), Ready(outside, accepted))
