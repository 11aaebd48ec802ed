"""Ids of queue items in the database: several items may have one id, those that were claimed, and one that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from modd.stores.item_ids import id_at, position_in
from modd.stores.postgres.queue_sql import FIND
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import decode_text, encode_texts

StoreNonce: TypeAlias = Callable[[], str]
"""Returns the text by which ids of this store differ from those of others."""


class FoundItem(NamedTuple):
    """An item that was found by its id; in the order of places."""

    place: int
    id: str
    key: bytes | None
    attempts: int


class FoundItems:
    """Items that were found by their ids."""

    def __init__(self, items: Iterable[FoundItem]) -> None:
        self._items = sorted(items)

    @classmethod
    async def find(cls, session: Session, queue: int, nonce: str, ids: Sequence[str]) -> FoundItems:
        """Find the items of a queue that have one of these ids."""
        places = [place for place in (position_in(nonce, id) for id in ids) if place is not None]
        rows: list[Any] = await session.rows(FIND, (queue, encode_texts(ids), places, queue))
        return cls(
            FoundItem(place, id_at(nonce, place) if id is None else decode_text(id), key, attempts)
            for id, place, key, attempts in rows
        )

    def ids(self, *, only_unclaimed: bool = False) -> set[str]:
        """Return the ids of the items. only_unclaimed: of those of which no attempt counts."""
        return {item.id for item in self._items if not (only_unclaimed and item.attempts)}

    def keys(self) -> set[bytes]:
        """Return the keys of the items."""
        return {item.key for item in self._items if item.key is not None}

    def of(self, ids: Iterable[str]) -> list[FoundItem]:
        """Return the items in the order of these ids, those of one id in the order of their places."""
        by_id: dict[str, list[FoundItem]] = {id: [] for id in ids}
        for item in self._items:
            by_id[item.id].append(item)
        return [item for items in by_id.values() for item in items]
