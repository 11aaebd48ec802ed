"""Delivery: giving a message to its receivers, and queueing what follows from the values that they return.

The loop of `Bus` does the usual case in place: it calls the receivers, and queues one message of a type that stays
inside. It asks `receivers_of` for the receivers of all other messages, and hands all other returned values to
`queue_returned`. A delivery that needs care (it is observed, its message has an origin or is a `Failure`) is one more
call in the same loop: `deliver`, bound to the `Handling` of the message by one component.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import suppress
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import Any

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from modd.concurrency.cancellation import FAILURES, CancelledError, failure_of, raise_if_cancelled
from modd.concurrency.scopes import open_scopes
from modd.core.answerer import no_handler
from modd.core.causation import Entry, QueuedOrigin, current_origin
from modd.core.component import Receiver, check_message, inside, name_of
from modd.core.composition import add_returned
from modd.core.flatten import keep_all, keep_at_once
from modd.core.gate import Gate
from modd.core.identity import is_among
from modd.core.limits import BEAT, check_limits, is_overflow
from modd.core.message import Failure, Message, note
from modd.core.observer import Delivery, current_delivery, tell
from modd.core.turn import Turn
from modd.errors import DuplicateName, NotAMessage, TurnFailed

Pending = deque[Any]


class Raised:
    """An error that a component raised, on its way to become a `Failure`; it may be a stray cancellation."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def receivers_of(turn: Turn, queued: Any, queue: Pending) -> tuple[Message, Sequence[Callable[[Any], Any]]]:
    """Return a message, and the calls that deliver it in their order.

    Raises `NotAMessage` if it is none, and `NoHandler` for an intent that was sent to the bus and that nothing takes.
    """
    entry = queued if type(queued) is Entry else Entry(queued, None, current_delivery.get())
    message, bus, failure = entry.message, turn.bus, isinstance(entry.message, Failure)
    check_message(message)
    receivers = bus.routing.receivers(type(message)) if entry.receivers is None else entry.receivers
    if type(message) in bus.routing.untaken and entry.receivers is None and _is_sent_here(turn, message):
        raise no_handler(bus, type(message))
    if entry.source is not None:
        receivers = tuple(receiver for receiver in receivers if receiver.boundary is not entry.source)
    side_by_side = bus.concurrent and len(receivers) > 1
    if not (failure or side_by_side or bus.watchers or entry.origin or entry.receivers):
        direct = bus.routing.direct_calls(type(message))
        if direct is not None:
            return message, direct if entry.source is None else [receiver.call for receiver in receivers]
    if bus.watchers and not (receivers or failure or (turn.outcome and turn.outcome.has_let_out(message))):
        tell(bus.watchers, lambda watcher: watcher.unreceived(message, bus), message)
    handlings = [Handling(turn, receiver, message, queue, entry.cause, entry.origin) for receiver in receivers]
    calls: list[Callable[[Any], Any]] = [partial(deliver, handling) for handling in handlings]
    if side_by_side:
        calls = [partial(deliver_side_by_side, handlings, queue)]
    if failure:
        calls.append(partial(conclude_failure, turn, handlings, entry.origin, type(queued) is not Entry))
    return message, calls


def queue_returned(turn: Turn, message: Message, call: Any, returned: Any, queue: Pending) -> Awaitable[None] | None:
    """Queue what follows from a value that a component returned to the loop, or from an error that it raised.

    Returns an awaitable for the rest of the work if there is any.
    """
    handling = Handling(turn, turn.bus.routing.receiver_of(type(message), call), message, queue)
    if type(returned) is not Raised:
        try:
            if keep_at_once(returned, handling):
                return None
        except Exception as error:
            returned = Raised(error)
    return handling.finish(returned)


async def deliver(handling: Handling, message: Message) -> None:
    """Give a message to one component and queue what follows from it; observers are told if there are any."""
    watchers = handling.turn.bus.watchers
    if not watchers:
        await handling.run()
        return
    delivery = Delivery(message, handling.receiver.component, handling.turn.bus, handling.cause)
    handling.delivery = delivery
    tell(watchers, lambda watcher: watcher.began(delivery), message)
    surrounding = current_delivery.set(delivery)
    try:
        await handling.run()
        delivery.error, delivery.outcome = handling.error, "done" if handling.error is None else "failed"
    except BaseException as error:
        delivery.error, delivery.outcome = error, "failed" if isinstance(error, Exception) else "cancelled"
        raise
    finally:
        with suppress(ValueError):  # closed in another context, which has nothing to be set back
            current_delivery.reset(surrounding)
        delivery.seconds = perf_counter() - delivery.began
        tell(watchers, lambda watcher: watcher.ended(delivery), message)


async def deliver_side_by_side(handlings: Sequence[Handling], queue: Pending, message: Message) -> None:
    """Give a message to several components at once, and queue what follows in component order.

    The error of a turn that a limit cuts short is raised alone, not in a group.
    """
    unfinished = [*handlings]

    async def run(handling: Handling) -> None:
        await deliver(handling, message)
        unfinished.remove(handling)

    try:
        async with anyio.create_task_group() as tasks:
            for handling in handlings:
                handling.queue = deque()
                tasks.start_soon(run, handling)
        await _fail_cancelled(unfinished)
    except BaseExceptionGroup as group:
        first, *more = group.exceptions
        if more and not isinstance(group, ExceptionGroup):
            raise
        raise first from None  # errors come here only from turns that a limit cuts short: one tells it
    finally:
        for handling in handlings:
            queue += handling.queue


async def _fail_cancelled(handlings: Sequence[Handling]) -> None:
    for handling in handlings:  # its component has cancelled the task that it ran in
        await handling.finish(Raised(CancelledError()))


def conclude_failure(
    turn: Turn, handlings: Sequence[Handling], origin: Any, from_outside: bool, failure: Failure
) -> None:
    """Keep for the sender a failure that no component handled; an error in handling a failure is raised, not queued."""
    outcome = turn.ensure_outcome()
    if not any(each.error is None and each.receiver.accepts.handles_failures for each in handlings):
        if turn.bus.lets_failures_out and not from_outside:
            outcome.let_out((failure,), origin)
        else:
            outcome.errors.append(failure.error)
            outcome.failed.append(failure.message)
    errors = {id(each.error): each.error for each in handlings if each.error is not None}
    errors.pop(id(failure.error), None)  # a component that raises it again leaves it to the others
    if errors:
        outcome.errors += errors.values()
        outcome.failed.append(failure.message)


class Handling(msgspec.Struct, eq=False):
    """The handling of one message by one component."""

    turn: Turn
    receiver: Receiver
    message: Message
    queue: Pending
    """The queue for messages that come of it."""
    cause: Delivery | None = None
    origin: Any = None
    error: Exception | None = None
    delivery: Delivery | None = None
    """The delivery, if it is observed."""
    grew: bool = False
    """True if it returned a component."""
    unpaused: int = 0
    """Messages since other tasks could run."""

    @property
    def giver(self) -> str:
        """The component's name."""
        return name_of(self.receiver.component)

    async def run(self) -> None:
        """Call the component, under the origin of the message if it has one, and queue what follows."""
        origin = None
        if self.origin is not None:
            origin = QueuedOrigin(self.origin)
            current_origin.set(origin)
        try:
            try:
                returned = self.receiver.call(self.message)
                if type(returned) is CoroutineType:
                    returned = await returned
            except FAILURES as error:
                returned = Raised(error)
            if returned is not None:
                await self.finish(returned)
        finally:
            if origin is not None:
                origin.close()

    async def finish(self, returned: Any) -> None:
        """Queue what follows from a returned value, or from an error."""
        raised = returned.error if type(returned) is Raised else None
        if raised is None:
            try:
                await keep_all(returned, self)
            except FAILURES as error:
                raised = error
        if raised is not None:
            self.error = failure_of(raised)
            await self._fail(self.error)

    async def _fail(self, error: Exception) -> None:
        if is_overflow(error):
            raise error
        try:
            await raise_if_cancelled(error)
        except BaseException:
            self.turn.ensure_outcome().errors.append(error)  # observers are told that no sender gets it
            raise
        message = self.message
        if isinstance(error, TurnFailed) and is_among(error.bus, inside(self.receiver.component)):
            await self._keep_what_left(error)
        if not isinstance(message, Failure):
            self._note_failure(error)
        elif isinstance(error, TurnFailed) and all(each is message.error for each in error.exceptions):
            self.error = message.error  # nothing in a nested bus handled it
        elif error is not message.error:
            self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        """Queue the failure of the component; of one that handles a `Failure` the error alone is noted."""
        self.error, message = error, self.message
        note(error, self.giver, message, self.turn.bus.name)
        if not isinstance(message, Failure):
            failure = Failure(message, self.receiver.component, error)
            self._queue((failure,), {Failure}, self._origin_of_failure())

    def _origin_of_failure(self) -> Any:
        """Return the envelope of this message that failed in a typed bus inside, if any; else the message's origin."""
        origin = current_origin.get()
        if origin is not None and getattr(origin, "message", None) is self.message:
            return origin.by
        return self.origin

    async def _keep_what_left(self, error: TurnFailed) -> None:
        try:
            await keep_all(error.outbound, self)
        except DuplicateName as clash:
            self._queue((Failure(self.message, self.receiver.component, clash),), {Failure})

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Queue messages that the component returned; messages that the bus lets out leave it, too."""
        origin = self.origin if origin is None else origin
        bus = self.turn.bus
        kinds: Set[type[Message]] = set(map(type, messages))
        for kind in kinds:
            bus.routing.receivers(kind)
        if bus.routing.untaken:
            messages, kinds = self._take_untaken_out(messages, kinds)
        if bus.outbound:
            leaving = [message for message in messages if isinstance(message, bus.outbound)]
            if leaving:
                self.turn.ensure_outcome().let_out(leaving, origin)
        self._queue(messages, kinds, origin)

    def _take_untaken_out(
        self, messages: Sequence[Message], kinds: Set[type[Message]]
    ) -> tuple[Sequence[Message], Set[type[Message]]]:
        """Return the messages without intents that nothing takes; returning these was a failure of the component."""
        bus = self.turn.bus
        lost = {kind for kind in kinds & bus.routing.untaken if not issubclass(kind, bus.outbound)}
        for kind in lost:
            self._note_failure(no_handler(bus, kind))
        return [each for each in messages if type(each) not in lost], kinds - lost

    def _queue(self, messages: Sequence[Message], kinds: Set[type[Message]], origin: Any = None) -> None:
        turn, source, delivery = self.turn, self.receiver.boundary, self.delivery
        if source is None and delivery is None and origin is None and Failure not in kinds:
            self.queue += messages
        else:
            self.queue += [Entry(message, source, delivery, origin) for message in messages]
        if delivery is not None:
            delivery.queued += messages
        root = turn.root or turn
        if root.edges is not None:
            root.edges.update({(type(self.message), self.giver, kind): None for kind in kinds})
        self.unpaused += len(messages)
        root.count += len(messages)
        if root.count >= turn.check_from:
            check_limits(turn)

    def refuse(self, value: Any) -> None:
        """Raise `NotAMessage` for a returned value that is no message and holds none."""
        raise NotAMessage(value, self.giver)

    def add(self, component: Any) -> None:
        """Add a returned component to the bus."""
        add_returned(self.turn.bus, self.receiver.component, component, first=not self.grew)
        self.grew = True

    async def breathe(self) -> None:
        """Let other tasks run when it is time, however much one component returns."""
        if self.unpaused >= BEAT:
            self.unpaused = 0
            await checkpoint()


def _is_sent_here(turn: Turn, message: Message) -> bool:
    """Return True for a message that was sent to the bus itself: it neither leaves, nor comes from a bus around."""
    if turn.outcome is not None and turn.outcome.has_let_out(message):
        return False
    callers = [each.bus for each in open_scopes(turn.outer) if not isinstance(each.bus, Gate)]
    receivers = callers[0].routing.receivers(type(message)) if callers else ()
    return not any(is_among(turn.bus, inside(receiver.component)) for receiver in receivers)
