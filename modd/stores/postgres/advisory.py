"""The advisory locks of a store, which last until the transaction ends.

WRITES is shared by all that write, and taken alone by a transaction that has to keep writers off: one that looks,
before its commit, if what it has read is still so, or one that reads its own writes. Readers take none.

ORDER is taken by whatever numbers its rows in the order of commits: events, and items of the outbox.

NUMBERING is shared by commits that need ORDER, and taken alone by an immediate transaction.

A commit takes NUMBERING, ORDER and WRITES, in this order: so it has no WRITES while it waits for a session of the
application that has put into the outbox, which keeps ORDER for as long as it likes, and holds no other writer up. An
immediate transaction takes NUMBERING and WRITES at its begin, and ORDER when it first needs that. Two of modd are in no
deadlock over these, because no commit waits for ORDER, or has it, beside an immediate transaction: a session has it
alone. And it does not take ORDER at its begin, because such a session may put inside of its block.

A session that has a row, a lane or an id for which a writer waits can be in a deadlock of three when it puts into the
outbox: with that writer, and with a commit that has ORDER and waits for WRITES alone. The database ends one of them.

RELAY is taken by whatever begins or ends leases of the outbox, so that one relay at a time has them.

A lane, the items of one key in a queue, has a lock that whatever changes the lane takes first, but for a claim, which
leaves the head where it is. So has the question if a queue has an id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import NamedTuple

from modd.stores.postgres.session import ConnectionSession, Schema, Session

WRITES, ORDER, MIGRATION, RELAY, NUMBERING = range(5)
"""The second numbers of the locks of a store; the first one is that of its schema."""


STRIPES = 256
"""Locks for the keys of a queue, and for its ids. So one put of a million keys does not fill the server's table of
locks, which has room for some 6 000; two keys seldom share a lock, and then wait for each other for a moment."""


SHARE = "SELECT pg_advisory_xact_lock_shared(%s, %s)"


TAKE = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"


TRY = "SELECT number, pg_try_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"


async def take_alone(session: Session, lock: int) -> None:
    """Wait until this transaction alone has a lock of the store."""
    await session.rows("SELECT pg_advisory_xact_lock(%s, %s)", (session.schema.number, lock))


async def share(session: ConnectionSession, lock: int) -> None:
    """Wait until no other transaction has a lock of the store alone; in a pipeline, have the next statement wait."""
    await session.run(SHARE, (session.schema.number, lock))


async def take_for_commit(session: ConnectionSession, *, alone: bool, in_order: bool) -> None:
    """Take WRITES for a commit, alone or shared, and ORDER before if it needs that."""
    if in_order:
        await share(session, NUMBERING)
        await take_alone(session, ORDER)
    await (take_alone(session, WRITES) if alone else share(session, WRITES))


async def take_for_block(session: Session) -> None:
    """Keep other writers off until the transaction ends."""
    await take_alone(session, NUMBERING)
    await take_alone(session, WRITES)


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
