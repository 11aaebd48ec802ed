"""Giving a message to its receivers: the careful way, for all that the loop of `Bus` does not do itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

import anyio
import msgspec

from modd.cancelled import raise_if_cancelled
from modd.collect import collect
from modd.component import Part, Receiver, inside, name_of
from modd.errors import DuplicateName, TurnFailed, TurnOverflow
from modd.failure import Failure, Raised, note
from modd.message import Message
from modd.observer import Delivery, current_delivery, tell
from modd.turn import Turn, check_limits, edges_of, look
from modd.wiring import carefully, check_message


class Entry(msgspec.Struct, eq=False):
    """A message in the queue, with what must be known of it and is not the message's own (MO-10)."""

    message: Message
    source: Part | None = None
    """The bus that let it out; it is not given back to that bus."""
    cause: Delivery | None = None


Queued = Message | Entry


async def deliver(turn: Turn, queued: Queued, queue: deque[Queued]) -> None:
    """Give one message to every receiver, and queue what they give back, in component order."""
    entry = queued if isinstance(queued, Entry) else Entry(queued, None, current_delivery.get())
    message, bus = entry.message, turn.bus
    receivers = [r for r in bus.receivers(type(message)) if entry.source is None or r.boundary is not entry.source]
    if not receivers and not (isinstance(message, Failure) or _has_left(turn, message)):
        tell(bus.watchers, lambda watcher: watcher.unreceived(message, bus))
    takes = [Take(turn, receiver, entry) for receiver in receivers]
    try:
        if bus.concurrent and len(takes) > 1:
            await _side_by_side([take.run for take in takes])
        else:
            for take in takes:
                await take.run()
    finally:
        for take in takes:
            queue += take.items
    if isinstance(message, Failure):
        _judge(turn, message, takes, from_outside=entry is not queued)


async def settle(turn: Turn, message: Message, call: Any, given: Any, queue: deque[Queued]) -> None:
    """Queue what follows from what a component gave back to the loop of `Bus`, or raised there."""
    if given is carefully:
        if not isinstance(message, Entry):
            check_message(message)
        await deliver(turn, message, queue)
        return
    take = Take(turn, turn.bus.receiver_of(call), Entry(message))
    try:
        await take.settle(given)
    finally:
        queue += take.items


class Take:
    """One message being taken by one component, and what comes of it."""

    def __init__(self, turn: Turn, receiver: Receiver, entry: Entry) -> None:
        self.turn, self.receiver, self.entry = turn, receiver, entry
        self.items: list[Queued] = []
        self.error: Exception | None = None
        self.delivery: Delivery | None = None

    @property
    def giver(self) -> str:
        """The component's name."""
        return name_of(self.receiver.component)

    async def run(self) -> None:
        """Call the component and take what it gives back; observed if anybody watches."""
        watchers = self.turn.bus.watchers
        if not watchers:
            await self._call()
            return
        delivery = Delivery(self.entry.message, self.receiver.component, self.turn.bus, self.entry.cause)
        self.delivery = delivery
        tell(watchers, lambda watcher: watcher.began(delivery))
        surrounding = current_delivery.set(delivery)
        try:
            await self._call()
            delivery.error, delivery.outcome = self.error, "failed" if self.error else "done"
        except BaseException as error:
            delivery.error, delivery.outcome = error, "failed" if isinstance(error, Exception) else "cancelled"
            raise
        finally:
            with suppress(ValueError):  # closed in another context, which has nothing to be set back
                current_delivery.reset(surrounding)
            delivery.seconds = perf_counter() - delivery.began
            tell(watchers, lambda watcher: watcher.ended(delivery))

    async def _call(self) -> None:
        try:
            given = self.receiver.call(self.entry.message)
        except Exception as error:
            given = Raised(error)
        await self.settle(given)

    async def settle(self, given: Any) -> None:
        """Take what the component gave back, or what it raised."""
        if isinstance(given, Raised):
            self.error = given.error
        else:
            try:
                await collect(given, self)
            except Exception as error:
                self.error = error
        if self.error is not None:
            await self._fail(self.error)

    async def _fail(self, error: Exception) -> None:
        if is_overflow(error):
            raise error
        try:
            await raise_if_cancelled(error)
        except BaseException:
            self.turn.book.errors.append(error)  # observers are told that nobody gets it
            raise
        message, component = self.entry.message, self.receiver.component
        if isinstance(error, TurnFailed) and error.bus in inside(component):
            self._keep_what_left(error)
        if not isinstance(message, Failure):
            note(error, self.giver, message, self.turn.bus.name)
            self._queue((Failure(message, component, error),))
        elif isinstance(error, TurnFailed) and error.exceptions == (message.error,):
            self.error = message.error  # nobody in a nested bus wanted it
        elif error is not message.error:
            note(error, self.giver, message, self.turn.bus.name)

    def _keep_what_left(self, error: TurnFailed) -> None:
        try:
            self.keep(error.outbound)
        except DuplicateName as clash:
            self._queue((Failure(self.entry.message, self.receiver.component, clash),))

    def keep(self, messages: Sequence[Message]) -> None:
        """Queue messages that the component gave back; those that the bus lets out leave."""
        turn, bus = self.turn, self.turn.bus
        for kind in set(map(type, messages)):
            bus.know(kind)
        leaving = [message for message in messages if isinstance(message, bus.outbound)] if bus.outbound else ()
        if leaving:
            turn.book.out += leaving
        self._queue(messages)

    def _queue(self, messages: Sequence[Message]) -> None:
        turn, source, delivery = self.turn, self.receiver.boundary, self.delivery
        if source is None and delivery is None and not any(isinstance(message, Failure) for message in messages):
            self.items += messages
        else:
            self.items += [Entry(message, source, delivery) for message in messages]
        if delivery is not None:
            delivery.returned += tuple(messages)
        edges = edges_of(turn)
        if edges is not None:
            given, giver = type(self.entry.message), self.giver
            edges.update({(given, giver, kind): None for kind in set(map(type, messages))})
        turn.meter.room -= len(messages)
        if turn.meter.room <= 0:
            check_limits(turn)

    def add(self, component: Any) -> None:
        """Add a component that was given back to the bus (MO-5)."""
        self.turn.bus.add(component)

    async def breathe(self) -> None:
        """Let others run when it is time, however much one component gives back."""
        if self.turn.meter.room <= 0:
            await look(self.turn)


def is_overflow(error: Exception) -> bool:
    """Whether a turn was cut short by a limit, here or in a turn that was awaited."""
    return isinstance(error, TurnOverflow) or (
        isinstance(error, ExceptionGroup) and error.subgroup(TurnOverflow) is not None
    )


def _has_left(turn: Turn, message: Message) -> bool:
    return turn.ledger is not None and any(message is left for left in turn.ledger.out)


def _judge(turn: Turn, failure: Failure, takes: Sequence[Take], *, from_outside: bool) -> None:
    """Keep for the sender what nobody handled; a failure in handling a failure is not queued but raised."""
    book = turn.book
    if not any(take.error is None and take.receiver.accepts.handles_failures for take in takes):
        if turn.bus.lets_failures_out and not from_outside:
            book.out.append(failure)
        else:
            book.errors.append(failure.error)
    clumsy = {id(take.error): take.error for take in takes if take.error is not None}
    clumsy.pop(id(failure.error), None)  # who raises it again does not want it, and somebody else may
    book.errors += clumsy.values()


async def _side_by_side(calls: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run all to the end at once; the error of one that cuts the turn short is raised bare."""
    finished = 0

    async def run(call: Callable[[], Awaitable[None]]) -> None:
        nonlocal finished
        await call()
        finished += 1

    try:
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(run, call)
    except BaseExceptionGroup as group:
        first, *more = group.exceptions
        if more and not isinstance(group, ExceptionGroup):
            raise
        raise first from None  # errors come here only from turns that a limit cuts short: one tells it
    if finished < len(calls):  # a component let a cancellation of its own doing pass
        raise anyio.get_cancelled_exc_class()
