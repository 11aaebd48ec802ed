"""Which of the items that are due may be claimed: of each key one at a time."""

from __future__ import annotations

import msgspec

from modd.stores.memory.timers import Ranked


class Entry(msgspec.Struct, eq=False):
    """An item in a queue in memory.

    place: where it stands, the lowest at the front. attempts: how many count. token: that of its last claim, as long as
    it was not settled. reason: why it was buried.
    """

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    place: int
    attempts: int = 0
    token: str | None = None
    reason: str = ""


class Lane(msgspec.Struct, eq=False):
    """The items of one key. holder: the id of the one that has the key. front: the one that may be claimed."""

    due: Ranked
    holder: str | None = None
    front: str | None = None


class Ready:
    """Entries that are due and nobody's, in the order of their places, and who has which key."""

    def __init__(self) -> None:
        self._claimable = Ranked()
        """Those without a key, and the front of each lane."""
        self._lanes: dict[str | None, Lane] = {}
        self._places: dict[str, int] = {}

    def first(self) -> str | None:
        """The id of the one to be claimed next; None if there is none."""
        return self._claimable.first()

    def add(self, entry: Entry) -> None:
        """It is due."""
        if entry.key is None:
            return self._claimable.put(entry.id, entry.place)
        self._places[entry.id] = entry.place
        lane = self._lanes.setdefault(entry.key, Lane(Ranked()))
        lane.due.put(entry.id, entry.place)
        return self._lead(entry.key, lane)

    def remove(self, entry: Entry) -> None:
        """It is not due any more, if it was; if it has its key, it keeps it."""
        self._places.pop(entry.id, None)
        lane = self._lanes.get(entry.key)
        if lane is None:
            return self._claimable.remove(entry.id)
        lane.due.remove(entry.id)
        return self._lead(entry.key, lane)

    def take(self, entry: Entry) -> None:
        """The first is claimed: it has its key from now on."""
        lane = self._lanes.get(entry.key)
        if lane is not None:
            lane.holder = entry.id
        self.remove(entry)

    def free(self, entry: Entry) -> None:
        """It gives its key back, if it has it."""
        lane = self._lanes.get(entry.key)
        if lane is not None and lane.holder == entry.id:
            lane.holder = None
            self._lead(entry.key, lane)

    def _lead(self, key: str | None, lane: Lane) -> None:
        """Make the one claimable that is at the front now, and drop a lane in which nothing is left."""
        front = lane.due.first() if lane.holder is None else lane.holder if lane.holder in lane.due else None
        if front != lane.front:
            if lane.front is not None:
                self._claimable.remove(lane.front)
            if front is not None:
                self._claimable.put(front, self._places[front])
            lane.front = front
        if lane.holder is None and not lane.due:
            del self._lanes[key]
