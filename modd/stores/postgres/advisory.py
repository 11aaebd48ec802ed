"""The advisory locks of a store, which last until the transaction ends.

WRITES is shared by all that write, and taken alone by a transaction that has to keep writers off: one that looks,
before its commit, if what it has read is still so, or one that reads its own writes. Readers take none.

ORDER is taken by whatever numbers its rows in the order of commits: events, and items of the outbox.

RELAY is taken by whatever begins or ends leases of the outbox, so that one relay at a time has them.

A lane, the items of one key in a queue, has a lock that whatever changes the lane takes first, but for a claim, which
leaves the head where it is. So has the question if a queue has an id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import NamedTuple

from modd.stores.postgres.session import Schema, Session

WRITES, ORDER, MIGRATION, RELAY = range(4)
"""The second numbers of the locks of a store; the first one is that of its schema."""


STRIPES = 256
"""Locks for the keys of a queue, and for its ids. So one put of a million keys does not fill the server's table of
locks, which has room for some 6 000; two keys seldom share a lock, and then wait for each other for a moment."""


SHARE = "SELECT pg_advisory_xact_lock_shared(%s, %s)"


TAKE = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"


TRY = "SELECT number, pg_try_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"


async def share_writes(session: Session) -> None:
    """Wait until no transaction keeps writers off."""
    await session.rows(SHARE, (session.schema.number, WRITES))


async def take_alone(session: Session, lock: int) -> None:
    """Wait until this transaction alone has a lock of the store."""
    await session.rows("SELECT pg_advisory_xact_lock(%s, %s)", (session.schema.number, lock))


class LockNames(NamedTuple):
    """The lanes of a queue that a call changes, and the ids of which it has to know if the queue has them."""

    queue: int
    keys: Collection[bytes] = ()
    ids: Collection[bytes] = ()

    def numbers(self, schema: Schema) -> set[int]:
        """Return the numbers of the locks: each is one of `STRIPES`, as a server has memory for some."""
        named = [*((b"k", key) for key in self.keys), *((b"i", id) for id in self.ids)]
        return {lock_number(schema, self.queue, kind, name) for kind, name in named}


async def take_lanes(session: Session, locks: LockNames) -> None:
    """Wait until this transaction alone has these lanes of a queue, and may tell if it has these ids."""
    numbers = locks.numbers(session.schema)
    if numbers:
        await session.rows(TAKE, (sorted(numbers),))  # in one order: no deadlock


async def try_lanes(session: Session, queue: int, keys: Iterable[bytes]) -> set[bytes]:
    """Take those of these lanes that no other transaction has, without waiting, and return their keys."""
    numbers = {key: lock_number(session.schema, queue, b"k", key) for key in keys}
    taken = await try_locks(session, set(numbers.values()))
    return {key for key, number in numbers.items() if number in taken}


async def try_locks(session: Session, numbers: set[int]) -> set[int]:
    """Take those of these locks that no other transaction has, without waiting, and return their numbers."""
    rows = await session.rows(TRY, (sorted(numbers),)) if numbers else []
    return {number for number, is_taken in rows if is_taken}


def lock_number(schema: Schema, queue: int, kind: bytes, name: bytes) -> int:
    """Return the number of the lock for a name in a queue."""
    stripe = int.from_bytes(blake2b(name, digest_size=4).digest(), "big") % STRIPES
    named = b"%s %d %s %d" % (schema.name.encode(), queue, kind, stripe)
    return int.from_bytes(blake2b(named, digest_size=8).digest(), "big", signed=True)
