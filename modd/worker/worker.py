"""The `Worker`: begin reading here. It claims messages from queues, and has typed buses handle them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from time import time
from typing import Any

from modd.concurrency.backoff import Backoff
from modd.concurrency.loops import call_in_task, check_loop, current_loop, is_over
from modd.concurrency.polling import Polling
from modd.core import Message
from modd.cqrs.codec import Codec
from modd.cqrs.enclosing import open_bus
from modd.cqrs.retry import Errors
from modd.errors import InvalidOption
from modd.ports.feed import Feed
from modd.ports.inbox import WEEK, Inbox
from modd.ports.outbox import Outbox
from modd.ports.queue import Queue
from modd.worker.buses import ServedBuses
from modd.worker.claim_handler import ClaimHandler
from modd.worker.dead_letters import FailurePolicy
from modd.worker.emitted import EmittedEvents
from modd.worker.errors import AlreadyRunning
from modd.worker.idleness import Idleness, checked_ahead
from modd.worker.options import WorkerOptions, checked_optional, checked_queues
from modd.worker.outcomes import OutcomeFeed
from modd.worker.retry import BackoffFunction
from modd.worker.run import WorkerRun
from modd.worker.source import SourceQueue, create_sources, log
from modd.worker.subscriptions import Subscriber
from modd.worker.termination import close_in_time


class Worker:
    """A worker: claims messages from queues and has typed buses handle them.

    Use it where commands and events are queued, by `Enqueue` or a `Relay`, and handled later, in any process.
    ``await Worker(queue, commands).run()`` works until you call ``stop()``.

    Each message is handled at least once; the effects of a handler in the transaction of the store happen exactly once.
    A message that fails is retried, and in the end becomes a dead letter with the reason; then the `Bus` around its
    typed bus handles a `Failure` with the last error. An event fans out: it becomes one row in the queue for each of
    its handlers, so that each handler is retried by itself.

    Events that handlers emit go into the outbox, from which a `Relay` takes them. Without an outbox they flow on in a
    turn of the `Bus` around the typed bus. Handlers run in a transaction of the outbox, the inbox or the queue: the
    first of these that has transactions. Parts whose writes join the same transactions have the same ``store``.

    A message that was claimed and never settled is a suspect: it may have ended its process. A suspect is handled after
    the others, while all workers of its process handle nothing else. Only its claims alone count as attempts.

    Several workers may serve one queue, with different handlers, as an old and a new version of a program do. A worker
    announces its handlers to its queues when it starts, and an event gets to every handler that was announced,
    whichever worker claims the event. A message that a worker does not know is left to workers that know it, at no cost
    of attempts.

    queues: a `modd.ports.Queue`, or several, the most urgent first.
    bus: a typed bus of commands or events, or a `Bus` with such buses inside. The worker opens it for its run, unless
        it is open. If several workers share a bus, open it around them.
    codec: decodes messages and encodes emitted events. By default one of all types that the buses handle. A codec of
        your own, such as one with upcasters, has to have all of these, and the events that the handlers emit.
    inbox: recognises messages that were handled before. None, the default, for no inbox.
    outbox: gets the emitted events. By default that of the inbox or the queue, if it has one.
    outcomes: a `modd.ports.Feed` that gets the outcome of each message, for senders that wait: with ``Prefer: wait`` at
        a gateway. If it is in the store of the queue, it is in the transaction of the acknowledgement. None, the
        default, for none.
    concurrency: number of messages that are handled at a time; 8 by default.
    attempts: number of attempts after which a message that fails, or kills its process alone, becomes a dead letter; 10
        by default.
    backoff: delays between attempts: ``"exponential"`` (default: 0.5, 1.75, 6.1, ... s, by a factor of 3.5, so that ten
        attempts take about 4 hours), ``"fibonacci"`` (1, 2, 3, 5, ... s), ``"none"``, or a function from the number of
        the failed attempt, counted from 1, to seconds. The delay of a `RetryLater` takes precedence.
    give_up_on: types of errors after which a message becomes a dead letter at once, as after `GiveUp` and misuse; by
        default no others.
    lease: seconds of a lease, 30 by default. It is renewed for as long as the handler runs; after a crash a second
        worker may claim the message when its lease ends.
    drain: seconds that handlers have to end after `stop`, 30 by default; then they are cancelled and their messages
        released. That, and closing the bus, takes at most one second more, or the timeout of a locked store, or as
        long as a thread that a handler waits for: a thread cannot be cancelled.
    poll: most seconds between two claims from the queues; 1 by default.
    max_messages: the run ends after so many messages. None, the default, for no limit.
    max_age: the run ends after so many seconds. None, the default, for no limit.
    retention: seconds after which a message whose type or handler no worker has becomes a dead letter, and after which
        a handler that no worker announces is forgotten (not before an hour). By default a week.
    immediate: True, or types of message, to handle them in immediate transactions from the start: where conflicts are
        the rule, that saves the first try. By default False: a message whose transaction ends in a
        `modd.ports.Conflict` is handled again at once in an immediate one. That counts as no attempt.
    clock: returns the time in seconds since 1970; ``time.time`` by default.

    Raises:
        InvalidOption: an option has a value that cannot work.
        WrongBus: the bus is for queries.
        MultipleHandlers: two buses handle one command.
        DuplicateHandler: two handlers of one event have the same name.
        InvalidWiring: two typed buses have the same name.
    """

    def __init__(
        self,
        queues: Queue | Iterable[Queue],
        bus: Any,
        *,
        codec: Codec | None = None,
        inbox: Inbox | None = None,
        outbox: Outbox | None = None,
        outcomes: Feed | None = None,
        concurrency: int = 8,
        attempts: int = 10,
        backoff: Backoff | BackoffFunction = "exponential",
        give_up_on: Errors = (),
        lease: float = 30.0,
        drain: float = 30.0,
        poll: float = 1.0,
        max_messages: int | None = None,
        max_age: float | None = None,
        retention: float = WEEK,
        immediate: bool | type[Message] | Iterable[type[Message]] = False,
        clock: Callable[[], float] = time,
    ) -> None:
        self._options = options = WorkerOptions(
            concurrency=concurrency,
            attempts=attempts,
            backoff=backoff,
            give_up_on=give_up_on,
            lease=lease,
            drain=drain,
            poll=poll,
            max_messages=max_messages,
            max_age=max_age,
            retention=retention,
            immediate=immediate,
            clock=clock,
        )
        sources = checked_queues(queues)
        checked_optional("codec", codec, ("encode", "decode"))
        checked_optional("inbox", inbox, ("add", "has"))
        self._outbox = outbox = checked_optional(
            "outbox", outbox if outbox is not None else _outbox_of(inbox, *sources), ("put",)
        )
        checked_optional("outcomes", outcomes, ("put", "follow"))
        self._buses = ServedBuses(bus)
        self._buses.check_codec(codec)
        for each in self._buses.buses:
            each.emits_to_outbox = each.emits_to_outbox or outbox is not None
        decoder = codec if codec is not None else self._buses.codec
        subscriber = Subscriber(self._buses, decoder, retention)
        self._sources = create_sources(sources, inbox, outbox, subscriber)
        _check_immediate(immediate, self._sources)
        self._failures = FailurePolicy(options.retry_rules(), retention)
        self._handler = ClaimHandler(
            self._buses,
            decoder,
            inbox,
            EmittedEvents(outbox, codec),
            self._failures,
            options.immediate_types(),
            subscriber,
            None if outcomes is None else OutcomeFeed(outcomes),
        )
        self._run: WorkerRun | None = None
        self._loop: Any = None
        self._stop_next = False
        """True if `stop` was called while the worker did not run."""
        self._polling = Polling(options.poll, clock)

    def __repr__(self) -> str:
        name = ", ".join(self._queue_names) or f"of {self._buses.name}"
        return f"<{type(self).__name__} {name}>"

    @property
    def in_flight(self) -> int:
        """Number of messages that are being handled."""
        return self._run.in_flight if self._run is not None else 0

    @property
    def last_polled(self) -> float | None:
        """The time of the last answer of a queue, by ``clock``, for health checks; None before the first.

        While all slots are busy, or handlers end after `stop`, the worker does not ask the queues, and this is the
        present time. So while the worker runs well, it is not much older than ``poll`` seconds.
        """
        if self._run is not None and self._run.is_full:
            return self._options.clock()
        return self._polling.last

    @property
    def drain(self) -> float:
        """Seconds that handlers have to end after `stop`."""
        return self._options.drain

    @property
    def poll(self) -> float:
        """Most seconds between two claims from the queues."""
        return self._options.poll

    @property
    def queues(self) -> tuple[Queue, ...]:
        """The queues that it claims from, the most urgent first."""
        return tuple(each.queue for each in self._sources)

    @property
    def buses(self) -> tuple[Any, ...]:
        """The typed buses that it serves."""
        return self._buses.buses

    @property
    def label(self) -> str:
        """The words for the worker in a status and in the log: ``worker`` and the names of its queues."""
        return " ".join(["worker", ", ".join(self._queue_names)]).strip()

    async def wait_ready(self) -> None:
        """Return when the run that is under way, or else the next one, has had an answer of a queue."""
        await self._polling.wait()

    def problem(self) -> str | None:
        """Return the words for a worker that does not do its work now; None if it is well.

        It is not well before the first answer of a queue, and when `last_polled` is more than 5 seconds, and three
        times ``poll``, ago.
        """
        return self._polling.problem(self.last_polled)

    def open_bus(self) -> AbstractAsyncContextManager[None]:
        """Open the bus for a block; do nothing if it is open."""
        return open_bus(self._buses.bus)

    def stop(self) -> None:
        """Have `run` claim no more, wait up to ``drain`` seconds for its handlers, and end.

        If the worker does not run, its next `run` ends at once, and later runs work again. Call `stop` from any
        task, thread or loop.
        """
        if self._run is None:
            self._stop_next = True
        else:
            call_in_task(self._loop, self._run.stop)

    async def run(self) -> None:
        """Handle messages until the worker is stopped.

        Failures of a queue are logged, and the queue is asked again after a pause. If the run is cancelled, the
        messages in flight are released. A bus that the run opened is closed at its end.

        Raises: `AlreadyRunning` if the worker is running, `InOtherLoop` if it is running in another event loop; the
        error of a store that is used in a wrong way, such as one that is not open.
        """
        if getattr(self._outbox, "needs_relay", self._outbox is not None) and self._buses.may_emit:
            text = "%s: events of its handlers go to the outbox; a Relay, here or elsewhere, passes them on"
            log.info(text, self.label)
        await self._work(None)

    async def run_until_idle(self, *, ahead: float = 0.0) -> None:
        """Handle all messages that are due, and return: for tests.

        Messages that fail are retried until they succeed or become dead letters, after at most a second unless the
        ``backoff`` is a function of yours; the deliveries of events and messages that handlers queue are handled, too.
        Delays pass by the clock of the loop, so with a virtual clock (`modd.testing.run_virtual`) they take no time.
        Messages that this worker does not know are left.

        ahead: seconds in the future; messages that become due within them are waited for and handled. 0, the default,
            leaves delayed messages in their queues; ``math.inf`` waits for all.

        Raises: `InvalidOption`, and as `run` does.
        """
        await self._work(Idleness(checked_ahead(ahead)))

    @property
    def _queue_names(self) -> list[str]:
        """The names of its queues, as far as they have names."""
        return [str(name) for each in self._sources if (name := getattr(each.queue, "name", ""))]

    async def _work(self, idleness: Idleness | None) -> None:
        """Handle messages until the worker is stopped, or is idle."""
        if self._run is not None and not is_over(self._loop):
            check_loop(repr(self), self._loop)
            raise AlreadyRunning(repr(self))
        stop_now, self._stop_next = self._stop_next, False
        if stop_now:
            return
        self._loop = current_loop()
        self._failures.rules = self._options.retry_rules(is_test=idleness is not None)
        self._run = run = WorkerRun(
            self.label, self._sources, self._handler, self._options, self._polling.note, idleness
        )
        try:
            async with close_in_time(self.label, self.open_bus(), self.drain, lambda: run.stopped_at):
                await run.run()
        finally:
            self._run = self._loop = None
            self._polling.end()


def _check_immediate(immediate: Any, sources: Iterable[SourceQueue]) -> None:
    """Raise `InvalidOption` if handlers are to run in immediate transactions, and nothing has transactions."""
    if immediate and not any(source.begin for source in sources):
        wanted = "handlers run in no transaction here; give a queue, an inbox or an outbox of a SqliteStore"
        raise InvalidOption("immediate", immediate, wanted)


def _outbox_of(*parts: Any) -> Any:
    """Return the outbox of the first part that has one."""
    return next((each.outbox for each in parts if getattr(each, "outbox", None) is not None), None)
