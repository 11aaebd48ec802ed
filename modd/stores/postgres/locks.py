"""Locks in the database."""

from __future__ import annotations

from modd.checks import checked_span, checked_text
from modd.stores.postgres.base import NOW, PostgresPart
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import encode_key, encode_text

ACQUIRE = f"""INSERT INTO modd.locks AS old (key, token, until) VALUES (%s, %s, {NOW} + %s)
    ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until WHERE old.until <= {NOW}"""


RENEW = f"UPDATE modd.locks SET until = {NOW} + %s WHERE key = %s AND token = %s AND until > {NOW}"


RELEASE = "DELETE FROM modd.locks WHERE key = %s AND token = %s"


class PostgresLocks(PostgresPart):
    """A `modd.ports.Locks` in the database of a `PostgresStore`, among all processes that use it: ``store.locks``.

    A lock is acquired and released at once, also in a transaction that defers writes: it is not part of that.
    """

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to acquire the lock for ``ttl`` seconds; True if the token holds it now."""
        seconds = checked_span("ttl", ttl)
        checked_text("key", key)
        checked_text("token", token)
        access = self._store.access("acquire", at_once=True)
        is_held: bool = await access.write_for_result("acquire", take_lock, key, token, seconds)
        return is_held

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Extend the lock to ``ttl`` seconds from now; False if the token does not hold it any more."""
        seconds = checked_span("ttl", ttl)
        checked_text("key", key)
        checked_text("token", token)
        access = self._store.access("renew", at_once=True)
        is_held: bool = await access.write_for_result("renew", extend_lock, key, token, seconds)
        return is_held

    async def release(self, key: str, token: str) -> None:
        """Release the lock if the token holds it."""
        checked_text("key", key)
        checked_text("token", token)
        await self._store.access("release", at_once=True).write(end_lock, key, token)


async def take_lock(session: Session, key: str, token: str, ttl: float) -> bool:
    """Acquire a lock that is free; return True if the token holds it now."""
    return await session.count(ACQUIRE, (encode_key(key), encode_text(token), ttl)) > 0


async def extend_lock(session: Session, key: str, token: str, ttl: float) -> bool:
    """Extend a lock that the token holds; return True if it does."""
    return await session.count(RENEW, (ttl, encode_key(key), encode_text(token))) > 0


async def end_lock(session: Session, key: str, token: str) -> None:
    """Release a lock that the token holds."""
    await session.count(RELEASE, (encode_key(key), encode_text(token)))
