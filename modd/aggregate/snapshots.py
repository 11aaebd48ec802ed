"""Snapshots of states, each marked with the code that made it, so that none of other code is used."""

from __future__ import annotations

import logging
from typing import Generic, TypeVar

import msgspec

from modd.aggregate.access import Ownership
from modd.aggregate.fingerprint import fingerprint
from modd.aggregate.fold import Fold
from modd.aggregate.revision import Revision
from modd.core import log_error
from modd.ports.events import EventStore
from modd.ports.events import Snapshot as StoredSnapshot
from modd.ports.items import Item

S = TypeVar("S")


ORIGIN = "made-by"
"""The header of a snapshot: the fingerprint of the code that made it."""


FIRST_PAGE = 256
"""Events of the first page of a stream, if it has so many; see `modd.ports.EventStore.pages`."""


class Saved(msgspec.Struct):
    """The body of a snapshot, whose state is still encoded."""

    state: msgspec.Raw
    ownership: Ownership


class Snapshots(Generic[S]):
    """The snapshots of an aggregate.

    A snapshot is used only if it was made of the same type of state, by the same event functions and the same version,
    can be decoded, and is not ahead of its stream. Any other is passed over, logged once, and replaced.

    name: the name of the aggregate. fold: its event functions. events: the store of the snapshots.
    every: the number of events between two snapshots; 0 for no snapshots. version: that of the aggregate.
    """

    def __init__(self, name: str, fold: Fold[S], events: EventStore, every: int, version: int) -> None:
        self._fold, self._events, self._every = fold, events, every
        self._origin = fingerprint(fold.kind, fold.functions.values(), version) if every else ""
        self._log = logging.getLogger(f"modd.{name}")
        self.are_met = False
        """True if this process has met a snapshot, so that other streams are likely to have one, too."""
        self._told: set[str] = set()
        """The problems that were logged."""

    async def load(self, stream: str, until: int | None = None) -> Revision[S]:
        """Return the revision in the snapshot of a stream; the initial state without one that can be used.

        until: the number of the last event that may be in it; by default any.
        """
        initial = Revision(0, self._fold.initial)
        saved = await self._events.snapshot(stream) if self._every else None
        self.are_met = self.are_met or saved is not None
        if saved is None or (until is not None and saved.revision > until):
            return initial
        loaded = self._decode(saved)
        if loaded is not None and await self._is_ahead(stream, saved.revision):
            self._tell("is ahead of its stream")
            return initial
        return initial if loaded is None else loaded

    def may_have(self, events: int) -> bool:
        """Return True if a stream may have a snapshot, though none was met yet. events: those of its first page."""
        return not self.are_met and bool(self._every) and events >= min(self._every, FIRST_PAGE)

    def is_due(self, revision: Revision[S]) -> bool:
        """Return True if enough events have come since the last snapshot."""
        return bool(self._every) and revision.number - revision.snapshot >= self._every

    async def save(self, stream: str, revision: Revision[S]) -> Revision[S]:
        """Save a snapshot, and return the revision with its number; a failure is logged."""
        try:
            body = msgspec.json.encode({"state": revision.state, "ownership": revision.ownership})
            if self._read(body)[0] != revision.state:
                raise ValueError("the state differs once it was decoded; give its fields exact types")
            await self._events.save_snapshot(stream, revision.number, Item(body, {ORIGIN: self._origin}))
        except Exception as error:
            log_error(self._log, "no snapshot of %s", stream, error=error, message=revision.state)
        return msgspec.structs.replace(revision, snapshot=revision.number)

    def _decode(self, saved: StoredSnapshot) -> Revision[S] | None:
        if saved.headers.get(ORIGIN) != self._origin:
            self._tell("was made by other code")
            return None
        try:
            state, ownership = self._read(saved.body)
        except (msgspec.MsgspecError, ValueError) as error:
            self._tell(f"cannot be decoded ({type(error).__name__})")
            return None
        return Revision(saved.revision, state, ownership, saved.revision)

    def _read(self, body: bytes) -> tuple[S, Ownership]:
        """Return the state and the ownership in a body. Raises errors of msgspec."""
        parts = msgspec.json.decode(body, type=Saved)
        return msgspec.json.decode(parts.state, type=self._fold.kind), parts.ownership

    async def _is_ahead(self, stream: str, revision: int) -> bool:
        """Return True if a stream has fewer events than its snapshot counts."""
        async for _ in self._events.read(stream, revision - 1):
            return False
        return True

    def _tell(self, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            self._log.warning("a snapshot %s: it is passed over, as all such ones, and replaced in time", problem)
