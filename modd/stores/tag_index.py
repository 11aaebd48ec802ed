"""An index of tagged events in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge

from modd.ports.tagged import Alternative, Tagged


class TagIndex:
    """Finds tagged events by a query, in the order of their positions."""

    def __init__(self) -> None:
        self._by_tag: dict[str, list[int]] = {}
        """The positions of the events with a tag, rising."""
        self._events: dict[int, tuple[frozenset[str], str | None]] = {}
        """Tags and type of each tagged event, by its position."""

    def add(self, position: int, tags: Iterable[str], type: str | None) -> None:
        """Note an event, behind all others."""
        unique = frozenset(tags)
        self._events[position] = (unique, type)
        for tag in unique:
            self._by_tag.setdefault(tag, []).append(position)

    def remove(self, position: int) -> None:
        """Forget the last event, if it has tags."""
        for tag in self._events.pop(position, (frozenset[str](), None))[0]:
            self._by_tag[tag].pop()

    def find(self, query: Tagged, after: int, limit: int) -> list[int]:
        """Return the positions of the first events after a position that match, up to ``limit``."""
        found: dict[int, None] = {}  # an event may match several alternatives
        possible = [each for each in query.alternatives if all(map(self._by_tag.__contains__, each.tags))]
        for position in merge(*(self._find(each, after) for each in possible)):
            found[position] = None
            if len(found) == limit:
                break
        return [*found]

    def _find(self, alternative: Alternative, after: int) -> Iterator[int]:
        """Go through the events with the rarest of the tags, all of which are known."""
        starts = {tag: bisect_right(self._by_tag[tag], after) for tag in alternative.tags}
        rarest = min(alternative.tags, key=lambda tag: len(self._by_tag[tag]) - starts[tag])
        positions = self._by_tag[rarest]
        for at in range(starts[rarest], len(positions)):
            if alternative.matches(*self._events[positions[at]]):
                yield positions[at]
