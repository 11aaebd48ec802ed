"""The port for locks."""

from __future__ import annotations

from typing import Protocol


class Locks(Protocol):
    """Locks with an end, so that a process that dies does not hold them for ever.

    key: the name of the lock.
    token: identifies the holder; use a new random token for each `acquire`.
    ttl: seconds from now until the lock ends; more than 0, else `InvalidOption` is raised.
    """

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once to lock the key; True if the lock is acquired, False if any token, this one included, holds it."""
        ...

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Let the lock end ``ttl`` seconds from now; False if the token does not hold it any more, as after its end."""
        ...

    async def release(self, key: str, token: str) -> None:
        """End the lock if the token holds it; a token whose lock has ended does not end that of another holder."""
        ...
