"""The way of a command to the log: load the instance, decide, record the events, and decide anew after a conflict."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from modd.aggregate.access import AccessRules
from modd.aggregate.chain import Chain, Decision
from modd.aggregate.errors import CommandRejected
from modd.aggregate.event_codec import EventCodec
from modd.aggregate.fold import Fold
from modd.aggregate.inline import Inline
from modd.aggregate.instance import Instance
from modd.aggregate.lines import Lines, is_deferred
from modd.aggregate.revision import Revision, RevisionCache
from modd.aggregate.snapshots import Snapshots
from modd.core import Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Forbidden
from modd.cqrs.intents import result_type
from modd.cqrs.stamps import Actor, Duplicate, Received
from modd.ports.errors import AlreadyHandled, Conflict
from modd.ports.items import Item
from modd.ports.transaction import Transaction, open_transaction, usable_transaction
from modd.texts import escape_control

S = TypeVar("S")


class Instances(Protocol):
    """The instances of an aggregate in a store: as streams, or as boundaries.

    trusts_memory: True if a revision in memory, with the events of later commands, is worth a decision; False if each
    decision must read.
    """

    trusts_memory: ClassVar[bool]

    @property
    def snapshots(self) -> Snapshots[Any] | None:
        """The snapshots of the instances; None without."""
        ...

    def place_of(self, envelope: Envelope[Any]) -> Any:
        """Return the place of the instance that a command is for."""
        ...

    async def load(self, place: Any, since: Revision[Any] | None = None) -> Revision[Any]:
        """Return the latest revision. since: a revision from which to go on."""
        ...

    def append(self, place: Any, revision: Revision[Any], items: Sequence[Item]) -> Awaitable[object]:
        """Record events behind a revision. Raises `Conflict`."""
        ...


class DecisionRecorder(Generic[S]):
    """Handles the commands of an aggregate.

    name: the name of the aggregate. instances: where they are. fold, codec: those of the events.
    store: has ``inbox`` and ``transaction()``. access: None without checks. inline: parts that write in the commit of
    the events. cache: the revisions kept in memory.
    attempts: how often a decision is made before a conflict is raised.
    """

    def __init__(
        self,
        name: str,
        instances: Instances,
        fold: Fold[S],
        codec: EventCodec,
        store: Any,
        access: AccessRules | None,
        inline: Sequence[Inline],
        cache: RevisionCache,
        attempts: int,
    ) -> None:
        self._name, self._instances, self._fold, self._codec = name, instances, fold, codec
        self._store, self._access, self._inline = store, access, inline
        self._cache, self._attempts, self._snapshots = cache, attempts, instances.snapshots
        self._lines = Lines(cache.size)
        self._log = logging.getLogger(f"modd.{name}")

    async def handle(self, chain: Chain, envelope: Envelope[Any]) -> Any:
        """Decide about a command, record its events, and return its result.

        A rejection of a command from a queue is an end: it is released as `Rejected`. Raises `CommandRejected` for any
        other, `Forbidden`, `Conflict`, and the errors of the chain.
        """
        start, place = len(envelope.noted), self._instances.place_of(envelope)
        transaction = None if open_transaction.get() is None else self._transaction()
        turn = self._lines.enter_free(place.name) if transaction is None else None
        try:
            if turn is not None:
                return await self._decide_and_record(chain, envelope, place, None)
            async with self._lines.enter(place.name, transaction):
                return await self._decide_and_record(chain, envelope, place, transaction)
        except CommandRejected as rejection:
            if not (envelope.noted and envelope.has(Received)):
                raise
            self._release(rejection, envelope)
        except AlreadyHandled as error:
            if error.id != self._inbox_id(envelope):
                raise
            if envelope.is_asked and result_type(type(envelope.message)) is not type(None):
                raise AlreadyHandled(envelope.id) from error
            envelope.drop_events(start)
            envelope.add(Duplicate())
        finally:
            if turn is not None:
                self._lines.leave(turn)
        return None

    def _release(self, rejection: CommandRejected, envelope: Envelope[Any]) -> None:
        text = f"{rejection.command} of {self._name}/{rejection.id}: {rejection.reason}"
        self._log.info("%s", escape_control(text))
        envelope.emit(rejection.rejected)

    async def _decide_and_record(
        self, chain: Chain, envelope: Envelope[Any], place: Any, transaction: Transaction | None
    ) -> Any:
        """Decide until the events are recorded: anew after a conflict, for which somebody else was faster."""
        if envelope.has_own_id:
            await self._check_id(envelope, transaction)
        revision, is_fresh = None, False
        if transaction is None and self._instances.trusts_memory:  # as `_latest`, whose call takes longer than the rest
            revision = self._cache.get(place.name)
        if revision is None:
            revision, is_fresh = await self._latest(place, transaction)
        attempts, start = self._attempts, len(envelope.noted)
        while True:
            if len(envelope.noted) > start:
                envelope.drop_events(start)  # those that an earlier decision has emitted
            instance = self.instance(place, revision, envelope.bus.clock())
            denial = None if self._access is None else self._denial(envelope, instance)
            decision = denial or await chain.decide(instance, envelope)
            if not (decision.events or is_fresh):  # look if a rejection, or a command without effect, still stands
                before, is_fresh = revision, True
                revision = await self._instances.load(place, before)
                if revision.number > before.number:
                    continue
            try:
                await self._record(envelope, place, revision, decision, transaction)
            except Conflict:
                attempts -= 1
                if transaction is not None or not attempts:  # only who has begun a transaction can begin it again
                    self._cache.drop(place.name)
                    raise
                revision, is_fresh = await self._instances.load(place, revision), True
            else:
                return decision.result

    def _denial(self, envelope: Envelope[Any], instance: Instance[S]) -> Decision[S] | None:
        """Return the decision that denies access; None if the sender may give the command."""
        assert self._access is not None
        try:
            self._access.check(envelope, instance.ownership, instance.id)
        except Forbidden as denial:
            instance.close()
            return Decision(instance, rejection=denial)
        return None

    async def record(self, envelope: Envelope[Any], events: Sequence[Message]) -> None:
        """Record events for the instance of a command, without a decision. Raises `UnknownEvent`, `Conflict`."""
        place = self._instances.place_of(envelope)
        revision = await self.load_stored(place)
        instance = self.instance(place, revision, envelope.at)
        instance.publish(*events)
        if events:
            await self._instances.append(place, revision, self._codec.items(events, envelope))
            await self._keep(place, self._after(revision, Decision(instance, events), envelope), self._transaction())

    async def read(self, envelope: Envelope[Any], at: float) -> Instance[S]:
        """Return the instance that a command is for, for reading. at: the time of reading."""
        place = self._instances.place_of(envelope)
        return self.read_only(place, await self.load_stored(place), at)

    async def load_stored(self, place: Any) -> Revision[S]:
        """Return the revision that is stored, with what the open transaction has recorded."""
        transaction = self._transaction()
        own = None if transaction is None else transaction.local.get((self, place.name))
        return await self._instances.load(place, own)

    async def current(self, envelope: Envelope[Any], at: float) -> Instance[S]:
        """Return the instance that a command is for, as it is in memory, for reading. at: the time of reading."""
        place = self._instances.place_of(envelope)
        revision, _ = await self._latest(place, self._transaction())
        return self.read_only(place, revision, at)

    def read_only(self, place: Any, revision: Revision[S], at: float) -> Instance[S]:
        """Return the instance of a revision, for reading. at: the time of reading."""
        instance = self.instance(place, revision, at)
        instance.close()
        return instance

    async def load(self, envelope: Envelope[Any], at: float) -> Instance[S]:
        """Return the instance that a command is for, as it is stored. Raises `Forbidden`. at: the time of reading."""
        place = self._instances.place_of(envelope)
        revision, is_fresh = await self._latest(place, self._transaction())
        if not is_fresh:
            revision = await self._instances.load(place, revision)
        if self._access is not None:
            self._access.check(envelope, revision.ownership, place.id)
        return self.instance(place, revision, at)

    def instance(self, place: Any, revision: Revision[S], at: float) -> Instance[S]:
        """Return the instance of a revision. at: the time of the decision."""
        return Instance(self._name, place.id, revision.state, revision.number, revision.ownership, at, self._fold)

    async def _record(
        self,
        envelope: Envelope[Any],
        place: Any,
        revision: Revision[S],
        decision: Decision[S],
        transaction: Transaction | None,
    ) -> None:
        """Record the events of a decision, and the id of its command. Raises `Conflict`, and a rejection."""
        if decision.rejection is not None:
            if envelope.has_own_id:  # it may rest on what the same command has done elsewhere
                await self._check_id(envelope, transaction)
            raise decision.rejection
        events = decision.events
        items = self._codec.items(events, envelope) if events else ()
        if envelope.has_own_id or (items and self._inline):
            async with self._store.transaction() if transaction is None else nullcontext():
                await self._record_all(envelope, place, revision, events, items)
            if transaction is not None and envelope.has_own_id:  # one that is deferred does not read its writes
                transaction.local[self, self._inbox_id(envelope)] = True
        elif items:
            await self._instances.append(place, revision, items)
        if items:
            await self._keep(place, self._after(revision, decision, envelope), transaction)
            envelope.record(events)

    async def _check_id(self, envelope: Envelope[Any], transaction: Transaction | None) -> None:
        """Raise `AlreadyHandled` if a command under the id of this one was handled, be it in the open transaction."""
        id = self._inbox_id(envelope)
        if (transaction is not None and (self, id) in transaction.local) or await self._store.inbox.has(id):
            raise AlreadyHandled(id)

    async def _record_all(
        self, envelope: Envelope[Any], place: Any, revision: Revision[S], events: Sequence[Message], items: Any
    ) -> None:
        """Record events, the id of their command, and what inline parts write, in the open transaction."""
        if envelope.has_own_id:
            await self._store.inbox.add(self._inbox_id(envelope))
        if items:
            await self._instances.append(place, revision, items)
            for part in self._inline:
                await part.apply(self._store, place.name, events)

    def _after(self, revision: Revision[S], decision: Decision[S], envelope: Envelope[Any]) -> Revision[S]:
        """Return the revision after the events of a decision; the actor of the first event is the owner."""
        if not self._instances.trusts_memory:
            return revision
        ownership = decision.instance.ownership
        if not revision.number and envelope.noted and ownership.owner is None:
            actor = envelope.last(Actor)
            ownership = msgspec.structs.replace(ownership, owner=None if actor is None else actor.id)
        return Revision(revision.number + len(decision.events), decision.instance.state, ownership, revision.snapshot)

    async def _keep(self, place: Any, revision: Revision[S], transaction: Transaction | None) -> None:
        """Keep a revision for the next command; in a transaction for its own commands, and after its commit for all."""
        if transaction is None:
            if self._snapshots is not None and self._snapshots.is_due(revision):
                revision = await self._snapshots.save(place.name, revision)
            self._cache.put(place.name, revision)
        else:
            transaction.local[self, place.name] = revision
            self._cache.drop(place.name)  # whether the commit fails is not known here, nor why
            transaction.on_commit(partial(self._keep, place, revision, None))

    async def _latest(self, place: Any, transaction: Transaction | None) -> tuple[Revision[S], bool]:
        """Return the latest revision that is at hand, and True if nothing later can be in the store."""
        own = None if transaction is None else transaction.local.get((self, place.name))
        known = self._cache.get(place.name) if own is None else own
        is_certain = transaction is not None and not is_deferred(transaction)  # nobody else can write meanwhile
        if is_certain or not self._instances.trusts_memory:
            return await self._instances.load(place, known), True
        if known is None:
            return await self._load_outside(place), transaction is None
        return known, own is not None

    async def _load_outside(self, place: Any) -> Revision[S]:
        """Load outside of the open transaction, as a revision in memory was: the append finds out if it has changed.

        A snapshot of a transaction costs two trips to a thread more than the read.
        """
        token = open_transaction.set(None)
        try:
            return await self._instances.load(place)
        finally:
            open_transaction.reset(token)

    def _transaction(self) -> Transaction | None:
        """Return the open transaction, if it is one of the store."""
        transaction = usable_transaction()
        is_own = transaction is not None and _store_of(transaction) is _store_of(self._store.events)
        return transaction if is_own else None

    def _inbox_id(self, envelope: Envelope[Any]) -> str:
        return f"{self._name}/{envelope.id}"


def _store_of(part: Any) -> Any:
    return getattr(part, "store", None)
