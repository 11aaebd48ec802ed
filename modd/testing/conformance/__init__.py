"""What every make of a port must do, as tests for a make of your own; needs pytest.

Derive a class whose name pytest collects, and say how to make what is to be tested, empty each time::

    class TestMyQueue(QueueConformance):
        @asynccontextmanager
        async def create(self) -> AsyncIterator[Queue]:
            yield MyQueue()

The tests are async: run them as you run yours, with `modd.testing.plugin` or with the marker of anyio. Time passes in
them. On a clock that jumps (the marker ``virtual_clock`` of the plugin, or `modd.testing.virtual_backend`) that takes
no time; for a store with a clock of its own, override ``pass_time`` to move it or set ``tick`` to wait for less long.
What a make need not have is skipped without it: ``wait`` of queues and outboxes, and transactions of outboxes, for
which the suite asks its method ``transaction``.
"""

import pytest

_MODULES = {
    "base": ("",),
    "cache": ("",),
    "events": ("", "_read", "_snapshots"),
    "inbox": ("",),
    "locks": ("",),
    "outbox": ("", "_leases", "_transactions"),
    "queue": ("", "_keys", "_leases", "_operations"),
    "waiting": ("",),
}
for _port, _parts in _MODULES.items():  # so that a failure shows what was compared
    pytest.register_assert_rewrite(*(f"{__name__}.{_port}{_part}" for _part in _parts))

from modd.testing.conformance.cache import CacheConformance  # noqa: E402
from modd.testing.conformance.events import EventStoreConformance  # noqa: E402
from modd.testing.conformance.inbox import InboxConformance  # noqa: E402
from modd.testing.conformance.locks import LocksConformance  # noqa: E402
from modd.testing.conformance.outbox import OutboxConformance  # noqa: E402
from modd.testing.conformance.queue import QueueConformance  # noqa: E402

__all__ = [
    "CacheConformance",
    "EventStoreConformance",
    "InboxConformance",
    "LocksConformance",
    "OutboxConformance",
    "QueueConformance",
]
