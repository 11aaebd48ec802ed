"""Waiting until what is in memory changes."""

from __future__ import annotations

from math import inf

import anyio

from modd.stores.ranked import Ranked


class Times(Ranked):
    """Names in the order of the times at which something happens to them."""

    def earliest(self) -> float:
        """The time of the first; infinity if there is none."""
        name = self.first()
        return inf if name is None else self._ranks[name]


class Bell:
    """Wakes those who wait. It belongs to no loop while nobody waits."""

    def __init__(self) -> None:
        self._waiting: set[anyio.Event] = set()

    def ring(self) -> None:
        """Wake all who wait now."""
        for each in self._waiting:
            each.set()

    async def wait(self, until: float) -> None:
        """Wait for the bell, but no longer than until that time of the loop."""
        rung = anyio.Event()
        self._waiting.add(rung)
        try:
            with anyio.CancelScope(deadline=until):
                await rung.wait()
        finally:
            self._waiting.discard(rung)
