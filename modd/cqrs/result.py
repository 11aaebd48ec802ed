"""The result of a dispatch, and the events that it releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from modd.core import Caused, Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Event, Query
from modd.cqrs.stamps import Emitted, Failed, Handled, Outboxed, Recorded, Stamp

R = TypeVar("R")


class Dispatched(msgspec.Struct, Generic[R], frozen=True, eq=False):
    """The outcome of a dispatch.

    envelope: the envelope with its stamps.
    result: the result of the last handler; None if no handler gave one, as when a middleware stopped it.
    events: the released events, none by default; inside a `Bus` they flow on there by themselves.
    """

    envelope: Envelope[Any]
    result: R
    events: tuple[Message, ...] = ()

    @property
    def results(self) -> tuple[R, ...]:
        """The results of all handlers, in the order in which these were registered."""
        return tuple(stamp.result for stamp in self.envelope.all(Handled))

    @property
    def answered(self) -> bool:
        """True if there is a result; None may be one."""
        return self.envelope.has(Handled)

    @property
    def caused(self) -> Caused:
        """The events with their cause, for a surrounding bus."""
        return Caused(self.events, self.envelope)


def conclude(envelope: Envelope[Any], noted_before: Iterable[Stamp]) -> Dispatched[Any]:
    """Return the outcome of an envelope whose outermost middleware has returned.

    Events are released only if a handler has run and no `Failed` stamp was added: a result of a cache, a mock, a
    fallback or a queue has made nothing happen. Events before an `Outboxed` stamp have been released already, unless
    an aggregate has recorded them: such events are in no outbox.

    noted_before: the stamps before the dispatch.
    """
    if envelope.handled is not None and not envelope.ran:
        return Dispatched(envelope, envelope.handled[0])
    handled: list[Handled] = []
    emitted: list[Emitted] = []
    failed = taken = 0
    for stamp in envelope.flush():  # one pass for all three: it takes half the time
        if isinstance(stamp, Handled):
            handled.append(stamp)
        elif isinstance(stamp, Emitted):
            emitted.append(stamp)
        elif isinstance(stamp, Failed):
            failed += 1
        elif isinstance(stamp, Outboxed):
            emitted = [each for each in emitted if isinstance(each, Recorded)]
            taken = len(handled)
    result = handled[-1].result if handled else None
    if not envelope.ran or (failed and failed > _count_failed(noted_before)):
        return Dispatched(envelope, result)
    events = [stamp.event for stamp in emitted]
    if isinstance(envelope.message, Event):
        events += _returned_messages(handled[taken:])
    if not events or isinstance(envelope.message, Query):
        return Dispatched(envelope, result)
    return Dispatched(envelope, result, tuple(events))


def events_so_far(envelope: Envelope[Any]) -> tuple[Message, ...]:
    """Return the events for an outbox that would be released if the dispatch succeeded now."""
    return events_for_outbox(conclude(envelope, envelope.flush()))


def events_for_outbox(dispatched: Dispatched[Any]) -> tuple[Message, ...]:
    """Return the released events, without those that an aggregate has recorded in its log."""
    recorded = {id(stamp.event) for stamp in dispatched.envelope.flush() if isinstance(stamp, Recorded)}
    return tuple(event for event in dispatched.events if id(event) not in recorded)


def _count_failed(stamps: Iterable[Stamp]) -> int:
    return sum(isinstance(stamp, Failed) for stamp in stamps)


def _returned_messages(handled: list[Handled]) -> Iterator[Message]:
    """Yield the messages that the handlers of an event returned."""
    for stamp in handled:
        for item in stamp.result if isinstance(stamp.result, (list, tuple)) else (stamp.result,):
            if isinstance(item, Message):
                yield item
