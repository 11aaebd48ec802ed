"""The advisory locks of a store, which last until the transaction ends.

WRITES is shared by all that write, and taken alone by a transaction that has to keep writers off: one that looks,
before its commit, if what it has read is still so, or one that reads its own writes. Readers take none.

ORDER is taken by whatever numbers its rows in the order of commits: events, and items of the outbox.

RELAY is taken by whatever begins or ends leases of the outbox, so that one relay at a time has them.

A lane, the items of one key in a queue, has a lock of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from modd.stores.postgres.session import Session

WRITES, ORDER, MIGRATION, RELAY = range(4)
"""The second numbers of the locks of a store; the first one is that of its schema."""


async def share_writes(session: Session) -> None:
    """Wait until no transaction keeps writers off."""
    await session.rows("SELECT pg_advisory_xact_lock_shared(%s, %s)", (session.schema.number, WRITES))


async def take(session: Session, lock: int) -> None:
    """Wait until this transaction alone has a lock of the store."""
    await session.rows("SELECT pg_advisory_xact_lock(%s, %s)", (session.schema.number, lock))


async def take_lanes(session: Session, queue: int, keys: Iterable[bytes]) -> None:
    """Wait until this transaction alone has these lanes of a queue."""
    numbers = sorted({_lane_number(session.schema.name, queue, key) for key in keys})  # in one order: no deadlock
    if numbers:
        await session.rows("SELECT pg_advisory_xact_lock(lane) FROM unnest(%s::bigint[]) AS lane", (numbers,))


def _lane_number(schema: str, queue: int, key: bytes) -> int:
    named = f"{schema} {queue} ".encode() + key
    return int.from_bytes(blake2b(named, digest_size=8).digest(), "big", signed=True)
