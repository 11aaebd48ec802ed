"""The history of an instance: its events, each with the state after it and with where it came from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

import msgspec

from modd.aggregate.access import ACCESS_EVENTS
from modd.aggregate.event_codec import ACTOR, CAUSATION, CORRELATION, ID, EventCodec
from modd.aggregate.fold import Fold
from modd.ports.events import EventStore

S = TypeVar("S")


class Change(msgspec.Struct, Generic[S], frozen=True):
    """An event in the history of an instance.

    event: the event.
    state: the state after it.
    revision: its number in the history of the instance, from 1.
    position: its number in the whole store.
    at: the time of its recording, in seconds since 1970.
    id: its id.
    causation_id: the id of the command that published it.
    correlation_id: the id of the first message in the line.
    actor: the id of the `Actor` of the command; None without one.
    """

    event: Any
    state: S
    revision: int
    position: int
    at: float
    id: str
    causation_id: str
    correlation_id: str
    actor: str | None


async def changes(stream: str, events: EventStore, fold: Fold[S], codec: EventCodec) -> AsyncIterator[Change[S]]:
    """Yield the events of a stream, each with the state after it."""
    state = fold.initial
    async for stored in events.read(stream):
        event, headers = codec.decode_any(stored.body), stored.headers
        if not isinstance(event, ACCESS_EVENTS):
            state = fold.apply(state, event)
        yield Change(
            event,
            state,
            stored.revision,
            stored.position,
            stored.at,
            headers.get(ID, ""),
            headers.get(CAUSATION, ""),
            headers.get(CORRELATION, ""),
            headers.get(ACTOR),
        )
