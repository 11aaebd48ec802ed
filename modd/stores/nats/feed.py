"""A feed on a NATS server."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import anyio

from modd.checks import checked_count, checked_span
from modd.ports.errors import StoreError
from modd.ports.items import Item
from modd.stores.checks import checked_feed_item
from modd.stores.feed_follower import FeedFollower, FeedPage
from modd.stores.nats.access import NatsPart, NatsParts
from modd.stores.nats.feed_log import STEP, FeedLog
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.requests import is_refused
from modd.stores.waiting import Notifier

POLL = 0.05
"""Seconds between two looks of a follower for items of other processes."""


LONGEST_WAIT = 3_600.0
"""Seconds after which a follower reads again, although no item came."""


class NatsFeed(NatsPart):
    """A `modd.ports.Feed` of a `NatsStore`: ``store.feed("public")``.

    Positions have no gaps. A follower hears at once of an item that this process has put, and within 0.05 seconds of
    one that a different process has put. Each put is one batch: put several items at once where you can.

    An item is stored for up to a second longer than ``retention``. Of ``most``, up to 256 more are stored.
    """

    def __init__(self, store: NatsParts, name: str, retention: float, most: int) -> None:
        super().__init__(store)
        self.name = name
        self._log = FeedLog(store.subjects, name, checked_span("retention", retention), checked_count("most", most))
        self._notifier = Notifier()
        self._known_first = 0
        """The position up to which this process has removed items."""

    def __repr__(self) -> str:
        return f"<NatsFeed {self.name} in {self._store!r}>"

    @property
    def options(self) -> tuple[float, int]:
        """The retention and the most items."""
        return self._log.retention, self._log.most

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items at the end, all or none, and return their ids; an id that the feed has is not added again."""
        access = self._store.access("put")
        checked = [checked_feed_item(item) for item in items]
        ids = [uuid4().hex if item.id is None else item.id for item in checked]
        if not ids:
            return []
        last = await access.write(self._put, checked, ids)
        if last is not None and last > self._log.most and last % STEP < len(ids):
            await self._store.stream.purge(self._log.items, keep=self._log.most)
            self._known_first = max(self._known_first, last - self._log.most)
        return ids

    def follow(self, after: int | None = None) -> FeedFollower:
        """Return an iterator over the items after a position, then over those that come; None: from now on."""
        return FeedFollower(self._read_page, self._wait, after, lambda: self._known_first)

    async def span(self) -> tuple[int, int]:
        """Return the position before the first item, and the last position."""
        access = self._store.access("span")
        span: tuple[int, int] = await access.read("the span of the feed", self._log.span)
        return span

    async def epoch(self) -> str:
        """Return 16 letters and digits that the feed keeps as long as the server has it."""
        try:
            epoch: str = await self._store.access("epoch", at_once=True).write(self._log.epoch)
        except StoreError as error:
            if not is_refused(error, self._log.subject):
                raise
            problem = f"there is no feed {self.name!r} yet, and the user of this link may not create it"
            cure = f"start the process that puts its items; have it await store.feed({self.name!r}).epoch() first"
            raise StoreError(self._store.name, f"{problem}; {cure}") from error
        return epoch

    async def _put(self, overlay: Overlay, items: Sequence[Item], ids: Sequence[str]) -> int:
        overlay.ids += ids
        last = await self._log.put(overlay, items, ids)
        overlay.after_commit(lambda _: self._notifier.notify())
        return last

    async def _read_page(self, after: int | None) -> FeedPage:
        # outside of a transaction that defers its writes, whose reads would see no later item
        access = self._store.access("follow", at_once=True)
        page: FeedPage = await access.read("the items of the feed", self._log.page, after)
        return page

    async def _wait(self, after: int) -> None:
        async def has_more() -> bool:
            access = self._store.access("follow", at_once=True)
            return bool(await access.read("the last position of the feed", self._log.last) != after)

        await self._notifier.wait(LONGEST_WAIT, has_more, lambda: anyio.current_time() + POLL)
