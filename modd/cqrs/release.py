"""What a dispatch comes to: its result, and the events that are released (MI-15)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modd.cqrs.dispatched import Dispatched
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Event, Query
from modd.cqrs.stamps import Emitted, Failed, Handled
from modd.message import Message


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
