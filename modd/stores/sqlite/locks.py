"""Locks in the file."""

from __future__ import annotations

from collections.abc import Sequence

from modd.checks import checked_span
from modd.stores.sqlite.base import Part
from modd.stores.sqlite.sql import Call, Connection

ACQUIRE = """INSERT INTO modd_locks (key, token, until) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until WHERE until <= ?"""


RENEW = "UPDATE modd_locks SET until = ? WHERE key = ? AND token = ? AND until > ?"


RELEASE = "DELETE FROM modd_locks WHERE key = ? AND token = ?"


class SqliteLocks(Part):
    """A `modd.ports.Locks` in the file of a `SqliteStore`, which has it as ``store.locks``: among all its processes.

    It is no part of a transaction that collects its writes: a lock is acquired and released at once.
    """

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to get the lock for ``ttl`` seconds; True if it is this token's now."""
        seconds, now = checked_span("ttl", ttl), self._host.clock()
        way = self._host.way("acquire", aside=True)
        done: bool = await way.answer("acquire", acquired, key, token, now + seconds, now)
        return done

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Hold the lock for ``ttl`` seconds from now on; False if it is not this token's any more."""
        seconds, now = checked_span("ttl", ttl), self._host.clock()
        done: bool = await self._host.way("renew", aside=True).answer("renew", renewed, now + seconds, key, token, now)
        return done

    async def release(self, key: str, token: str) -> None:
        """End the lock if it is this token's."""
        await self._host.way("release", aside=True).note(released, key, token)


def acquired(connection: Connection, calls: Sequence[Call]) -> Sequence[bool]:
    """Get locks that are free: each call has the key, the token, the time at which the lock ends, and the time now."""
    return [connection.execute(ACQUIRE, call).rowcount > 0 for call in calls]


def renewed(connection: Connection, calls: Sequence[Call]) -> Sequence[bool]:
    """Have locks end at another time: each call has that time, the key, the token, and the time now."""
    return [connection.execute(RENEW, call).rowcount > 0 for call in calls]


def released(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """End locks."""
    connection.executemany(RELEASE, calls)
    return [None] * len(calls)
