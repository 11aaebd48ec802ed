"""One message being taken by one component, the careful way: observed, counted, and with what becomes of an error."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

import msgspec

from modd.concurrency.cancellation import raise_if_cancelled
from modd.core.causation import Held, current_origin
from modd.core.collect import collect
from modd.core.component import Part, Receiver, inside, name_of
from modd.core.limits import check_limits, edges_of, look
from modd.core.message import Failure, Message, Raised, note
from modd.core.observer import Delivery, current_delivery, tell
from modd.core.turn import Turn
from modd.errors import DuplicateName, TurnFailed, TurnOverflow


class Entry(msgspec.Struct, eq=False):
    """A message in the queue, with what must be known of it and is not the message's own (MO-10)."""

    message: Message
    source: Part | None = None
    """The bus that let it out; it is not given back to that bus."""
    cause: Delivery | None = None
    origin: Any = None
    """What it was caused by, in the eyes of the typed buses."""


Queued = Message | Entry


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
        if self.entry.origin is None:
            await self._call_in_place()
            return
        held = Held(self.entry.origin)
        current_origin.set(held)
        try:
            await self._call_in_place()
        finally:
            held.open = False

    async def _call_in_place(self) -> None:
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
            await self._keep_what_left(error)
        if not isinstance(message, Failure):
            note(error, self.giver, message, self.turn.bus.name)
            self._queue((Failure(message, component, error),), self._origin_of_failure())
        elif isinstance(error, TurnFailed) and error.exceptions == (message.error,):
            self.error = message.error  # nobody in a nested bus wanted it
        elif error is not message.error:
            note(error, self.giver, message, self.turn.bus.name)

    def _origin_of_failure(self) -> Any:
        """What has failed in a typed bus inside, if it was given this very message; else what caused the message."""
        origin = current_origin.get()
        if origin is not None and getattr(origin, "message", None) is self.entry.message:
            return origin.by
        return self.entry.origin

    async def _keep_what_left(self, error: TurnFailed) -> None:
        try:
            await collect(error.outbound, self)
        except DuplicateName as clash:
            self._queue((Failure(self.entry.message, self.receiver.component, clash),))

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Queue messages that the component gave back; those that the bus lets out leave."""
        origin = self.entry.origin if origin is None else origin
        turn, bus = self.turn, self.turn.bus
        for kind in set(map(type, messages)):
            bus.know(kind)
        leaving = [message for message in messages if isinstance(message, bus.outbound)] if bus.outbound else ()
        if leaving:
            turn.book.let_out(leaving, origin)
        self._queue(messages, origin)

    def _queue(self, messages: Sequence[Message], origin: Any = None) -> None:
        turn, source, delivery, kinds = self.turn, self.receiver.boundary, self.delivery, set(map(type, messages))
        if source is None and delivery is None and origin is None and Failure not in kinds:
            self.items += messages
        else:
            self.items += [Entry(message, source, delivery, origin) for message in messages]
        if delivery is not None:
            delivery.returned += tuple(messages)
        edges = edges_of(turn)
        if edges is not None:
            given, giver = type(self.entry.message), self.giver
            edges.update({(given, giver, kind): None for kind in kinds})
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
