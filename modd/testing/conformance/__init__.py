"""The behaviour of each port as tests for your implementation; needs pytest.

Derive a class that pytest collects, and define ``create``, which opens a new and empty implementation::

    class TestMyQueue(QueueConformance):
        @asynccontextmanager
        async def create(self) -> AsyncIterator[Queue]:
            yield MyQueue()

The tests are async: run them like your own, with `modd.testing.plugin` or with the marker of anyio. They let time pass,
which costs nothing on a virtual clock (the marker ``virtual_clock`` of the plugin, or `modd.testing.virtual_backend`).
For a store with a clock of its own, override ``pass_time`` to advance it, or set ``tick`` to a shorter time.

Tests of optional features are skipped without them: ``wait`` of queues and outboxes, and transactions of outboxes and
feeds, for which a suite defines ``transaction``.

"""

import pytest

_MODULES = {
    "base": ("",),
    "cache": ("",),
    "documents": ("",),
    "events": ("", "_pages", "_read", "_snapshots", "_tagged"),
    "feed": ("", "_follow", "_removal", "_transactions"),
    "inbox": ("",),
    "locks": ("",),
    "outbox": ("", "_leases", "_transactions"),
    "queue": ("", "_ids", "_keys", "_leases", "_operator", "_order", "_subscriptions", "_suspects"),
    "storage": ("", "_conflicts", "_immediate", "_parts"),
    "topics": ("",),
    "transactions": ("",),
    "waiting": ("",),
}
for _port, _suffixes in _MODULES.items():  # so that a failure shows what was compared
    pytest.register_assert_rewrite(*(f"{__name__}.{_port}{_suffix}" for _suffix in _suffixes))

from modd.testing.conformance.cache import CacheConformance  # noqa: E402
from modd.testing.conformance.documents import DocumentsConformance  # noqa: E402
from modd.testing.conformance.events import EventStoreConformance  # noqa: E402
from modd.testing.conformance.feed import FeedConformance  # noqa: E402
from modd.testing.conformance.inbox import InboxConformance  # noqa: E402
from modd.testing.conformance.locks import LocksConformance  # noqa: E402
from modd.testing.conformance.outbox import OutboxConformance  # noqa: E402
from modd.testing.conformance.queue import QueueConformance  # noqa: E402
from modd.testing.conformance.storage import StorageConformance  # noqa: E402
from modd.testing.conformance.topics import TopicConformance  # noqa: E402
from modd.testing.conformance.transactions import TransactionConformance  # noqa: E402

__all__ = [
    "CacheConformance",
    "DocumentsConformance",
    "EventStoreConformance",
    "FeedConformance",
    "InboxConformance",
    "LocksConformance",
    "OutboxConformance",
    "QueueConformance",
    "StorageConformance",
    "TopicConformance",
    "TransactionConformance",
]
