"""The access of a part to the records of its store: alone, or together with the other parts in a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol, TypeAlias

import anyio
from anyio.abc import TaskGroup

from modd.ports.errors import Conflict, LeaseLost
from modd.ports.transaction import Transaction
from modd.stores.errors import StoreBusy, UnknownOutcome
from modd.stores.nats.errors import InDoubt, WrongSequence
from modd.stores.nats.jetstream import JetStream
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import PUT
from modd.stores.nats.subjects import Subjects
from modd.stores.server_clock import ServerClock

Operation: TypeAlias = Callable[..., Awaitable[Any]]
"""An async function of an `Overlay` and arguments: it reads, decides and writes there. It may run more than once."""


Plan: TypeAlias = Callable[[], Awaitable[tuple[Overlay, Any]]]
"""An async function that runs operations on a new overlay, and returns that and the result.

It raises `WrongSequence` if something that was read is not so."""


FASTER = "other writers were faster each time"


REFUSALS = (Conflict, LeaseLost)
"""The errors of operations that rest on what was read."""


class NatsAccess(Protocol):
    """Runs operations, outside of a transaction or in the open one."""

    is_deferred: ClassVar[bool]
    """True if changes are made only when the transaction commits, so that they have no result before."""

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that writes, and return its result; None where writes are deferred."""
        ...

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that writes, and return its result.

        Raises `ResultNeeded`, which names the ``call``, where writes are deferred.
        """
        ...

    async def read(self, title: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that reads, and return its result.

        title: the words for the read in a `modd.ports.ReadConflict`.
        """
        ...


class NatsParts(Protocol):
    """The part of `NatsStore` that its queues, events, cache, locks, inbox and outbox use."""

    name: str

    @property
    def stream(self) -> JetStream:
        """The stream of the records. Raises `StoreError` if the store is not open."""
        ...

    @property
    def subjects(self) -> Subjects:
        """The subjects of the records."""
        ...

    @property
    def clock(self) -> ServerClock:
        """The time of the server, in seconds since 1970."""
        ...

    @property
    def background(self) -> TaskGroup:
        """The tasks of the store, which are cancelled when it closes. Raises `StoreClosed`."""
        ...

    def access(self, call: str, *, at_once: bool = False) -> NatsAccess:
        """Return the access for a call. call: its name, for errors. at_once: not in a transaction that defers."""
        ...

    async def refresh_clock(self) -> None:
        """Ask for the time of the server if it was not asked for a minute."""
        ...

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``."""
        ...


class NatsPart:
    """A part of a store, such as its inbox, whose calls join the open transaction."""

    def __init__(self, store: NatsParts) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._store!r}>"

    @property
    def store(self) -> NatsParts:
        """The store; parts of the same one can be in one transaction."""
        return self._store

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction of the whole store, to be entered with ``async with``."""
        return self._store.transaction(immediate=immediate)

    async def _timed_access(self, call: str, *, at_once: bool = False) -> NatsAccess:
        """Return the access for a call that needs the time of the server."""
        access = self._store.access(call, at_once=at_once)
        await self._store.refresh_clock()
        return access


class Committer:
    """Plans operations on overlays and commits them, and again when another writer was faster.

    stream: the records. clock: returns the time of the server.
    """

    def __init__(self, stream: JetStream, clock: Callable[[], float]) -> None:
        self.stream, self.clock = stream, clock
        self._turns = anyio.Lock()
        """Held by the one that tries again, so that those of this process are not in each other's way for ever."""

    def overlay(self, *, is_guarded: bool = True) -> Overlay:
        """Return a new overlay."""
        return Overlay(self.stream, self.clock, is_guarded=is_guarded)

    async def apply(self, overlay: Overlay, operation: Operation, *arguments: Any) -> Any:
        """Run an operation on an overlay, and return its result.

        Raises `WrongSequence` for a refusal that rests on reads which are not so: run it on a new overlay.
        """
        try:
            return await operation(overlay, *arguments)
        except REFUSALS:
            if await self.stream.confirm(overlay.all_guards()):
                raise
            raise WrongSequence from None

    async def run(self, plan: Plan) -> Any:
        """Commit what a function has planned on an overlay, and return the result that it has returned with it."""
        is_done, result = await self.attempt(plan)
        return result if is_done else await self.run_again(plan)

    async def run_again(self, plan: Plan) -> Any:
        """Do as `run` does, after a first attempt, in turn with others. Raises `StoreBusy`."""
        period = self.stream.requests.retry_period()
        async with self._turns:
            while True:
                is_done, result = await self.attempt(plan)
                if is_done:
                    return result
                await period.pause(FASTER)

    async def attempt(self, plan: Plan) -> tuple[bool, Any]:
        """Plan and commit once. Return True with the result, or False if something that was read is not so."""
        try:
            overlay, result = await plan()
        except WrongSequence:
            return False, None
        return await self.try_to_commit(overlay), result

    async def try_to_commit(self, overlay: Overlay) -> bool:
        """Commit the writes of an overlay; False if something that was read or expected has changed.

        Raises `UnknownOutcome` if they may be stored and nothing tells.
        """
        if not overlay.writes:
            return True
        try:
            last = await self.stream.commit(overlay.writes, overlay.all_guards(), overlay.ids)
        except InDoubt:
            return await self._is_stored(overlay)
        except WrongSequence:
            return False
        first = last - len(overlay.writes) + 1
        overlay.note_commit({write.subject: first + place for place, write in enumerate(overlay.writes)})
        return True

    async def _is_stored(self, overlay: Overlay) -> bool:
        """True if the record that keeps the token of a commit has that of this one."""
        if overlay.witness is None:
            raise UnknownOutcome(self.stream.store, overlay.ids)
        try:
            record = await self.stream.last(overlay.witness)
        except StoreBusy as error:
            raise UnknownOutcome(self.stream.store, overlay.ids) from error
        if record is None or record.meta.get(PUT) != overlay.token:
            return False
        overlay.note_commit({record.subject: record.sequence})
        return True

    async def find_changed(self, guards: Mapping[str, int]) -> str | None:
        """Return the first subject or filter that is not as it was read; None if all are."""
        filters = [*guards]
        for filter, record in zip(filters, await self.stream.last_of_many(filters), strict=True):
            if guards[filter] != (0 if record is None else record.sequence):
                return filter
        return None


class NatsAutocommit:
    """The access outside of a transaction: each call acts at once."""

    is_deferred: ClassVar[bool] = False

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that writes, and return its result."""

        async def plan() -> tuple[Overlay, Any]:
            overlay = self._committer.overlay()
            return overlay, await self._committer.apply(overlay, operation, *arguments)

        return await self._committer.run(plan)

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that writes, and return its result."""
        return await self.write(operation, *arguments)

    async def read(self, title: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that reads, and return its result."""
        return await operation(self._committer.overlay(is_guarded=False), *arguments)
