"""Streams: each instance of an aggregate is a stream of events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from modd.aggregate.access import ACCESS_EVENTS, Ownership
from modd.aggregate.errors import UnknownEvent
from modd.aggregate.event_codec import ACTOR, EventCodec
from modd.aggregate.fold import Fold
from modd.aggregate.revision import Revision
from modd.aggregate.snapshots import Snapshots
from modd.core import wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import UnknownType
from modd.cqrs.ids import escape
from modd.cqrs.stamps import Tenant
from modd.errors import InvalidOption
from modd.ports.events import EventStore
from modd.ports.items import Item

S = TypeVar("S")


class InstanceStream(msgspec.Struct, frozen=True):
    """The stream of an instance.

    id: its identity. name: the name of the stream.
    """

    id: str
    name: str


class Streams(Generic[S]):
    """Loads and records the instances of an aggregate, each in a stream of its own.

    name: the name of the aggregate. identity: returns the identity in a command. fold, codec: those of its events.
    events: the store. snapshots: the snapshots of its states.
    """

    trusts_memory: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        identity: Callable[[Any], Any],
        fold: Fold[S],
        codec: EventCodec,
        events: EventStore,
        snapshots: Snapshots[S],
    ) -> None:
        self._name, self._identity, self._fold, self._codec = name, identity, fold, codec
        self._events, self.snapshots = events, snapshots
        """The snapshots of the states."""

    def place_of(self, envelope: Envelope[Any]) -> InstanceStream:
        """Return the place of the instance that a command is for. Raises `InvalidOption` for no identity."""
        tenant = envelope.last(Tenant) if envelope.noted else None
        command = envelope.message
        id = self._identity(command)
        if not id or type(id) is not str:
            id = checked_identity(id, wire_name(type(command)))
        return InstanceStream(id, f"{self._name}/{id}") if tenant is None else self.place(id, tenant.id)

    def place(self, id: str, tenant: str | None = None) -> InstanceStream:
        """Return the place of an instance by its identity."""
        stream = f"{self._name}/{id}"
        return InstanceStream(id, stream if tenant is None else f"~{escape(tenant, '/')}/{stream}")

    async def load(
        self, place: InstanceStream, since: Revision[S] | None = None, until: int | None = None
    ) -> Revision[S]:
        """Return the latest revision of an instance.

        since: a revision from which to go on. until: the number of the last event to count; by default all.
        """
        start = Revision(0, self._fold.initial) if since is None else since
        if since is None and self.snapshots.are_met:
            start = await self.snapshots.load(place.name, until)
        number, state, ownership = start.number, start.state, start.ownership
        async for _, bodies in self._events.pages(place.name, number):
            if number == 0:  # and not for a stream without events: it takes one read
                saved = await self._snapshot(place, len(bodies), until) if since is None else None
                if saved is not None:
                    return await self.load(place, saved, until)
                ownership = await self._first_owner(place.name)
            page = bodies if until is None else bodies[: until - number]
            state, ownership = self._apply_page(place, number, page, state, ownership)
            number += len(page)
            if number == until:
                break
        loaded = Revision(number, state, ownership, start.snapshot)
        is_due = until is None and self.snapshots.is_due(loaded)
        return await self.snapshots.save(place.name, loaded) if is_due else loaded

    def append(self, place: InstanceStream, revision: Revision[S], items: Sequence[Item]) -> Awaitable[object]:
        """Record events behind a revision. Raises `RevisionConflict`, in a transaction perhaps at its commit."""
        return self._events.append(place.name, items, revision.number)

    async def _snapshot(self, place: InstanceStream, events: int, until: int | None) -> Revision[S] | None:
        """Return the revision in a snapshot, if there can be one. events: number of events of the first page."""
        if not self.snapshots.may_have(events):
            return None
        saved = await self.snapshots.load(place.name, until)
        return saved if saved.number else None

    async def _first_owner(self, stream: str) -> Ownership:
        first = await anext(self._events.read(stream))
        return Ownership(first.headers.get(ACTOR))

    def _apply_page(
        self, place: InstanceStream, number: int, bodies: Sequence[bytes], state: S, ownership: Ownership
    ) -> tuple[S, Ownership]:
        """Apply events behind a revision, all at once if nothing about them is special."""
        try:
            return self._fold.apply_all(state, self._codec.decode_all(bodies)), ownership
        except (UnknownType, UnknownEvent):  # one of them is about access, or unknown
            for at, body in enumerate(bodies, number + 1):
                state, ownership = self._apply_one(place, at, body, state, ownership)
        return state, ownership

    def _apply_one(
        self, place: InstanceStream, number: int, body: bytes, state: S, ownership: Ownership
    ) -> tuple[S, Ownership]:
        """Apply an event, also one about access. Raises `UnknownEvent`, which names the place."""
        where = f"{place.name}, revision {number}"
        try:
            event: Any = self._codec.decode_any(body)
        except UnknownType as unknown:
            raise UnknownEvent(unknown.name, self._name, self._fold.names, where) from None
        if isinstance(event, ACCESS_EVENTS):
            return state, ownership.after(event)
        if type(event) not in self._fold.functions:
            raise UnknownEvent(wire_name(type(event)), self._name, self._fold.names, where)
        return self._fold.apply(state, event), ownership


def checked_identity(id: Any, command: str) -> str:
    """Return an identity as a text. Raises `InvalidOption` for anything but a text or a whole number."""
    if isinstance(id, int) and not isinstance(id, bool):
        return str(id)
    if not (isinstance(id, str) and id):
        raise InvalidOption("identity", id, f"the identity in {command} must be a text that is not empty")
    return id
