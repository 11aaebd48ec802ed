"""Finding events by their tags, by the messages that each tag has in the stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modd.ports.tagged import Alternative, Tagged
from modd.stores.nats.each_of import each_of
from modd.stores.nats.jetstream import MOST_REQUESTS
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import PENDING, Record
from modd.stores.nats.subjects import Subjects
from modd.stores.paging import PAGE


async def find_positions(overlay: Overlay, subjects: Subjects, query: Tagged, after: int, limit: int) -> list[int]:
    """Return the positions of the first events behind a position that match a query, up to a limit."""
    found: set[int] = set()
    for alternative in query.alternatives:
        tag = await _rarest(overlay, subjects, alternative)
        found.update(await _find(overlay, subjects.tag(tag), alternative, after, limit))
    return sorted(found)[:limit]


async def read_events(overlay: Overlay, positions: Sequence[int]) -> list[Record]:
    """Return the records of events by their positions, those that are not committed yet included."""
    stored = await each_of(overlay.stream.get, [each for each in positions if each < PENDING], MOST_REQUESTS)
    pending = [overlay.record_at(position - PENDING) for position in positions if position >= PENDING]
    return [record for record in stored if record is not None] + pending


async def _rarest(overlay: Overlay, subjects: Subjects, alternative: Alternative) -> str:
    """Return the tag of an alternative that has the fewest messages."""
    if len(alternative.tags) == 1:
        return alternative.tags[0]
    counts = await each_of(overlay.stream.count, [*map(subjects.tag, alternative.tags)], MOST_REQUESTS)
    return min(zip(counts, alternative.tags, strict=True))[1]


async def _find(overlay: Overlay, subject: str, alternative: Alternative, after: int, limit: int) -> list[int]:
    found: list[int] = []
    behind = after
    while len(found) < limit:
        page = await overlay.page(subject, behind, PAGE)
        found += [position for position in _matching(page, alternative) if position > after]
        if len(page) < PAGE:
            break
        behind = page[-1].sequence
    return found[:limit]


def _matching(records: Sequence[Record], alternative: Alternative) -> Iterator[int]:
    """Yield the position of the event of each record of a tag that matches."""
    for record in records:
        if alternative.matches(record.meta["tags"], record.meta["type"]):
            yield record.sequence - record.meta["distance"]
