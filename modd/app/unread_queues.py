"""The queues that buses of an app put messages into, and that no worker of the app reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modd.middleware import Enqueue
from modd.worker import Worker


def unread_queues(parts: Iterable[Any]) -> list[str]:
    """Return a line for each queue that a bus of a worker puts messages into, and that no worker of the parts reads.

    Names tell queues apart, because a store returns a new object each time; a queue without a name is left out.
    """
    workers = [part for part in parts if isinstance(part, Worker)]
    read = [queue for worker in workers for queue in worker.queues]
    names = sorted({name for queue in read if (name := _name_of(queue))})
    unread = {
        (bus.name, _name_of(queue))
        for worker in workers
        for bus in worker.buses
        for queue in _filled_by(bus)
        if queue not in read and _name_of(queue) not in ("", *names)
    }
    there = f"; they read {', '.join(map(repr, names))}" if names else ""
    return [
        f"{bus} puts messages into the queue {queue!r}, which no worker of this app reads{there}"
        for bus, queue in sorted(unread)
    ]


def _filled_by(bus: Any) -> Iterator[Any]:
    """Yield the queues that the middleware of a typed bus puts messages into."""
    for middleware in bus.middleware:
        if isinstance(middleware, Enqueue):
            queues = (middleware.queue_of(kind) for kind in bus.types)
            yield from (queue for queue in queues if queue is not None)


def _name_of(queue: Any) -> str:
    return str(getattr(queue, "name", ""))
