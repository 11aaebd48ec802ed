"""The port for values that may be forgotten."""

from __future__ import annotations

from typing import Protocol


class Cache(Protocol):
    """Keeps bytes under a key for a while. What it keeps may be gone early, so it is never the only copy.

    ttl: for how many seconds a value is kept, from now on. With 0 or less nothing is stored.
    """

    async def get(self, key: str) -> bytes | None:
        """The value of the key; None when there is none or its time is over."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the value in place of what the key had; a ttl of 0 or less leaves the key without a value."""
        ...

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Keep the value if the key has none or its time is over; True if this value is kept now.

        Of several that add at once, one is told True.
        """
        ...

    async def delete(self, key: str) -> None:
        """Forget the value of the key, if there is one."""
        ...
