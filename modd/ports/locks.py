"""The port for mutual exclusion."""

from __future__ import annotations

from typing import Protocol


class Locks(Protocol):
    """Locks that end by themselves, so that one who fails does not hold them for ever.

    key: what is locked. token: who locks it; take another one, that nobody can guess, for each time a lock is acquired.
    ttl: for how many seconds the lock is held, from now on; more than 0, else `InvalidOption` is raised.
    """

    async def acquire(self, key: str, ttl: float, token: str) -> bool:
        """Try once, without waiting; True if the lock is this token's now. Its holder does not get it again."""
        ...

    async def renew(self, key: str, ttl: float, token: str) -> bool:
        """Hold the lock for so long from now on; False if it is not this token's any more, be it only for its time."""
        ...

    async def release(self, key: str, token: str) -> None:
        """End the lock if it is this token's; one whose time is over ends nobody else's."""
        ...
