"""The last record of each lane of a queue, with which the first claim of an item with a key is compared."""

from __future__ import annotations

from modd.stores.nats.queue_records import NO_LANE, lane_of


class LaneEnds:
    """The sequence of the last record of each lane that has items.

    It moves by the records that came in their order, and by writes that were compared with the whole lane. Any other
    write of this process does not move it: a record of another process may be before that.
    """

    def __init__(self) -> None:
        self._ends: dict[str, list[int]] = {}
        """The number of items and the last sequence of each lane."""

    def last(self, lane: str) -> int:
        """Return the last sequence of a lane; 0 if there is none."""
        return self._ends[lane][1] if lane in self._ends else 0

    def add(self, name: str) -> None:
        """Note that there is an item, before the sequence of its record."""
        lane = lane_of(name)
        if lane != NO_LANE:
            self._ends.setdefault(lane, [0, 0])[0] += 1

    def remove(self, name: str) -> None:
        """Note that an item is gone; a lane without items is forgotten."""
        lane = lane_of(name)
        if lane in self._ends:
            self._ends[lane][0] -= 1
            if not self._ends[lane][0]:
                del self._ends[lane]

    def move(self, name: str, sequence: int) -> None:
        """Note the sequence of a record of the lane of an item, if the lane has items."""
        end = self._ends.get(lane_of(name))
        if end is not None and end[1] < sequence:
            end[1] = sequence

    def correct(self, name: str, before: int, after: int) -> None:
        """Replace the last sequence, if it is still the one before: the last record has expired."""
        end = self._ends.get(lane_of(name))
        if end is not None and end[1] == before:
            end[1] = after
