"""The places of the items of a queue, and the way back from one to another."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, TypeAlias

from modd.stores.queue_state.lanes import QueueItem, ReadyItems
from modd.stores.queue_state.subscriptions import LeftItems
from modd.stores.timers import IndexedHeap

Place: TypeAlias = tuple[Any, ...]
"""The place of an item: ``("ready",)``, ``("dead",)``, ``("delayed" | "leased" | "suspects", rank, position)``, or
``("left", name, due)``."""


Memento: TypeAlias = tuple[tuple[Any, ...], bool, Place | None]
"""The state of an item: its fields that change, True if it owns its key, and its place; None if it is nowhere."""


CHANGING = ("position", "due", "attempts", "was_alone", "token", "reason", "left_at", "buried")
"""The fields of an item that change."""


_changing_fields = attrgetter(*CHANGING)


class Places:
    """All items of a queue, and the place of each: it is ready, delayed, leased, a suspect, left or dead.

    has_ids: False to do without `by_id`, which takes memory.
    """

    def __init__(self, has_ids: bool = True) -> None:
        self._has_ids = has_ids
        self.items: dict[str, QueueItem] = {}
        """The items by the name that they have among themselves."""
        self.by_id: dict[str, dict[str, QueueItem]] = {}
        """The same items by the id that callers know."""
        self.ready, self.delayed, self.leased = ReadyItems(), IndexedHeap(), IndexedHeap()
        self.suspects = IndexedHeap()
        """Ids of the items whose lease ended, the latest first; they own their keys."""
        self.left = LeftItems()
        self.dead: dict[str, QueueItem] = {}
        """The dead letters, in the order in which they were buried."""
        self._heaps = {"delayed": self.delayed, "leased": self.leased, "suspects": self.suspects}

    def of_id(self, id: str) -> list[QueueItem]:
        """Return the items of an id, in their order."""
        return sorted(self.by_id.get(id, {}).values(), key=attrgetter("position"))

    def withdraw(self, item: QueueItem) -> None:
        """Remove an item from its place, to put it into another; it keeps its key."""
        for places in (self.delayed, self.leased, self.suspects, self.left):
            places.remove(item.id)
        self.ready.remove(item)

    def forget(self, item: QueueItem) -> None:
        """Remove an item altogether."""
        self.withdraw(item)
        self.ready.free_key(item)
        self.items.pop(item.id, None)
        same = self.by_id.get(item.put_id, {})
        same.pop(item.id, None)
        if not same:
            self.by_id.pop(item.put_id, None)

    def add(self, item: QueueItem, place: Place, owns_key: bool) -> None:
        """Add an item that is nowhere. owns_key: True if it owns its key."""
        self.items[item.id] = item
        if self._has_ids:
            self.by_id.setdefault(item.put_id, {})[item.id] = item
        if owns_key:
            self.ready.own_key(item)
        self._put_in(item, *place)

    def memento(self, item: QueueItem) -> Memento:
        """Return the state of an item, for `restore`."""
        return _changing_fields(item), self.ready.owns_key(item), self.place_of(item)

    def place_of(self, item: QueueItem) -> Place | None:
        """Return the place of an item; None if it is nowhere."""
        if item.id not in self.items:
            return None
        if item.id in self.dead:
            return ("dead",)
        for name, heap in self._heaps.items():
            if item.id in heap:
                return name, *heap.place_of(item.id)
        return ("left", *self.left.place_of(item.id)) if item.id in self.left else ("ready",)

    def restore(self, item: QueueItem, memento: Memento) -> None:
        """Give an item an earlier state again, in its place of then."""
        fields, owns_key, place = memento
        self.dead.pop(item.id, None)
        self.forget(item)
        for name, value in zip(CHANGING, fields, strict=True):
            setattr(item, name, value)
        if place is not None:
            self.add(item, place, owns_key)

    def _put_in(self, item: QueueItem, name: str, *rank: Any) -> None:
        if name in self._heaps:
            self._heaps[name].put(item.id, *rank)
        elif name == "left":
            self.left.add(item, *rank)
        elif name == "dead":
            self._put_among_dead(item)
        else:
            self.ready.add(item)

    def _put_among_dead(self, item: QueueItem) -> None:
        last = next(reversed(self.dead.values()), item)
        self.dead[item.id] = item
        if item.buried < last.buried:
            self.dead = dict(sorted(self.dead.items(), key=lambda entry: entry[1].buried))
