"""Names ordered by a number, such as a time."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf
from random import randrange

SPARE = 16
"""Stale entries that a heap may have however few names are in it."""


ATTEMPTS = 3
"""Attempts to meet an entry that is not stale."""


class IndexedHeap:
    """Names ordered by a rank, such as a time; adding, moving, removing and finding the first cost O(log n).

    A heap of ``(rank, position, name)`` beside a dict of the same entries; of equal ranks the lowest position is first.
    Moving or removing a name leaves a stale entry in the heap; such an entry is dropped when it comes to the top, or
    when more than half of the heap is stale.
    """

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, int, str]] = {}
        self._heap: list[tuple[float, int, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def put(self, name: str, rank: float, position: int = 0) -> None:
        """Add a name, or move it to another rank."""
        self._entries[name] = entry = rank, position, name
        heappush(self._heap, entry)
        self._tidy()

    def remove(self, name: str) -> None:
        """Remove a name, if it is there."""
        if self._entries.pop(name, None) is not None:
            self._tidy()

    def first(self, until: float = inf) -> str | None:
        """Return the name with the lowest rank; None if there is none or its rank is above ``until``."""
        heap = self._heap
        while heap and self._entries.get(heap[0][2]) is not heap[0]:
            heappop(heap)
        return heap[0][2] if heap and heap[0][0] <= until else None

    def near_first(self, width: int) -> str | None:
        """Return a random name of about so many with the lowest ranks; None if there is no name."""
        heap = self._heap
        for _ in range(ATTEMPTS):
            place = randrange(min(width, len(heap))) if heap else 0
            if heap and self._entries.get(heap[place][2]) is heap[place]:
                return heap[place][2]
        return self.first()

    def place_of(self, name: str) -> tuple[float, int]:
        """Return the rank and the position of a name that is there."""
        rank, position, _ = self._entries[name]
        return rank, position

    def first_rank(self) -> float:
        """Return the lowest rank; infinity if there is no name."""
        name = self.first()
        return inf if name is None else self._entries[name][0]

    def pop(self, until: float = inf) -> str | None:
        """Remove the first name and return it; None if there is none or its rank is above ``until``."""
        name = self.first(until)
        if name is not None:
            del self._entries[name]
        return name

    def pop_all(self, until: float) -> Iterator[str]:
        """Remove and yield the names whose rank is not above ``until``, the lowest first."""
        while (name := self.pop(until)) is not None:
            yield name

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._entries) + SPARE:
            self._heap = list(self._entries.values())
            heapify(self._heap)
