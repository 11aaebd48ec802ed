"""Waiting until what is in memory changes."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf

import anyio

SPARE = 16
"""So many entries may be void however few names there are."""


class Ranked:
    """Names, each with a rank: to add, to remove and to find the first takes about as long for many as for few.

    A heap, in which the entry of a name that was moved or removed stays, void, until it comes to the top or half of the
    heap is void.
    """

    def __init__(self) -> None:
        self._ranks: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._ranks)

    def __contains__(self, name: str) -> bool:
        return name in self._ranks

    def put(self, name: str, rank: float) -> None:
        """Add the name, or move it to another rank."""
        self._ranks[name] = rank
        heappush(self._heap, (rank, name))
        self._tidy()

    def remove(self, name: str) -> None:
        """Remove the name, if it is there."""
        self._ranks.pop(name, None)
        self._tidy()

    def first(self, until: float = inf) -> str | None:
        """The name with the lowest rank, if that is not above ``until``; None if there is none."""
        while self._heap and self._is_void(*self._heap[0]):
            heappop(self._heap)
        return self._heap[0][1] if self._heap and self._heap[0][0] <= until else None

    def pop(self, until: float = inf) -> str | None:
        """Remove the first and return it."""
        name = self.first(until)
        if name is not None:
            del self._ranks[name]
        return name

    def _is_void(self, rank: float, name: str) -> bool:
        return self._ranks.get(name) != rank

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._ranks) + SPARE:
            self._heap = [(rank, name) for name, rank in self._ranks.items()]
            heapify(self._heap)


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
