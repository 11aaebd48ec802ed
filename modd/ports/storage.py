"""The interface to a store that has all ports, with transactions over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from modd.ports.cache import Cache
from modd.ports.documents import Documents
from modd.ports.events import EventStore
from modd.ports.feed import Feed
from modd.ports.inbox import Inbox
from modd.ports.locks import Locks
from modd.ports.outbox import Outbox
from modd.ports.queue import Queue
from modd.ports.transaction import SupportsTransactions


class Storage(SupportsTransactions, Protocol):
    """A store with an implementation of each port, whose calls join the open transaction.

    `modd.stores.MemoryStore` and `modd.stores.SqliteStore` are implementations. In a deferred transaction the cache and
    the locks take no part: their writes are visible at once.
    """

    @property
    def clock(self) -> Callable[[], float]:
        """A function that returns seconds since 1970, the same for all processes that use the store."""
        ...

    @property
    def events(self) -> EventStore:
        """The events."""
        ...

    @property
    def inbox(self) -> Inbox:
        """The ids of handled messages."""
        ...

    @property
    def outbox(self) -> Outbox:
        """The items that a relay publishes."""
        ...

    @property
    def cache(self) -> Cache:
        """The cached values."""
        ...

    @property
    def locks(self) -> Locks:
        """The locks."""
        ...

    def documents(self, space: str) -> Documents:
        """Return the documents of this space; its first use creates it."""
        ...

    def queue(self, name: str) -> Queue:
        """Return the queue of this name; its first use creates it."""
        ...

    def feed(self, name: str, retention: float = 86_400.0, most: int = 100_000) -> Feed:
        """Return the feed of this name; its first use creates it. Raises `InvalidOption` for options unlike before.

        retention: seconds for which an item is stored, a day by default.
        most: most items that are stored, 100 000 by default.
        """
        ...
