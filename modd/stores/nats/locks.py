"""Locks on a NATS server."""

from __future__ import annotations

from modd.checks import checked_span, checked_text
from modd.stores.nats.access import NatsPart
from modd.stores.nats.expiry import get_current, write_until
from modd.stores.nats.overlay import Overlay


class NatsLocks(NatsPart):
    """A `modd.ports.Locks` of a `NatsStore`, among all processes that use it: ``store.locks``.

    A lock ends by the clock of the server. It is acquired and released at once, also in a transaction that defers
    writes: it is not part of that.
    """

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to acquire the lock for ``ttl`` seconds; True if the token holds it now."""
        return await self._change("acquire", key, ttl, token)

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Extend the lock to ``ttl`` seconds from now; False if the token does not hold it any more."""
        return await self._change("renew", key, ttl, token)

    async def release(self, key: str, token: str) -> None:
        """Release the lock if the token holds it."""
        subject = self._subject(key)
        access = await self._timed_access("release", at_once=True)
        await access.write(release_lock, subject, checked_text("token", token))

    async def _change(self, call: str, key: str, ttl: float, token: str) -> bool:
        seconds, subject = checked_span("ttl", ttl), self._subject(key)
        operation = acquire_lock if call == "acquire" else renew_lock
        access = await self._timed_access(call, at_once=True)
        is_held: bool = await access.write_for_result(
            call, operation, subject, key, seconds, checked_text("token", token)
        )
        return is_held

    def _subject(self, key: str) -> str:
        return self._store.subjects.lock(checked_text("key", key))


async def acquire_lock(overlay: Overlay, subject: str, key: str, seconds: float, token: str) -> bool:
    """Acquire a lock if it is free; True if it is acquired."""
    if await get_current(overlay, subject) is not None:
        return False
    write_until(overlay, subject, seconds, {"key": key, "token": token})
    return True


async def renew_lock(overlay: Overlay, subject: str, key: str, seconds: float, token: str) -> bool:
    """Extend a lock if the token holds it; True if it does."""
    if not await _is_held(overlay, subject, token):
        return False
    write_until(overlay, subject, seconds, {"key": key, "token": token})
    return True


async def release_lock(overlay: Overlay, subject: str, token: str) -> None:
    """Release a lock if the token holds it."""
    if await _is_held(overlay, subject, token):
        overlay.remove(subject)


async def _is_held(overlay: Overlay, subject: str, token: str) -> bool:
    record = await get_current(overlay, subject)
    return record is not None and record.meta["token"] == token
