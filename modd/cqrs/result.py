"""What a dispatch comes back with (MI-5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from modd.core import Caused, Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Event, Query
from modd.cqrs.stamps import Emitted, Failed, Handled

R = TypeVar("R")


class Dispatched(msgspec.Struct, Generic[R], frozen=True, eq=False):
    """The envelope after its way, the result, and the events that were released."""

    envelope: Envelope[Any]
    result: R
    """The result of the last handler; None when there is none (a middleware stopped it, or it was queued)."""
    events: tuple[Message, ...] = ()
    """What was released; inside a `Bus` it flows on there by itself."""

    @property
    def results(self) -> tuple[R, ...]:
        """The results of all handlers, in the order in which these were registered."""
        return tuple(stamp.result for stamp in self.envelope.all(Handled))

    @property
    def answered(self) -> bool:
        """Whether there is a result at all; a result may be None, too."""
        return self.envelope.has(Handled)

    @property
    def caused(self) -> Caused:
        """The events with what caused them, for a surrounding bus."""
        return Caused(self.events, self.envelope)


def concluded(envelope: Envelope[Any], failed_before: int) -> Dispatched[Any]:
    """The outcome of an envelope whose outermost middleware has returned.

    Events are released only if a handler has run and no failure was noted on the way: a result from a cache, a mock,
    a fallback or a queue has made nothing happen.
    """
    handled: list[Handled] = []
    events: list[Message] = []
    failed = 0
    for stamp in envelope._stamps:  # once over all: most envelopes that come here have a few
        if isinstance(stamp, Handled):
            handled.append(stamp)
        elif isinstance(stamp, Emitted):
            events.append(stamp.event)
        elif isinstance(stamp, Failed):
            failed += 1
    result = handled[-1].result if handled else None
    if not envelope._ran or failed > failed_before or isinstance(envelope.message, Query):
        return Dispatched(envelope, result)
    if isinstance(envelope.message, Event):
        events += _given_back(handled)
    return Dispatched(envelope, result, tuple(events))


def _given_back(handled: list[Handled]) -> Iterator[Message]:
    """The messages that the handlers of an event gave back."""
    for stamp in handled:
        given = stamp.result
        for item in given if isinstance(given, (list, tuple)) else (given,):
            if isinstance(item, Message):
                yield item
