"""Writing a projection in the commit of the events, for ``inline=[projection]`` of an aggregate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from modd.aggregate.lines import is_deferred
from modd.core import Message
from modd.cqrs.wire import name_in
from modd.ports.storage import Storage
from modd.ports.transaction import Transaction, current_transaction
from modd.projection.builds import Build, Builds, Registration, cursor_key
from modd.projection.content import ProjectionContent
from modd.projection.errors import OutdatedProjection, ProjectionNotBuilt
from modd.stores.transaction import find_transaction

CURSORS = "modd tracks"
"""The space of the cursors of followers."""


PAGE = 4_096
"""Events that are looked at in one step."""


class CursorPosition(msgspec.Struct):
    """The part of a follower's cursor that tells how far it has come."""

    position: int


class InlineWriter:
    """Writes a projection in the commit of the events.

    The registration is remembered from the first commit on, and each commit checks that it is still the one in the
    store: to read it for each command would take longer than to write.

    projection, version: those of the projection. content: the kind of its content. kinds: the types of its events.
    types: their names on the wire.
    """

    def __init__(
        self, projection: str, version: int, content: ProjectionContent, kinds: Collection[type], types: frozenset[str]
    ) -> None:
        self.known = WeakKeyDictionary[Any, Registration]()
        """The registration in each store."""
        self._projection, self._version, self._content = projection, version, content
        self._kinds, self._types = kinds, types

    async def apply(self, store: Storage, events: Sequence[Message]) -> None:
        """Write in the open transaction what follows from events that it has just recorded."""
        own = [event for event in events if type(event) in self._kinds]
        if not own:
            return
        transaction = find_transaction(store) or current_transaction(f"the projection {self._projection}")
        builds = Builds(store, self._projection, self._content)
        registration: Registration | None = transaction.local.get(self)
        if registration is None:
            registration = self.known.get(store)
            if registration is None:
                registration = await self._registered(store, builds, transaction, len(events))
            else:
                await builds.check(registration)
            InlineCommit(self.known, store, registration).follow(transaction)
            transaction.local[self] = registration
        await self._content.apply(store, transaction, registration.live.number, own)

    async def _registered(self, store: Storage, builds: Builds, transaction: Transaction, new: int) -> Registration:
        """Return the registration as one that is written inline. Raises `OutdatedProjection`, `ProjectionNotBuilt`.

        new: the number of events that the transaction has just recorded.
        """
        before = await builds.load()
        version, seen = self._version, 0
        if before is not None:
            if before.live.version != version:
                raise self._error(before)
            if before.inline:
                return before
            seen = await self._position(store, before.live)
        has_unseen = await self._has_unseen(store, seen, 0 if is_deferred(transaction) else new)
        if has_unseen and before == await builds.load():  # in memory, each read is of the latest commit
            raise ProjectionNotBuilt(self._projection, version)
        if before is None:
            after = Registration(Build(version, 1, self._content.tables), inline=True)
        else:
            after = msgspec.structs.replace(before, inline=True)
            await store.documents(CURSORS).delete(cursor_key(self._projection, before.live.number))
        await builds.change(transaction, before, after)
        return after

    def _error(self, registration: Registration) -> Exception:
        live = registration.live.version
        if live > self._version:
            return OutdatedProjection(self._projection, self._version, live)
        return ProjectionNotBuilt(self._projection, self._version)

    async def _position(self, store: Storage, build: Build) -> int:
        """Return the position that followers have come to with a build."""
        body = await store.documents(CURSORS).get(cursor_key(self._projection, build.number))
        return 0 if body is None else msgspec.json.decode(body, type=CursorPosition).position

    async def _has_unseen(self, store: Storage, after: int, new: int) -> bool:
        """Return True if the log has events of the projection after a position, but for the last ``new`` ones."""
        end = await store.events.last() - new
        while after < end:
            page = await store.events.page(after, min(PAGE, end - after), headers=False)
            if any(name_in(body) in self._types for position, body, _ in page if position <= end):
                return True
            after = page[-1][0]
        return False


class InlineCommit:
    """The end of a transaction: a registration is remembered if it was committed, else it is read anew.

    known: the registrations by store. store: the store of the transaction. registration: that in the transaction.
    """

    def __init__(self, known: WeakKeyDictionary[Any, Registration], store: Any, registration: Registration) -> None:
        self._known, self._store, self._registration = known, store, registration
        self._is_committed = False

    def follow(self, transaction: Transaction) -> None:
        """Have this told about the end of a transaction."""
        transaction.on_commit(self._committed)
        transaction.on_end(self._ended)

    async def _committed(self) -> None:
        self._is_committed = True
        self._known[self._store] = self._registration

    async def _ended(self) -> None:
        if not self._is_committed:
            self._known.pop(self._store, None)
