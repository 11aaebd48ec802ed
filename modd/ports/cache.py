"""The port for cached values."""

from __future__ import annotations

from typing import Protocol


class Cache(Protocol):
    """Stores bytes under a key for a limited time. A value may be evicted early, so keep no only copy here.

    ttl: seconds from now until the value expires. With 0 or less nothing is stored.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value of the key; None if there is none or it has expired."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store the value in place of the old one; a ttl of 0 or less leaves the key without a value."""
        ...

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store the value if the key has none or it has expired; True if this value is stored.

        Of several concurrent calls, one returns True.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the value of the key, if there is one."""
        ...
