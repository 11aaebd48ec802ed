"""The insertion of items that are put, without those whose id keeps them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple

from modd.ports.items import Item, PutResult
from modd.stores.item_ids import queue_number
from modd.stores.postgres.advisory import LockNames, take_lanes
from modd.stores.postgres.foreign_access import ForeignAccess
from modd.stores.postgres.item_ids import FoundItems, StoreNonce
from modd.stores.postgres.limits import checked_queue_item
from modd.stores.postgres.queue_sql import BLOCKED, DELAYED, HAS_HEAD, INSERT, READY
from modd.stores.postgres.session import Operation, Session
from modd.stores.postgres.values import encode_headers, encode_optional


class NewItem(NamedTuple):
    """An item to insert.

    delay: the seconds until it is due; None for one that is due. only_unclaimed: True to drop it only if an item with
    its id was never claimed; False if there is one in any state.
    """

    id: str | None
    key: bytes | None
    delay: float | None
    headers: bytes | None
    body: bytes
    only_unclaimed: bool = False


def new_item(value: bytes | Item) -> NewItem:
    """Return an item to insert. Raises `InvalidOption`."""
    item = checked_queue_item(value)
    key, headers = encode_optional(item.key), encode_headers(item.headers)
    return NewItem(item.id, key, item.delay or None, headers, item.body, item.unique == "until-started")


class SessionQueue:
    """A queue in a transaction of the application: ``store.queue("mails").using(session)``."""

    def __init__(self, access: ForeignAccess, put: Operation, register: Callable[[], Awaitable[None]]) -> None:
        self._access, self._put, self._register = access, put, register

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items if the transaction commits, and return a result for each; duplicates are dropped."""
        rows = [new_item(item) for item in items]
        if not rows:
            return []
        await self._register()  # in a commit of its own: else first puts elsewhere wait for this transaction
        results: list[PutResult] = await self._access.run(self._put, rows)
        return results


class Insertion:
    """The insertion of items into one queue.

    queue: its name. nonce: returns the nonce of the store.
    """

    def __init__(self, queue: str, nonce: StoreNonce) -> None:
        self._queue, self._nonce = queue_number(queue), nonce

    async def run(self, session: Session, items: Sequence[NewItem]) -> list[PutResult]:
        """Insert items, but for duplicates, and return a result for each."""
        locks = locks_of(self._queue, items)
        await take_lanes(session, locks)
        lanes = locks.keys
        ids = list(dict.fromkeys(item.id for item in items if item.id is not None))
        are_new = await self._are_new(session, items, ids) if ids else [True] * len(items)
        added = [item for item, is_new in zip(items, are_new, strict=True) if is_new]
        made = iter(await self._insert(session, added, lanes))
        return [
            PutResult(next(made), False) if is_new else PutResult(str(item.id), True)
            for item, is_new in zip(items, are_new, strict=True)
        ]

    async def _are_new(self, session: Session, items: Sequence[NewItem], ids: Sequence[str]) -> list[bool]:
        """Return True for each item that no item in the queue, or before it in this put, keeps out."""
        found = await FoundItems.find(session, self._queue, self._nonce(), ids)
        known, unclaimed = found.ids(), found.ids(only_unclaimed=True)
        outcome: list[bool] = []
        for item in items:
            is_new = item.id not in (unclaimed if item.only_unclaimed else known)
            outcome.append(is_new)
            if is_new and item.id is not None:
                known.add(item.id)
                unclaimed.add(item.id)
        return outcome

    async def _insert(self, session: Session, items: Sequence[NewItem], lanes: Collection[bytes]) -> list[str]:
        """Insert items, and return their ids; the first one of a lane without a head is its head."""
        if not items:
            return []
        rows = await session.rows(HAS_HEAD, ([*set(lanes)], self._queue)) if lanes else []
        states = states_of(items, {key for [key] in rows})
        columns: Any = zip(*items, strict=True)
        ids, keys, delays, headers, bodies, _ = map(list, columns)
        names = list(map(encode_optional, ids))
        places = await session.rows(INSERT, (self._queue, states, delays, names, keys, headers, bodies))
        made = [
            f"{self._nonce()}{place:x}" if id is None else id for id, [place] in zip(ids, sorted(places), strict=True)
        ]
        session.note(*made)
        return made


def bytes_of(item: NewItem) -> int:
    """Return the bytes of the body and the headers."""
    return len(item.body) + len(item.headers or b"")


def locks_of(queue: int, items: Sequence[NewItem]) -> LockNames:
    """Return the locks for a put of items."""
    lanes = [item.key for item in items if item.key is not None and item.delay is None]
    return LockNames(queue, lanes, [item.id.encode() for item in items if item.id is not None])


def states_of(items: Sequence[NewItem], headed: set[bytes]) -> list[int]:
    """Return the state of each new item. headed: the keys whose lanes have a head; those of new heads are added."""
    states: list[int] = []
    for item in items:
        is_behind = item.key is not None and item.key in headed
        states.append(DELAYED if item.delay is not None else BLOCKED if is_behind else READY)
        if item.key is not None and item.delay is None:
            headed.add(item.key)
    return states
