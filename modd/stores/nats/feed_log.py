"""The records of a feed: one of the feed itself, and one for each item.

The record of the feed has its epoch, its options and its last position. A put writes it in the same batch as its items,
so that puts come one after another, positions have no gaps, and the last position is known when all items are removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex

from modd.ports.feed import Posted
from modd.ports.items import Item
from modd.stores.checks import check_same_feed
from modd.stores.feed_follower import FeedPage
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import Record, Write
from modd.stores.nats.subjects import Subjects, hash_name
from modd.stores.paging import PAGE

STEP = 256
"""Items above the most that may be stored before a put has them removed."""


class FeedLog:
    """One feed, as operations on an overlay.

    subjects: the subjects of the store. name: the name of the feed. retention: seconds for which an item is stored.
    most: most items that are stored.
    """

    def __init__(self, subjects: Subjects, name: str, retention: float, most: int) -> None:
        self.name, self.retention, self.most = name, retention, most
        self.subject, self.items = subjects.feed(name), subjects.feed_item(name)
        self._subjects = subjects
        self._places: dict[int, int] = {}
        """The sequences of the last items that were read, by position."""

    async def epoch(self, overlay: Overlay) -> str:
        """Return the epoch; the first call creates it. Raises `InvalidOption` for options unlike those of others."""
        record = await self._record(overlay)
        if record is not None:
            return str(record.meta["epoch"])
        epoch = token_hex(8)
        self._write(overlay, epoch, 0)
        return epoch

    async def put(self, overlay: Overlay, items: Sequence[Item], ids: Sequence[str]) -> int:
        """Add items whose ids the feed does not have; return the last position."""
        record = await self._record(overlay)
        last, epoch = (record.meta["last"], record.meta["epoch"]) if record is not None else (0, token_hex(8))
        existing = await self._existing(overlay, items, ids)
        for item, id in zip(items, ids, strict=True):
            if id not in existing:
                existing.add(id)
                last += 1
                meta = {"position": last, "id": id, "key": item.key, "headers": item.headers}
                subject = self._subjects.feed_item(self.name, last, hash_name(id))
                overlay.write(Write(subject, meta, item.body, self.retention, rollup=False))
        if record is None or last > record.meta["last"]:
            self._write(overlay, epoch, last)
        return int(last)

    async def span(self, overlay: Overlay) -> tuple[int, int]:
        """Return the position before the first item, and the last position."""
        record = await self._record(overlay)
        if record is None:
            return 0, 0
        last, found = record.meta["last"], await overlay.page(self.items, 0, 1)
        return found[0].meta["position"] - 1 if found else last, last

    async def page(self, overlay: Overlay, after: int | None) -> FeedPage:
        """Return the first items behind a position, and the span as far as it matters for them."""
        record = await self._record(overlay)
        last = 0 if record is None else record.meta["last"]
        if after is None or after == last:
            return FeedPage(last, last, [])
        items = await self._items(overlay, after)
        if items:
            self._places = {items[-1].meta["position"]: items[-1].sequence}
            return FeedPage(after, max(last, items[-1].meta["position"]), [*map(_posted, items)])
        return FeedPage(*await self.span(overlay), [])

    async def last(self, overlay: Overlay) -> int:
        """Return the last position."""
        record = await overlay.get(self.subject)
        return 0 if record is None else int(record.meta["last"])

    async def _items(self, overlay: Overlay, after: int) -> list[Record]:
        """Return the first items behind a position; none if the next one is removed."""
        place = self._places.get(after)
        if place is None:
            following = await overlay.stream.next(self._subjects.feed_item(self.name, after + 1), 0)
            if following is None:
                return []
            place = following.sequence - 1
        items = await overlay.page(self.items, place, PAGE)
        return items if items and items[0].meta["position"] == after + 1 else []

    async def _existing(self, overlay: Overlay, items: Sequence[Item], ids: Sequence[str]) -> set[str]:
        """Return those ids with which callers put items that the feed has."""
        asked = [id for item, id in zip(items, ids, strict=True) if item.id is not None]
        filters = [self._subjects.feed_item(self.name, id=hash_name(id)) for id in asked]
        records = await overlay.get_many(filters)
        return {id for id, record in zip(asked, records, strict=True) if record is not None}

    async def _record(self, overlay: Overlay) -> Record | None:
        """Return the record of the feed. Raises `InvalidOption` if it has different options."""
        record = await overlay.get(self.subject)
        if record is not None:
            existing = record.meta["retention"], record.meta["most"]
            check_same_feed(self.name, self.retention, self.most, existing)
        return record

    def _write(self, overlay: Overlay, epoch: str, last: int) -> None:
        meta = {"name": self.name, "epoch": epoch, "retention": self.retention, "most": self.most, "last": last}
        overlay.write(Write(self.subject, meta))


def _posted(record: Record) -> Posted:
    meta = record.meta
    return Posted(meta["position"], meta["id"], record.body, dict(meta["headers"]), meta["key"], record.at)
