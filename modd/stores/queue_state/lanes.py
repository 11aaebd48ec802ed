"""The items of a queue that may be claimed: of each key one at a time.

Theory of operation. Each key has a lane: the items of the key that are due, ordered by their position in the queue.
At most one item of a lane may be claimed; it is the front of the lane. A single heap, ``_claimable``, has the items
without a key and the front of each lane. So the next item to claim is the top of that heap, for any number of
keys. They are claimed by the time at which they became due; of those of one time, the first put is the first.

An item owns its key from its first claim until it is acknowledged, buried, or released from that first claim. The owner
decides about the front:

- no owner: the front is the item with the lowest position;
- the owner is due (its lease ended, or its retry has come): the front is the owner, so that nothing overtakes it;
- the owner is not due (it is leased, or waits for its retry): there is no front, and nothing of the key can be claimed.

Example: ``a`` and ``b`` have the key ``k``, ``c`` has none. Their positions are 1, 2 and 3::

    step                    lane k: due   owner   front   claimable
    put a, b, c             a b           -       a       a c
    claim: a                b             a       -       c
    retry a in 10 seconds   b             a       -       c
    claim: c                b             a       -       -
    10 seconds later        a b           a       a       a
    claim: a                b             a       -       -
    acknowledge a           b             -       b       b
"""

from __future__ import annotations

import msgspec

from modd.stores.timers import IndexedHeap


class QueueItem(msgspec.Struct, eq=False):
    """An item in a queue.

    id: names the item among all items of the queue.
    put_id: the id that callers know; items that have begun may share it with one that has not.
    position: the order in which items were put, the lowest number first.
    due: the time at which it became or becomes due, by the clock of the queue.
    attempts: the number of claims that count.
    was_alone: True if the latest claim was one of a suspect and is not settled.
    token: the token of the latest claim until that claim is settled, then None.
    reason: the reason for which the item was buried.
    left_at: the time at which the item was first left to workers that know it, since it was claimed from there.
    buried: the order in which items were buried, the lowest number first.
    """

    id: str
    put_id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    position: int
    due: float = 0.0
    attempts: int = 0
    was_alone: bool = False
    token: str | None = None
    reason: str = ""
    left_at: float | None = None
    buried: int = 0


class Lane(msgspec.Struct, eq=False):
    """The items of one key.

    due: ids of the items that are due, by position.
    owner: the id of the item that owns the key, due or not.
    front: the id of the only item that may be claimed.
    """

    due: IndexedHeap
    owner: str | None = None
    front: str | None = None


class ReadyItems:
    """Items that are due and not leased, in the order in which they are claimed, and the owner of each key."""

    def __init__(self) -> None:
        self._claimable = IndexedHeap()
        """Ids of the items without a key and of the front of each lane."""
        self._lanes: dict[str | None, Lane] = {}
        self._keyed: dict[str, QueueItem] = {}
        """The items with a key, by id."""
        self.width = 1
        """The number of items among which `first` chooses at random; 1 for the first one."""

    def first(self) -> str | None:
        """Return the id of the item to claim next; None if there is none."""
        return self._claimable.first() if self.width == 1 else self._claimable.near_first(self.width)

    def add(self, item: QueueItem) -> None:
        """Add an item that is due."""
        if item.key is None:
            return self._claimable.put(item.id, item.due, item.position)
        self._keyed[item.id] = item
        lane = self._lanes.setdefault(item.key, Lane(IndexedHeap()))
        lane.due.put(item.id, item.position)
        return self._update_front(item.key, lane)

    def remove(self, item: QueueItem) -> None:
        """Remove an item, if it is here; an owner keeps its key."""
        self._keyed.pop(item.id, None)
        lane = self._lanes.get(item.key)
        if lane is None:
            return self._claimable.remove(item.id)
        lane.due.remove(item.id)
        return self._update_front(item.key, lane)

    def claim(self, item: QueueItem) -> None:
        """Remove the first item and make it the owner of its key."""
        lane = self._lanes.get(item.key)
        if lane is not None:
            lane.owner = item.id
        self.remove(item)

    def owns_key(self, item: QueueItem) -> bool:
        """True if the item owns its key."""
        lane = self._lanes.get(item.key)
        return lane is not None and lane.owner == item.id

    def own_key(self, item: QueueItem) -> None:
        """Make the item the owner of its key."""
        lane = self._lanes.setdefault(item.key, Lane(IndexedHeap()))
        lane.owner = item.id
        self._update_front(item.key, lane)

    def free_key(self, item: QueueItem) -> None:
        """Leave the key of an item without an owner, if the item owns it."""
        lane = self._lanes.get(item.key)
        if lane is not None and lane.owner == item.id:
            lane.owner = None
            self._update_front(item.key, lane)

    def _update_front(self, key: str | None, lane: Lane) -> None:
        """Choose the front of a lane again, and drop the lane when it is empty and has no owner."""
        front = _front(lane)
        if front != lane.front:
            if lane.front is not None:
                self._claimable.remove(lane.front)
            if front is not None:
                item = self._keyed[front]
                self._claimable.put(front, item.due, item.position)
            lane.front = front
        if lane.owner is None and not lane.due:
            del self._lanes[key]


def _front(lane: Lane) -> str | None:
    if lane.owner is None:
        return lane.due.first()
    return lane.owner if lane.owner in lane.due else None
