"""A cache on a NATS server."""

from __future__ import annotations

from modd.checks import checked_text
from modd.stores.checks import checked_body
from modd.stores.nats.access import NatsPart
from modd.stores.nats.expiry import get_current, write_until
from modd.stores.nats.overlay import Overlay


class NatsCache(NatsPart):
    """A `modd.ports.Cache` of a `NatsStore`: ``store.cache``.

    Use it for values that all processes share; otherwise `MemoryCache` is faster. Its writes are visible at once, also
    in a transaction that defers writes: they are not part of that, except for those of `set_on_commit`.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of the key; None if there is none or it has expired."""
        subject = self._subject(key)
        access = await self._timed_access("get", at_once=True)
        value: bytes | None = await access.read("a value of the cache", get_value, subject)
        return value

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value for ``ttl`` seconds in place of the old one; 0 or less removes the old one only."""
        await self._set("set", key, value, ttl, at_once=True)

    async def set_on_commit(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value as `set` does, but as a part of the open transaction: with its commit, or not at all."""
        await self._set("set_on_commit", key, value, ttl, at_once=False)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store the value for ``ttl`` seconds if the key has none; True if it is stored."""
        subject = self._subject(key)
        checked_body("value", value)
        if not ttl > 0:
            return False
        access = await self._timed_access("add", at_once=True)
        is_added: bool = await access.write_for_result("add", add_value, subject, key, value, ttl)
        return is_added

    async def delete(self, key: str) -> None:
        """Remove the value of the key, if there is one."""
        subject = self._subject(key)
        await self._store.access("delete", at_once=True).write(delete_value, subject)

    async def _set(self, call: str, key: str, value: bytes, ttl: float, *, at_once: bool) -> None:
        subject = self._subject(key)
        access = self._store.access(call, at_once=at_once)
        if ttl > 0:
            await access.write(set_value, subject, key, checked_body("value", value), ttl)
        else:
            await access.write(delete_value, subject)

    def _subject(self, key: str) -> str:
        return self._store.subjects.cache(checked_text("key", key))


async def get_value(overlay: Overlay, subject: str) -> bytes | None:
    """Return a value of the cache."""
    record = await get_current(overlay, subject)
    return None if record is None else record.body


async def set_value(overlay: Overlay, subject: str, key: str, value: bytes, ttl: float) -> None:
    """Store a value of the cache, whatever there was."""
    write_until(overlay, subject, ttl, {"key": key}, value)


async def add_value(overlay: Overlay, subject: str, key: str, value: bytes, ttl: float) -> bool:
    """Store a value of the cache if there is none; True if it is stored."""
    if await get_current(overlay, subject) is not None:
        return False
    write_until(overlay, subject, ttl, {"key": key}, value)
    return True


async def delete_value(overlay: Overlay, subject: str) -> None:
    """Remove a value of the cache."""
    if await overlay.get(subject) is not None:
        overlay.remove(subject)
