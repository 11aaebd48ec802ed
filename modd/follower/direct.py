"""Direct handling: a command is handled in the commit of the step that sends it, if nothing else waits for a turn.

A command in a queue costs two commits more, one to claim it and one with its effects, and the wake-up of a worker. So a
flow that is not behind hands a single command over at once. The handler's writes are part of the step's transaction,
in a savepoint; if the handler fails, that is undone, and the command goes into the queue like any command, with all its
attempts. If the commit fails, the step is done again, and its command goes into the queue.
"""

from __future__ import annotations

from logging import Logger
from typing import Any

import anyio

from modd.aggregate import CommandRejected
from modd.concurrency.backoff import DoublingPause
from modd.concurrency.cancellation import error_of
from modd.concurrency.loops import steady_time
from modd.cqrs.envelope import Envelope
from modd.cqrs.event_items import EventItems
from modd.cqrs.result import events_for_outbox
from modd.cqrs.stamps import Failed
from modd.follower.flow_outbox import FlowOutbox
from modd.ports.items import Item
from modd.ports.transaction import Transaction
from modd.worker.buses import ServedBuses
from modd.worker.errors import StampedFailure
from modd.worker.pool import run_in_context_copy

LONGEST = 0.02
"""Seconds that a handler may take: commands of its type go into the queue for a time, so that the log goes on."""


FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds of that time: at first, and at most, as each is twice as long as the one before. It ends, because a machine
that was busy once makes no slow handler."""


class DirectCommands:
    """Handles commands of flows in the open transaction.

    buses: the typed buses that handle them. outbox: gets the events that handlers emit. log: gets failures.
    """

    def __init__(self, buses: ServedBuses, outbox: FlowOutbox, log: Logger) -> None:
        self._buses, self._codec, self._outbox, self._log = buses, buses.codec, outbox, log
        self._events = EventItems()
        self._pauses: dict[type, DoublingPause] = {}
        self._queued: dict[type, float] = {}
        """The times until which commands of a type go into the queue, because one has taken long, or failed."""

    async def handle(self, item: Item, transaction: Transaction) -> bool:
        """Handle a command if that is likely to be quick; False if it has to go into the queue."""
        envelope = _without_own_id(self._codec.decode(item.body))
        kind = type(envelope.message)
        if steady_time() < self._queued.get(kind, 0) or not self._buses.bus.is_open:
            return False
        begun = anyio.current_time()
        error = await error_of(self._handle_undone, envelope, item.key, transaction)
        has_failed = error is not None and not isinstance(error, CommandRejected)  # which is an answer
        if has_failed or anyio.current_time() - begun > LONGEST:
            pause = self._pauses.setdefault(kind, DoublingPause(FIRST_PAUSE, LONGEST_PAUSE))
            self._queued[kind] = steady_time() + pause.next()
        if error is not None:
            self._log.debug("%s goes into the queue: %r", item.id, error)
        return error is None

    async def _handle_undone(self, envelope: Envelope[Any], key: str | None, transaction: Transaction) -> None:
        """Handle a command; if that fails, undo what it has written."""
        async with transaction.savepoint():
            await run_in_context_copy(self._handle(envelope, key))

    async def _handle(self, envelope: Envelope[Any], key: str | None) -> None:
        [bus] = self._buses.find(type(envelope.message), {})
        dispatched = await bus.dispatch(envelope)
        failures = [stamp for stamp in envelope.noted if type(stamp) is Failed]
        if failures:
            raise StampedFailure(failures[-1].error)
        events = events_for_outbox(dispatched) if dispatched.events else ()
        if events:
            await self._outbox.put(*self._events.create(events, dispatched.envelope, key))


def _without_own_id(envelope: Envelope[Any]) -> Envelope[Any]:
    """Return an envelope whose id needs no inbox: the cursor sees to it that its step is done once."""
    plain: Envelope[Any] = Envelope(envelope.message)
    ids = envelope.id, envelope.at, envelope.correlation_id, envelope.causation_id
    plain.start(envelope.message, envelope.noted, *ids)
    return plain
