"""Transactional commits the effects of a dispatch and its events together."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, ClassVar, Protocol

from modd.checks import checked_callable, checked_methods, has_methods
from modd.core import tell_stored
from modd.cqrs.chain import Next
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import WrongBus
from modd.cqrs.event_items import EventItems
from modd.cqrs.immediate import run_immediate
from modd.cqrs.intents import Query, with_derived
from modd.cqrs.result import events_so_far
from modd.cqrs.retry import FailedByStamp, attempt
from modd.cqrs.stamps import Outboxed, Received, Stamp
from modd.errors import InvalidOption
from modd.middleware.bus_keys import KeyOrNone, key_or_none
from modd.middleware.deep_copy import copy_values
from modd.ports import Conflict, Outbox
from modd.ports.transaction import usable_transaction


class TransactionalStore(Protocol):
    """The store of a `Transactional`: a `modd.ports.Storage`, such as a `SqliteStore`, or any object with these two."""

    def transaction(self, *, immediate: bool = False) -> AbstractAsyncContextManager[object]:
        """Return a transaction, to be entered with ``async with``; inside of another one, a savepoint of that.

        immediate: True for one in which no other writer can come first; see `modd.ports.SupportsTransactions`.
        """
        ...

    @property
    def outbox(self) -> Outbox:
        """The outbox; its ``put`` joins the open transaction."""
        ...


class Transactional:
    """Runs everything further in within one transaction, and puts the emitted events into the outbox in it.

    Use it for handlers whose effects and events must be committed together where no worker has opened a transaction. A
    handler gets the transaction by a parameter ``tx: Transaction``. A `Relay` passes the events on, here or in a
    second process. Until then no handler gets them: they do not flow on in the `Bus` around, and ``Dispatched.events``
    is empty. The dispatch has an `Outboxed` stamp.

    If the transaction ends in a `modd.ports.Conflict`, everything further in runs again at once, in an immediate
    transaction. An error, or a `Failed` stamp, rolls the transaction back, events included. Each attempt of a
    `Retryer`, which belongs outside, has a transaction of its own. If a transaction of the store is open, as in a
    worker or when the handler of a dispatch asks a further intent, the dispatch is a savepoint of that transaction: it
    is committed with it. Multiple handlers of a type share the transaction, and run one after another: give the bus
    ``concurrent=False``.

    store: a `modd.stores.SqliteStore` or `MemoryStore`, or any object with ``transaction()`` and an ``outbox`` that
        joins it.
    key: a function of the envelope, sync or async; events with the same text are passed on in order, and handled one
        after another. None, the default, for the key of the message that a worker claimed, if it has one.
    codec: encodes the events; by default one for each type.

    Raises:
        InvalidOption: the store has no transactions, or an option has a value that cannot work; when the bus is
            checked, if it runs multiple handlers side by side.
        WrongBus: the bus is for queries.
    """

    role: ClassVar[str] = "transaction"
    """Its name in the rules of order: inside of `Retryer` and `Idempotency`."""

    def __init__(self, store: TransactionalStore, *, key: KeyOrNone | None = None, codec: Codec | None = None) -> None:
        self._store = _checked_store(store)
        if key is not None:
            checked_callable("key", key, "give a function from envelope to text, sync or async, or None")
        if codec is not None:
            checked_methods("codec", codec, ["encode"], "give a modd.cqrs.Codec, or None for one for each type")
        self._key, self._items = key, EventItems(codec)

    def bind(self, bus: Any) -> None:
        """Raise `WrongBus` for a bus of queries."""
        if issubclass(bus.kind, Query):
            reason = "a query changes nothing; read in `async with store.transaction()` in its handler"
            raise WrongBus("Transactional", bus.name, reason)

    def check(self, bus: Any) -> None:
        """Raise `InvalidOption` if the bus runs multiple handlers of a type side by side."""
        for kind in with_derived(bus.types) if bus.concurrent else ():
            names = bus.handler_names(kind)
            if len(names) > 1:
                cure = f"handlers in one transaction run one after another, and {kind.__qualname__} has {len(names)}"
                raise InvalidOption("concurrent", True, f"{cure}; give {bus.name} concurrent=False")

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link in a transaction; its events are in the outbox if, and only if, that is committed.

        If the transaction ends in a conflict, call it again at once, in an immediate one: no other writer can come
        first then in a file. On a server one can, so that it is called again and again.
        """
        if usable_transaction() is not None:  # its owner decides about a conflict
            return await self._attempt(envelope, call_next, immediate=False)
        stamps, ran, message = envelope.all(Stamp), envelope.ran, copy_values(envelope.message)
        try:
            return await self._attempt(envelope, call_next, immediate=False)
        except Conflict:
            pass

        async def attempt_again() -> None:
            envelope.reset(stamps, ran=ran)
            envelope.message = copy_values(message)
            await self._attempt(envelope, call_next, immediate=True)

        await run_immediate(attempt_again)

    async def _attempt(self, envelope: Envelope[Any], call_next: Next, *, immediate: bool) -> None:
        with suppress(FailedByStamp):
            async with self._store.transaction(immediate=immediate):
                await self._run(envelope, call_next)

    async def _run(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link in the open transaction, and put its events into the outbox."""
        await attempt(envelope, call_next)
        events = events_so_far(envelope)
        if events:
            items = self._items.create(events, envelope, await self._key_of(envelope))
            envelope.add(Outboxed(tuple(await self._store.outbox.put(*items)), at=envelope.bus.clock()))
            tell_stored(events, "outbox", envelope.bus)

    async def _key_of(self, envelope: Envelope[Any]) -> str | None:
        if self._key is not None:
            return await key_or_none(self._key, envelope)
        received = envelope.last(Received)
        return None if received is None else received.key


def _checked_store(store: Any) -> Any:
    """Return a store with transactions, and an outbox that joins them. Raises `InvalidOption`."""
    cure = "give a modd.stores.SqliteStore, or an object with transaction() and an outbox that joins it"
    if not has_methods(store, ["transaction"]):
        raise InvalidOption(
            "store", store, f"it has no transactions, in which events are committed with effects; {cure}"
        )
    outbox = getattr(store, "outbox", None)
    if not has_methods(outbox, ["put"]):
        raise InvalidOption("store", store, f"it has no outbox; {cure}")
    if getattr(outbox, "store", None) is not getattr(store, "store", store):
        raise InvalidOption("store", store, f"its outbox does not join its transactions, or has no `store`; {cure}")
    return store
