"""Idempotency does a thing once, however often it is dispatched."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

import anyio

from modd.checks import checked_flag, checked_span
from modd.core import hold
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Event
from modd.errors import InvalidOption
from modd.middleware.bus_keys import Buses
from modd.middleware.caching.entries import Results
from modd.middleware.caching.keys import Keys
from modd.middleware.caching.replay import Before, checked_store, stand_in
from modd.middleware.caching.single_flight import Fills
from modd.ports.cache import Cache
from modd.ports.transaction import usable_transaction

PATIENCE = 5.0
"""Seconds that a store may take for a result when the dispatch was cancelled meanwhile."""


def id_of(envelope: Envelope[Any]) -> str:
    """The id of an envelope: the key by default."""
    return envelope.id


class Idempotency:
    """Lets the first dispatch under a key through, and answers the later ones with its results.

    By default the key is the id of the envelope. So a client that sends its request again under the id that it chose,
    ``Envelope(Pay(...), id="payment-7")``, and a queue that delivers an envelope twice, have the thing done once. The
    content is not compared. Further in than an `Authorizer`, and outside of `Retryer` and of a transaction, whose
    failure is to be seen here.

    key: function of the envelope, sync or async, that returns the text by which to know a dispatch again; None to let
    this one through as if Idempotency were not there. store: a `modd.ports.Cache`; by default a `MemoryCache` of 10,000
    results. Its errors are raised. ttl: for how many seconds results are kept, more than 0. shared: True if the same
    key stands for the same thing whoever the actor and the tenant are.

    An answer adds `FromCache` and `Handled`, and releases no events. Who comes while the first is still going on waits
    for it; if that fails, by an error or a `Failed` stamp, the next one is let through. This holds within a process: of
    two processes with one store both may begin, unless a `Lock` outside prevents it. Nothing is kept of a dispatch that
    no handler handled (it was queued, say). Of an event, and of a result that would not come back from the store as it
    was, only that it is done is kept: later dispatches have no result then. In a transaction the results are kept when
    it is committed, and until then others are let through. Raises `InvalidOption`; while dispatching,
    `Deadlock` for a handler that dispatches under its own key.
    """

    role: ClassVar[str] = "idempotency"

    def __init__(
        self,
        *,
        key: Callable[[Envelope[Any]], str | Awaitable[str | None] | None] = id_of,
        store: Cache | None = None,
        ttl: float = 86400,
        shared: bool = False,
    ) -> None:
        if not callable(key):
            raise InvalidOption("key", key, "give a function of the envelope that returns a text, or None")
        checked_flag("shared", shared)
        self._key, self._ttl, self._shared = key, checked_span("ttl", ttl), shared
        self._store = checked_store(store)
        self._keys, self._results, self._fills = Keys("idempotency"), Results("Idempotency"), Fills()
        self._buses = Buses("Idempotency")

    def bind(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus of one name."""
        self._buses.add(bus)

    def check(self, bus: Any) -> None:
        """Raise `InvalidOption` for an intent whose result cannot be kept."""
        for kind in bus.types:
            if not issubclass(kind, Event):
                self._results.check(kind, "add Idempotency to another bus")

    async def __call__(self, envelope: Envelope[Any], call_next: Next, /) -> None:
        """Answer from the store, or go on and keep the results."""
        chosen = self._key(envelope)
        if inspect.isawaitable(chosen):
            chosen = await chosen
        if chosen is None:
            return await call_next(envelope)
        key = self._keys.chosen(envelope, chosen, self._shared)
        name = f"the idempotency of {type(envelope.message).__qualname__} in {envelope.bus.name}"
        async with hold(self._fills.of(key, name)):
            if not self._answer(envelope, await self._store.get(key)):
                before = Before(envelope)
                await call_next(envelope)
                if envelope._ran and not before.failed:
                    await self._keep_if_committed(partial(self._keep, envelope, key, before.results))
        return None

    async def _keep_if_committed(self, keep: Callable[[], Awaitable[None]]) -> None:
        transaction = usable_transaction()
        if transaction is None:
            await keep()
        else:  # else a commit that fails would leave a result of what was not done
            transaction.on_commit(keep)

    def _answer(self, envelope: Envelope[Any], data: bytes | None) -> bool:
        if data is None:
            return False
        entry = self._results.decoded(type(envelope.message), data)
        now = envelope.bus.clock()
        at, results = (now, []) if entry is None else (entry[0], entry[3])
        stand_in(envelope, "idempotency", results, max(now - at, 0.0), False, now)
        return True

    async def _keep(self, envelope: Envelope[Any], key: str, results: list[Any]) -> None:
        """Keep the results, even if the dispatch is cancelled: what they are of has been done."""
        kind, bus = type(envelope.message), envelope.bus
        entry = (bus.clock(), self._ttl, 0.0, [] if issubclass(kind, Event) else results)
        data = self._results.encoded(kind, entry, bus.name)
        with anyio.move_on_after(PATIENCE, shield=True) as scope:
            await self._store.set(key, data or b"", self._ttl)
        if scope.cancelled_caught:
            logging.getLogger(f"modd.{bus.name}").error("the result of %s could not be kept in time", kind.__qualname__)
