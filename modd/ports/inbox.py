"""The port for what has been handled."""

from __future__ import annotations

from typing import Protocol

WEEK = 7 * 86_400.0
"""For how long an inbox knows an id by default, and a row is left to others, in seconds."""


class Inbox(Protocol):
    """Knows the ids of what was handled, for a while (7 days by default), so that it is not handled again."""

    async def add(self, id: str) -> None:
        """Note that it is handled. Raises `AlreadyHandled` if it is noted; in a transaction, when that commits.

        So of several that handle the same at once, one commits.
        """
        ...

    async def has(self, id: str) -> bool:
        """Whether it is noted."""
        ...
