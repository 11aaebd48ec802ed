"""The operations of a queue: each runs in an open transaction of the database; see `queue_sql` for the SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modd.ports.items import Claim, PutResult, Suspects
from modd.stores.item_ids import id_at, queue_number
from modd.stores.lease import LeasedRow, new_lease_number, token_end
from modd.stores.postgres.advisory import LockNames, take_lanes, try_lanes
from modd.stores.postgres.item_ids import FoundItems, StoreNonce
from modd.stores.postgres.lease import change_leased, delete_leased, keys_of
from modd.stores.postgres.queue_put import Insertion, NewItem
from modd.stores.postgres.queue_sql import (
    ACK,
    BURY,
    CLAIM,
    CLAIM_SUSPECT,
    CLEAR,
    CLEAR_LEFT,
    DELETE,
    DELETE_LEFT,
    DUE,
    EXTEND,
    GIVE_WAY,
    IS_DEAD,
    KEYS,
    MAKE_READY,
    PROMOTE,
    REDRIVE,
    REGISTER,
    RELEASE,
    RETRY,
    RETRY_DUE,
    RETRY_NOW,
)
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import decode_headers, decode_optional, decode_text, encode_text


class QueueOperations:
    """The operations of one queue on the table of items.

    nonce: returns the nonce of the store. channel: has those woken who wait for an item of the queue.
    """

    def __init__(self, name: str, nonce: StoreNonce, channel: str) -> None:
        self.name, self.number, self.nonce, self.channel = name, queue_number(name), nonce, channel
        self._insertion = Insertion(name, nonce)

    async def put(self, session: Session, items: Sequence[NewItem]) -> list[PutResult]:
        """Insert items, but for duplicates, and return a result for each."""
        session.tell(self.channel)
        return await self._insertion.run(session, items)

    async def register_and_put(self, session: Session, items: Sequence[NewItem]) -> list[PutResult]:
        """Insert items as `put` does, and note the name of the queue beside its number, for the command line."""
        await self.register(session)
        return await self.put(session, items)

    async def register(self, session: Session) -> None:
        """Note the name of the queue beside its number."""
        await session.count(REGISTER, (self.number, encode_text(self.name)))

    async def claim(self, session: Session, limit: int, lease: float, suspects: Suspects) -> list[Claim]:
        """Lease up to so many items for so many seconds, or one suspect."""
        claims, is_due, is_suspect = await self._claim_ready(session, limit, lease, suspects, wait_for_due=True)
        if is_due:
            await self._make_due_items_ready(session)
            claims, _, is_suspect = await self._claim_ready(session, limit, lease, suspects, wait_for_due=False)
        if is_suspect and not claims and suspects != "none":
            number = new_lease_number(suspect=True)
            rows = await session.rows(CLAIM_SUSPECT, (lease, number, self.number))
            claims = self.claims_of(rows, number)
        return claims

    async def ack(self, session: Session, rows: Sequence[LeasedRow]) -> None:
        """Delete leased items."""
        keys = keys_of(rows)
        await take_lanes(session, LockNames(self.number, keys))
        await delete_leased(session, ACK, rows)
        await self.promote(session, keys)

    async def extend(self, session: Session, row: LeasedRow, lease: float) -> None:
        """Let a lease end so many seconds from now."""
        await change_leased(session, EXTEND, row, lease)

    async def retry(self, session: Session, row: LeasedRow, delay: float) -> None:
        """Make an item claimable again after so many seconds."""
        session.tell(self.channel)
        if delay:
            await change_leased(session, RETRY, row, delay)
        else:
            await change_leased(session, RETRY_NOW, row)
        await session.count(DELETE_LEFT, ([row.position],))

    async def release(self, session: Session, row: LeasedRow) -> None:
        """Make an item claimable again as if it had not been claimed."""
        session.tell(self.channel)
        keys = keys_of([row])
        await take_lanes(session, LockNames(self.number, keys))
        await change_leased(session, RELEASE, row)
        await self.promote(session, keys, give_way=True)

    async def bury(self, session: Session, row: LeasedRow, reason: str) -> None:
        """Make an item a dead letter."""
        keys = keys_of([row])
        await take_lanes(session, LockNames(self.number, keys))
        await change_leased(session, BURY, row, encode_text(reason))
        await self.promote(session, keys)

    async def discard(self, session: Session, ids: Sequence[str]) -> list[str]:
        """Delete dead letters, and return the id of each."""
        return await self.delete(session, ids, IS_DEAD)

    async def clear(self, session: Session) -> int:
        """Delete all items in every state, and return their number."""
        keys = [key for [key] in await session.rows(KEYS, (self.number,))]
        await take_lanes(session, LockNames(self.number, keys))
        await session.count(CLEAR_LEFT, (self.number,))
        deleted = await session.count(CLEAR, (self.number,))
        await self.promote(session, keys)  # what was put until the lanes were taken
        return deleted

    async def redrive(self, session: Session, ids: Sequence[str]) -> list[str]:
        """Put dead letters back at the end, and return the id of each."""
        session.tell(self.channel)
        found = await self._find_and_take_lanes(session, ids)
        items = [item for item in found.of(ids) if await session.count(REDRIVE, (encode_text(item.id), item.place))]
        await self.promote(session, [item.key for item in items])
        return [item.id for item in items]

    async def delete(self, session: Session, ids: Sequence[str], condition: str) -> list[str]:
        """Delete the items with these ids that meet the condition, and return the id of each."""
        found = await self._find_and_take_lanes(session, ids)
        items = found.of(ids)
        gone = await self.delete_at(session, [item.place for item in items], condition)
        await self.promote(session, found.keys())
        return [item.id for item in items if item.place in gone]

    async def delete_at(self, session: Session, places: Sequence[int], condition: str) -> set[int]:
        """Delete the items at these places that meet the condition, and return the places of the deleted ones."""
        rows = await session.rows(DELETE.format(condition), ([*places],)) if places else []
        return {place for [place] in rows}

    async def promote(self, session: Session, keys: Iterable[bytes | None], *, give_way: bool = False) -> None:
        """Make the first item of each lane its head, if the lane has none; an item without a key has no lane.

        give_way: first let a head step back of which no attempt counts.
        """
        lanes = sorted({key for key in keys if key is not None})
        if not lanes:
            return
        if give_way:
            await session.count(GIVE_WAY, (self.number, lanes))
        if await session.count(PROMOTE, (self.number, lanes, self.number)):
            session.tell(self.channel)

    def claims_of(self, rows: Iterable[Any], number: int) -> list[Claim]:
        """Return the claims of rows that were leased with this number; `CLAIMED` has their columns."""
        nonce, end = self.nonce(), token_end(number)
        return [
            Claim(
                id_at(nonce, place) if id is None else decode_text(id),
                body,
                decode_headers(headers),
                decode_optional(key),
                attempts,
                f"{place:x}{end}",
                number < 0,
            )
            for _, place, id, key, headers, attempts, body in rows
        ]

    async def _claim_ready(
        self, session: Session, limit: int, lease: float, suspects: Suspects, *, wait_for_due: bool
    ) -> tuple[list[Claim], bool, bool]:
        """Return claims, True if there are items that came due, and True if there is a suspect.

        wait_for_due: claim nothing if there are items that came due.
        """
        queue, number = self.number, new_lease_number()
        only_suspect = suspects == "first"
        parameters = (queue, queue, queue, lease, number, queue, wait_for_due, only_suspect, limit)
        rows = await session.rows(CLAIM, parameters)
        is_due, is_suspect = rows[0][:2]
        return self.claims_of([row[2:] for row in rows if row[3] is not None], number), is_due, is_suspect

    async def _make_due_items_ready(self, session: Session) -> None:
        """Make READY the items whose delay or backoff has ended, but for those in the hands of others."""
        await session.count(RETRY_DUE, (self.number,))
        due = await session.rows(DUE, (self.number,))
        if not due:
            return
        lanes = await try_lanes(session, self.number, {key for _, key in due if key is not None})
        places = [place for place, key in due if key is None or key in lanes]
        await session.count(MAKE_READY, (places,))
        await self.promote(session, lanes, give_way=True)

    async def _find_and_take_lanes(self, session: Session, ids: Sequence[str]) -> FoundItems:
        found = await FoundItems.find(session, self.number, self.nonce(), ids)
        await take_lanes(session, LockNames(self.number, found.keys()))
        return found
