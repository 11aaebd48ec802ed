"""The port for the ids of handled messages."""

from __future__ import annotations

from typing import Protocol

WEEK = 7 * 86_400.0
"""Seconds; the default retention of ids in an inbox."""


class Inbox(Protocol):
    """Remembers the ids of handled messages for a time (7 days by default), so that a message is handled only once.

    An inbox may have ``retention``, the seconds for which it remembers an id: a timer makes up for no older time.
    """

    async def add(self, id: str) -> None:
        """Record an id as handled. Raises `AlreadyHandled` if it is recorded.

        In a transaction the error may come at the commit. Of several concurrent handlers of one message, one commits.
        """
        ...

    async def has(self, id: str) -> bool:
        """True if the id is recorded."""
        ...
