"""The worker of a follower: it handles the commands that flows send."""

from __future__ import annotations

from math import inf
from typing import Any

from modd.aggregate import Aggregate
from modd.cqrs.intents import Event
from modd.follower.flow_outbox import FlowOutbox
from modd.ports.items import Stats
from modd.ports.storage import Storage
from modd.worker import Worker
from modd.worker.buses import ServedBuses


class CommandWorker:
    """Handles the commands of the queue ``<follower> commands``.

    store: the store. follower: the name of the follower. buses: the typed buses of the commands.
    options: those of the worker.
    """

    def __init__(self, store: Storage, follower: str, buses: ServedBuses, **options: Any) -> None:
        self._store, self.buses = store, buses
        self.queue = store.queue(f"{follower} commands")
        emits = any(bus.may_emit(Event) for bus in buses.buses if not isinstance(bus, Aggregate))
        self.outbox = FlowOutbox(store, needs_relay=emits)
        outbox: Any = self.outbox
        self.worker = Worker(self.queue, buses.bus, outbox=outbox, clock=store.clock, **options)
        self._is_running = False
        self._blocked: tuple[Stats, int] | None = None
        """The last numbers of commands that were ready behind earlier commands, with the end of the log then."""
        self._blocked_at = 0.0

    def begin(self) -> None:
        """Note that `run` is about to work."""
        self._is_running = True

    async def run(self) -> None:
        """Handle commands until `stop`."""
        try:
            await self.worker.run()
        finally:
            self._is_running = False

    def stop(self) -> None:
        """Have `run` end, if it runs: the worker would end its next run instead."""
        if self._is_running:
            self.worker.stop()

    async def is_idle(self, last: int) -> bool:
        """True if no command is at work or can be claimed: one that waits for a retry, and those behind it, cannot.

        last: the end of the log.
        """
        stats = await self.queue.stats()
        if stats.leased or (stats.ready and not stats.delayed):
            return False
        if not stats.ready:
            return True
        if self._blocked != (stats, last):
            self._blocked, self._blocked_at = (stats, last), self._store.clock()
        polled = self.worker.last_polled  # since then, and nothing was claimed
        return not self.worker.in_flight and polled is not None and polled > self._blocked_at

    async def work(self) -> bool:
        """Handle the commands that are ready; False if there were none."""
        before = await self.queue.stats()
        if not before.ready:
            return False
        await self.worker.run_until_idle()
        after = await self.queue.stats()
        if after == before:
            self._blocked, self._blocked_at = (after, await self._store.events.last()), -inf
        return after != before
