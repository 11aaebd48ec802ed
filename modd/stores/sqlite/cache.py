"""A cache in the file."""

from __future__ import annotations

from collections.abc import Sequence

from modd.stores.sqlite.base import Part
from modd.stores.sqlite.readers import rows_of
from modd.stores.sqlite.sql import Call, Connection

GET = "SELECT value FROM modd_cache WHERE key = ? AND until > ?"


SET = """INSERT INTO modd_cache (key, value, until) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, until = excluded.until"""


ADD = f"{SET} WHERE until <= ?"


DELETE = "DELETE FROM modd_cache WHERE key = ?"


class SqliteCache(Part):
    """A `modd.ports.Cache` in the file of a `SqliteStore`, which has it as ``store.cache``.

    Use it for values that all processes share, or that are to be there after a restart; for others `MemoryCache` is
    quicker. It is no part of a transaction that collects its writes: others see at once what is kept.
    """

    async def get(self, key: str) -> bytes | None:
        """The value of the key; None when there is none or its time is over."""
        rows = await self._host.way("get", aside=True).read(rows_of(GET, (key, self._host.clock())))
        return rows[0][0] if rows else None

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the value for ``ttl`` seconds in place of what the key had; for 0 or less, the key has none then."""
        if not ttl > 0:
            return await self.delete(key)
        await self._host.way("set", aside=True).note(kept, key, value, self._host.clock() + ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Keep the value for ``ttl`` seconds if the key has none; True if this value is kept now."""
        way, now = self._host.way("add", aside=True), self._host.clock()
        if not ttl > 0:
            return False
        added: bool = await way.answer("add", kept_if_none, key, value, now + ttl, now)
        return added

    async def delete(self, key: str) -> None:
        """Forget the value of the key, if there is one."""
        await self._host.way("delete", aside=True).note(forgotten, key)


def kept(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Keep values: each call has the key, the value, and the time at which it is over."""
    connection.executemany(SET, calls)
    return [None] * len(calls)


def kept_if_none(connection: Connection, calls: Sequence[Call]) -> Sequence[bool]:
    """The same where the key has none, and whether that was so; each call has the time now at its end."""
    return [connection.execute(ADD, call).rowcount > 0 for call in calls]


def forgotten(connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
    """Forget the values of keys."""
    connection.executemany(DELETE, calls)
    return [None] * len(calls)
