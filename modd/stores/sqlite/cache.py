"""A cache in the file."""

from __future__ import annotations

from collections.abc import Sequence

from modd.checks import checked_text
from modd.stores.sqlite.base import StorePart
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.limits import checked_bytes
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import CallArgs, Connection

GET = "SELECT value FROM modd_cache WHERE key = ? AND until > ?"


VALUE = Columns(value=bytes)


SET = """INSERT INTO modd_cache (key, value, until) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, until = excluded.until"""


ADD = f"{SET} WHERE until <= ?"


DELETE = "DELETE FROM modd_cache WHERE key = ?"


class SqliteCache(StorePart):
    """A `modd.ports.Cache` in the file of a `SqliteStore`: ``store.cache``.

    Use it for values that all processes share, or that must survive a restart; otherwise `MemoryCache` is faster. Its
    writes are visible at once, also in a transaction that defers writes: they are not part of that, except for those of
    `set_on_commit`.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of the key; None if it has none or the value has expired."""
        rows = await self._store.access("get", at_once=True).read(
            Select(GET, (checked_text("key", key), self._store.clock()), columns=VALUE)
        )
        return rows[0][0] if rows else None

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value for ``ttl`` seconds in place of the key's earlier one; delete that for 0 or less."""
        if not ttl > 0:
            return await self.delete(key)
        checked_text("key", key)
        checked_bytes("value", value)
        await self._store.access("set", at_once=True).write(set_values, key, value, self._store.clock() + ttl)

    async def set_on_commit(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value as `set` does, but as a part of the open transaction: with its commit, or not at all."""
        await self._store.access("set_on_commit").write(set_values, key, value, self._store.clock() + ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store the value for ``ttl`` seconds if the key has none; True if it was stored."""
        access, now = self._store.access("add", at_once=True), self._store.clock()
        if not ttl > 0:
            return False
        checked_text("key", key)
        checked_bytes("value", value)
        is_added: bool = await access.write_for_result("add", add_values, key, value, now + ttl, now)
        return is_added

    async def delete(self, key: str) -> None:
        """Delete the value of the key, if it has one."""
        await self._store.access("delete", at_once=True).write(delete_values, checked_text("key", key))


def set_values(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Store values; each call has the key, the value, and the time at which it expires."""
    connection.executemany(SET, calls)
    return [None] * len(calls)


def add_values(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[bool]:
    """Store values of keys that have none, and return if each was stored; a call ends with the current time."""
    return [connection.execute(ADD, call).rowcount > 0 for call in calls]


def delete_values(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Delete the values of keys."""
    connection.executemany(DELETE, calls)
    return [None] * len(calls)
