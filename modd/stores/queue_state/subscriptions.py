"""The announced handlers of a queue, and the items that were left to workers that know them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from modd.ports.items import Subscription
from modd.stores.queue_state.lanes import QueueItem
from modd.stores.timers import IndexedHeap


class Announcements:
    """The handlers that workers have announced, and the time of each last announcement.

    clock: returns the seconds by which their retention is measured. wall_clock: returns seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._clock, self._wall_clock = clock, wall_clock
        self._seen: dict[tuple[str, str, str], float] = {}
        """The times by type, bus and handler."""

    def add(self, subscriptions: Iterable[Subscription], retention: float) -> None:
        """Note that handlers were seen now; forget those that were not seen for ``retention`` seconds."""
        now = self._clock()
        seen_now = {(each.type, each.bus, each.handler): now for each in subscriptions}
        # another dict, because a transaction may go back to the one before
        self._seen = {key: seen for key, seen in (self._seen | seen_now).items() if seen + retention >= now}

    def find(self, types: Collection[str] | None = None) -> list[Subscription]:
        """Return the handlers of these types, or all, sorted."""
        began = self._wall_clock() - self._clock()
        return [
            Subscription(bus, type, handler, began + seen)
            for (type, bus, handler), seen in sorted(self._seen.items())
            if types is None or type in types
        ]

    def times(self, _: object = None) -> dict[tuple[str, str, str], float]:
        """Return the times of the last announcements, for `restore`."""
        return self._seen

    def restore(self, _: object, times: dict[tuple[str, str, str], float]) -> None:
        """Make these the times of the last announcements."""
        self._seen = times

    def forget(self, handler: str) -> None:
        """Forget a handler on every bus."""
        self._seen = {key: seen for key, seen in self._seen.items() if key[2] != handler}


class LeftItems:
    """The ids of items that were left, by name in the order of their positions, and the times at which they are due."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._positions: dict[str, IndexedHeap] = {}
        self._due = IndexedHeap()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, item: QueueItem, name: str, due: float) -> None:
        """Add an item under a name."""
        self._names[item.id] = name
        self._positions.setdefault(name, IndexedHeap()).put(item.id, item.position)
        self._due.put(item.id, due)

    def remove(self, id: str) -> None:
        """Remove an item, if it is here."""
        name = self._names.pop(id, None)
        if name is not None:
            self._due.remove(id)
            self._positions[name].remove(id)
            if not self._positions[name]:
                del self._positions[name]

    def __contains__(self, id: str) -> bool:
        return id in self._names

    def place_of(self, id: str) -> tuple[str, float]:
        """Return the name of an item that is here, and the time at which it is due."""
        return self._names[id], self._due.place_of(id)[0]

    def first(self, names: Collection[str]) -> str | None:
        """Return the id of the first item that was left under one of these names; None if there is none."""
        found = [heap for name, heap in self._positions.items() if name in names]
        return min(found, key=IndexedHeap.first_rank).first() if found else None

    def pop_due(self, until: float) -> Iterator[str]:
        """Remove and yield the items that are due."""
        while (id := self._due.first(until)) is not None:
            self.remove(id)
            yield id

    def first_due(self) -> float:
        """Return the time at which the first item is due; infinity if there is none."""
        return self._due.first_rank()
