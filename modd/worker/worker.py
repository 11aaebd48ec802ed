"""A worker: begin reading here. It claims what is in queues, and has typed buses handle it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import time
from typing import Any

import anyio

from modd.concurrency.backoff import Backoff
from modd.cqrs.codec import Codec
from modd.cqrs.retry import Errors
from modd.ports.inbox import WEEK, Inbox
from modd.ports.outbox import Outbox
from modd.ports.queue import Queue
from modd.worker.emitted import Released
from modd.worker.errors import AlreadyRunning
from modd.worker.handlers import Served
from modd.worker.handling import Handling
from modd.worker.options import Options, checked_part, checked_queues
from modd.worker.retry import Seconds
from modd.worker.run import Running
from modd.worker.source import log, sources_of


class Worker:
    """Has typed buses handle what is in queues: commands once each, events by each of their handlers for itself.

    ``await Worker(queue, commands).run()`` works until ``stop()`` is called. Each message is handled at least once;
    what its handler does in the transaction of the store takes effect exactly once. What fails is tried again, and in
    the end buried with the reason. An event becomes one row for each handler, so that one that fails never runs the
    others again; a row for a handler that this worker does not have is left to others.

    What handlers emit goes into the outbox, for a relay to pass on; without one it flows on in a turn of the `Bus`
    around the typed bus. The transaction that handlers run in is that of the outbox, the inbox or the queue: the first
    that has any. Parts of one store, whose writes join its transactions, say so by the same object as their ``store``.

    Several workers may serve one queue. One that gets a row for a handler that it does not have holds it for a few
    seconds, so that it gets at what is behind, gives it back and leaves the queue to others for a moment. It holds 1000
    such rows at most; where more are at the head of a queue, only others get at what is behind. A handler that is gone
    for good leaves rows behind: discard them, or say in ``keep_unknown`` that they are buried sooner.

    queues: one `modd.ports.Queue`, or several, the most urgent one first.
    bus: a typed bus of commands or events, or a `Bus` with some inside, all with handlers. It is opened for as long as
        the worker runs, unless it is open; where several workers share one, open it around them.
    codec: decodes the envelopes and encodes what is emitted; by default one of all types that the bus handles.
    inbox: knows what was handled, so that it is recognised when it comes again.
    outbox: by default that of the inbox or the queue, if it has one.
    concurrency: how many claims are worked on at a time.
    attempts: after how many a message that fails, or kills its worker, is buried.
    backoff: the delays between them: ``"exponential"``, ``"fibonacci"`` or ``"none"``, or a function from the attempt,
        counted from 1, to seconds. `RetryLater` counts more.
    give_up_on: the types of errors after which a message is buried at once, as after `GiveUp` and misuse.
    lease: for how many seconds a claim is leased at a time; it is renewed for as long as the handler takes.
    drain: for how many seconds `stop` lets handlers go on before they are cancelled and their messages released. For
        this, and for closing the bus, there is one second more; a store that others have locked may take longer, as
        long as its own timeout says.
    poll: the most seconds between two looks into the queues.
    max_messages, max_age: the worker ends by itself after so many messages, or seconds; None for never.
    keep_unknown: for how many seconds a row for a handler that is not here is left to others before it is buried.
    clock: seconds since 1970.

    Raises `InvalidOption`, `WrongBus`, `MultipleHandlers`, `DuplicateHandler`, `DuplicateName`.
    """

    def __init__(
        self,
        queues: Queue | Iterable[Queue],
        bus: Any,
        *,
        codec: Codec | None = None,
        inbox: Inbox | None = None,
        outbox: Outbox | None = None,
        concurrency: int = 8,
        attempts: int = 10,
        backoff: Backoff | Seconds = "exponential",
        give_up_on: Errors = (),
        lease: float = 30.0,
        drain: float = 30.0,
        poll: float = 1.0,
        max_messages: int | None = None,
        max_age: float | None = None,
        keep_unknown: float = WEEK,
        clock: Callable[[], float] = time,
    ) -> None:
        self._options = Options(
            concurrency, attempts, backoff, give_up_on, lease, drain, poll, max_messages, max_age, keep_unknown, clock
        )
        given = checked_queues(queues)
        checked_part("codec", codec, ("encode", "decode"))
        checked_part("inbox", inbox, ("add", "has"))
        outbox = checked_part("outbox", outbox if outbox is not None else _outbox_of(inbox, *given), ("put",))
        self._sources = sources_of(given, inbox, outbox)
        self._served = Served(bus)
        self._handling = Handling(
            self._served,
            codec if codec is not None else self._served.codec,
            inbox,
            Released(outbox, codec),
            self._options.rules,
            keep_unknown,
            clock,
        )
        self._running: Running | None = None
        self._stopped = False
        """It was stopped while it did not run."""
        self._last_polled: float | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._served.name}>"

    @property
    def running(self) -> int:
        """How many messages are being handled."""
        return self._running.busy if self._running is not None else 0

    @property
    def last_polled(self) -> float | None:
        """When it last looked into its queues, by its clock, and they answered; for health checks.

        While it has no room for more, or is stopped and lets handlers end, there is nothing to look for, and this is
        now. So while it runs and all is well, it is not much longer ago than ``poll``.
        """
        if self._running is not None and self._running.is_full:
            return self._options.clock()
        return self._last_polled

    @property
    def drain(self) -> float:
        """For how many seconds `stop` lets handlers go on."""
        return self._options.drain

    def opened(self) -> AbstractAsyncContextManager[None]:
        """The bus, open for a block; what is open already is left as it is."""
        return self._served.opened()

    def stop(self) -> None:
        """Have `run` claim no more, wait for handlers as long as ``drain`` says, and end.

        While it does not run, the next `run` ends at once; the one after that works again. Call it from anywhere in the
        loop.
        """
        if self._running is None:
            self._stopped = True
        else:
            self._running.stop()

    async def run(self) -> None:
        """Handle what is in the queues, until it is stopped; once at a time, else `AlreadyRunning` is raised.

        Failures of the queues are logged and got over. When this is cancelled, what is being handled is released. The
        bus that it opened is closed at its end, within ``drain`` and one second of `stop`, or that is cancelled.
        """
        if self._running is not None:
            raise AlreadyRunning(repr(self))
        stopped, self._stopped = self._stopped, False
        if stopped:
            return
        self._running = running = Running(self._sources, self._handling, self._options, self._polled)
        try:
            async with closed_by(self.opened(), running.closed_by):
                await running.run()
        finally:
            self._running = None

    def _polled(self) -> None:
        self._last_polled = self._options.clock()


def _outbox_of(*parts: Any) -> Any:
    return next((each.outbox for each in parts if getattr(each, "outbox", None) is not None), None)


@asynccontextmanager
async def closed_by(context: AbstractAsyncContextManager[Any], deadline: Callable[[], float]) -> AsyncIterator[None]:
    """Enter a context for the block; what takes too long to leave it is cancelled, and that is logged.

    deadline: asked at the end of the block, by the clock of the loop.
    """
    error: BaseException | None = None
    with anyio.CancelScope() as scope:
        async with context:
            try:
                yield
            except BaseException as raised:
                error = raised
                raise
            finally:
                scope.deadline = deadline()
    if scope.cancelled_caught:
        log.warning("what was opened took too long to close and was cancelled")
        if error is not None:
            raise error
