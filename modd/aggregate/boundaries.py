"""Boundaries: a decision rests on the events of a query, in whichever streams they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from modd.aggregate.access import Ownership
from modd.aggregate.event_codec import ACTOR, EventCodec
from modd.aggregate.fold import Fold
from modd.aggregate.revision import Revision
from modd.core import wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import UnknownType
from modd.errors import InvalidOption
from modd.ports.events import EventStore
from modd.ports.items import Item
from modd.ports.tagged import Tagged

S = TypeVar("S")


class Boundary(msgspec.Struct, frozen=True):
    """The events that a decision rests on.

    id: the query as a text. name: the same behind the name of the aggregate, to tell boundaries apart.
    query: the query.
    """

    id: str
    name: str
    query: Tagged


class Boundaries(Generic[S]):
    """Loads and records the decisions of an aggregate whose state comes from a query.

    name: the name of the aggregate, and of the stream of its events. boundary: returns the query for a command.
    fold, codec: those of its events. events: the store.
    """

    trusts_memory: ClassVar[bool] = False  # events of others may match, and own events may not
    snapshots: ClassVar[None] = None

    def __init__(
        self,
        name: str,
        boundary: Callable[[Any], Any],
        fold: Fold[S],
        codec: EventCodec,
        events: EventStore,
    ) -> None:
        self._name, self._boundary, self._fold, self._codec, self._events = name, boundary, fold, codec, events

    def place_of(self, envelope: Envelope[Any]) -> Boundary:
        """Return the boundary of a command. Raises `InvalidOption` for no query."""
        command = envelope.message
        query = self._boundary(command)
        if not isinstance(query, Tagged):
            cure = f'the boundary of {wire_name(type(command))} must be a query, such as Tagged("course:7")'
            raise InvalidOption("boundary", query, cure)
        return Boundary(repr(query), f"{self._name}/{query!r}", query)

    async def load(self, place: Boundary, since: Revision[S] | None = None) -> Revision[S]:
        """Return the state of the events that match now. since: a revision from which to go on."""
        start = since or Revision(0, self._fold.initial)
        number, state, position, ownership = start.number, start.state, start.position, start.ownership
        async for stored in self._events.read_where(place.query, position):
            position = stored.position
            if not number:
                ownership = Ownership(stored.headers.get(ACTOR))
            number += 1
            state = self._apply(state, stored.body)
        return Revision(number, state, ownership, position=position)

    async def append(self, place: Boundary, revision: Revision[S], items: Sequence[Item]) -> None:
        """Record events if none that matches has come since. Raises `QueryConflict`, perhaps at the commit."""
        await self._events.append_where(self._name, items, place.query, revision.position)

    def _apply(self, state: S, body: bytes) -> S:
        """Return the state after an event; one of another aggregate, without a function here, changes nothing."""
        try:
            event = self._codec.decode(body)
        except UnknownType:
            return state
        return self._fold.apply(state, event) if type(event) in self._fold.functions else state
