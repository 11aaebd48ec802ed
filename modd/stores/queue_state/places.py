"""The places of the items of a queue, and the way back from one to another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

from modd.stores.queue_state.lanes import QueueItem, ReadyItems
from modd.stores.queue_state.subscriptions import LeftItems
from modd.stores.timers import IndexedHeap

Memento: TypeAlias = tuple[tuple[Any, ...], bool, Callable[[], object] | None]
"""The state of an item: its fields that change, True if it owns its key, and a function that puts it in its place."""


CHANGING = ("position", "due", "attempts", "was_alone", "token", "reason", "left_at", "buried")
"""The fields of an item that change."""


_changing_fields = attrgetter(*CHANGING)


class Places:
    """All items of a queue, and the place of each: it is ready, delayed, leased, a suspect, left or dead."""

    def __init__(self) -> None:
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

    def memento(self, item: QueueItem) -> Memento:
        """Return the state of an item, for `restore`."""
        return _changing_fields(item), self.ready.owns_key(item), self._place_of(item)

    def _place_of(self, item: QueueItem) -> Callable[[], object] | None:
        """Return a function that puts an item where it is now; None if it is nowhere."""
        if item.id not in self.items:
            return None
        if item.id in self.dead:
            return partial(self._put_among_dead, item)
        for heap in (self.delayed, self.leased, self.suspects):
            if item.id in heap:
                return partial(heap.put, item.id, *heap.place_of(item.id))
        if item.id in self.left:
            return partial(self.left.add, item, *self.left.place_of(item.id))
        return partial(self.ready.add, item)

    def restore(self, item: QueueItem, memento: Memento) -> None:
        """Give an item an earlier state again, in its place of then."""
        fields, owns_key, put_in_place = memento
        self.dead.pop(item.id, None)
        self.forget(item)
        for name, value in zip(CHANGING, fields, strict=True):
            setattr(item, name, value)
        if put_in_place is not None:
            self.items[item.id] = self.by_id.setdefault(item.put_id, {})[item.id] = item
            if owns_key:
                self.ready.own_key(item)
            put_in_place()

    def _put_among_dead(self, item: QueueItem) -> None:
        self.dead[item.id] = item
        self.dead = dict(sorted(self.dead.items(), key=lambda entry: entry[1].buried))
