"""A cache in the database."""

from __future__ import annotations

from modd.checks import checked_text
from modd.stores.checks import checked_body
from modd.stores.postgres.base import NOW, PostgresPart
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import encode_key

GET = f"SELECT value FROM modd.cache WHERE key = %s AND until > {NOW}"


SET = f"""INSERT INTO modd.cache AS old (key, value, until) VALUES (%s, %s, {NOW} + %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, until = excluded.until"""


ADD = f"{SET} WHERE old.until <= {NOW}"


DELETE = "DELETE FROM modd.cache WHERE key = %s"


class PostgresCache(PostgresPart):
    """A `modd.ports.Cache` in the database of a `PostgresStore`: ``store.cache``.

    Use it for values that all processes share, or that must survive a restart; otherwise `MemoryCache` is faster. Its
    writes are visible at once, also in a transaction that defers writes: they are not part of that, except for those of
    `set_on_commit`.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of the key; None if it has none or the value has expired."""
        query = Select(GET, (encode_key(checked_text("key", key)),), title="a value of the cache")
        rows = await self._store.access("get", at_once=True).read(query)
        return rows[0][0] if rows else None

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value for ``ttl`` seconds in place of the key's earlier one; delete that for 0 or less."""
        if not ttl > 0:
            return await self.delete(key)
        checked_text("key", key)
        await self._store.access("set", at_once=True).write(cache_value, key, checked_body("value", value), ttl)

    async def set_on_commit(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value as `set` does, but as a part of the open transaction: with its commit, or not at all.

        The value expires ``ttl`` seconds after the commit.
        """
        checked_text("key", key)
        await self._store.access("set_on_commit").write(cache_value, key, checked_body("value", value), ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store the value for ``ttl`` seconds if the key has none; True if it was stored."""
        access = self._store.access("add", at_once=True)
        if not ttl > 0:
            return False
        checked_text("key", key)
        is_added: bool = await access.write_for_result("add", cache_new_value, key, checked_body("value", value), ttl)
        return is_added

    async def delete(self, key: str) -> None:
        """Delete the value of the key, if it has one."""
        await self._store.access("delete", at_once=True).write(uncache_value, checked_text("key", key))


async def cache_value(session: Session, key: str, value: bytes, ttl: float) -> None:
    """Store a value for so many seconds."""
    await session.count(SET, (encode_key(key), value, ttl))


async def cache_new_value(session: Session, key: str, value: bytes, ttl: float) -> bool:
    """Store a value of a key that has none; return True if it was stored."""
    return await session.count(ADD, (encode_key(key), value, ttl)) > 0


async def uncache_value(session: Session, key: str) -> None:
    """Delete the value of a key."""
    await session.count(DELETE, (encode_key(key),))
