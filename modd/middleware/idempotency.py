"""Idempotency handles a message once, however often it is dispatched."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import dropwhile
from typing import Any, ClassVar

import anyio

from modd.checks import checked_callable, checked_flag, checked_span
from modd.core import hold, log_error
from modd.cqrs.chain import Middleware, Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Event
from modd.middleware.bus_keys import Buses
from modd.middleware.caching.keys import CacheKeys
from modd.middleware.caching.replay import Checkpoint, checked_store, replay
from modd.middleware.caching.result_codec import ResultCodec
from modd.middleware.caching.single_flight import SingleFlight
from modd.middleware.commit import check_roles, joining_write, run_after_commit
from modd.ports.cache import Cache

STORE_TIMEOUT = 5.0
"""Seconds to wait for the store to take a result, because a cancelled dispatch waits for this too."""


def id_of(envelope: Envelope[Any]) -> str:
    """Return the default key of `Idempotency`: the id of the envelope."""
    return envelope.id


class Idempotency(Middleware):
    """Lets the first dispatch under a key through, and answers later ones with its results.

    Use it for clients that send a request again when in doubt, under an id that they choose:
    ``Envelope(Pay(...), id="payment-7")``. The content is not compared. Add it inside an `Authorizer`, and outside of
    `Retryer` and of a transaction, so that it sees their failures.

    An answer adds `FromCache` and `Handled`, and releases no events. A dispatch under the key of one that is running
    waits for it; if that fails, by an error or a `Failed` stamp, the next dispatch runs. This holds within a process:
    of two processes with one store both may begin, unless a `Lock` outside prevents it.

    The results of a handler that has succeeded are stored also if the dispatch is cancelled on the way back, or if a
    middleware fails there, such as a timeout around a slow webhook: the dispatch fails, and the next one is answered. A
    transaction inside that was not committed undoes the effects, so nothing is stored then. It is recognised if it is
    one of modd's stores, or a middleware with ``role = "transaction"``. If it is one of the store of the cache, such as
    `Transactional` and ``store.cache`` of one `SqliteStore`, the results are stored in it: after a crash, effects and
    results are both there, or neither.

    A dispatch that no handler handled, for example because it was queued, is not stored. For an event, and for a result
    that would come back from the store changed, only the key is stored: later dispatches have no result. In a
    transaction of another store the results are stored after the commit. Until the commit other dispatches run.

    key: a function of the envelope, sync or async, that returns the key as a text, or None to let the dispatch through
        unchecked; by default the id of the envelope.
    store: a `modd.ports.Cache`; by default a `MemoryCache` of 10,000 results. Its errors are raised.
    ttl: seconds for which results are stored, more than 0; 86400 (a day) by default.
    shared: True if a key means the same for all actors and tenants; by default False, and an actor counts by its id.

    Raises:
        InvalidOption: an option has a value that cannot work, or two buses of the same name have this instance.
        Deadlock: while dispatching, if a handler dispatches under its own key.
    """

    role: ClassVar[str] = "idempotency"
    """Its name in the rules of order: inside of `Authorizer`, outside of a transaction."""

    def __init__(
        self,
        *,
        key: Callable[[Envelope[Any]], str | Awaitable[str | None] | None] = id_of,
        store: Cache | None = None,
        ttl: float = 86400,
        shared: bool = False,
    ) -> None:
        checked_flag("shared", shared)
        self._key = checked_callable("key", key, "give a function of the envelope that returns a text, or None")
        self._store, self._ttl, self._shared = checked_store(store), checked_span("ttl", ttl), shared
        self._keys, self._codec, self._flights = CacheKeys("idempotency"), ResultCodec("Idempotency"), SingleFlight()
        self._buses = Buses("Idempotency")
        self._runs: dict[Envelope[Any], _Run] = {}

    def bind(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus that was given the same name."""
        self._buses.bind(bus)

    def check(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus of the same name, a result that cannot be stored, or a wrong order."""
        self._buses.check(bus)
        check_roles("Idempotency", dropwhile(lambda each: each is not self, bus.middleware))
        for kind in bus.types:
            if not issubclass(kind, Event):
                self._codec.check(kind, "add Idempotency to another bus")

    def arrange(self, links: Sequence[Any]) -> list[Any]:
        """Return the links of a chain with more that store in the transaction, and note that effects are final."""
        roles = [getattr(each, "role", "") for each in links]
        if "transaction" not in roles:
            return [*links, self._noting(self._store_inside)]
        position = roles.index("transaction")
        return [*links[:position], self._noting(links[position]), self._store_inside, *links[position + 1 :]]

    async def __call__(self, envelope: Envelope[Any], call_next: Next, /) -> None:
        """Answer from the store, or call the next link and store the results."""
        text = self._key(envelope)
        if inspect.isawaitable(text):
            text = await text
        if text is None:
            return await call_next(envelope)
        key = self._keys.of_text(envelope, text, self._shared)
        flight = self._flights.join(
            key, f"the idempotency of {type(envelope.message).__qualname__} in {envelope.bus.name}"
        )
        async with hold(flight.gate):
            if not self._answer(envelope, await self._store.get(key)):
                await self._run(envelope, call_next, key)
        return None

    async def _run(self, envelope: Envelope[Any], call_next: Next, key: str) -> None:
        """Call the next link, and store the results if the handlers have succeeded, whatever fails further out."""
        run = self._runs[envelope] = _Run(key, Checkpoint(envelope))
        try:
            await call_next(envelope)
        except (Exception, BaseExceptionGroup, anyio.get_cancelled_exc_class()):
            if run.final and not run.stored and run.has_results(envelope):
                await self._store_in_spite(envelope, run)
            raise
        finally:
            del self._runs[envelope]
        if not run.stored and run.has_results(envelope):
            await run_after_commit(partial(self._store_results, envelope, run))

    def _noting(self, link: Any) -> Next | Any:
        """Return a link that calls another one and notes whether the effects of the handlers are final."""

        async def note_final(envelope: Envelope[Any], call_next: Next) -> None:
            run = self._runs.get(envelope)
            if run is None:  # dispatched without a key
                return await link(envelope, call_next)  # type: ignore[no-any-return]
            run.final = run.stored = False  # it may be a further attempt
            await link(envelope, call_next)
            await run_after_commit(run.set_final)
            return None

        return note_final

    async def _store_inside(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link, and store the results in the open transaction, if the cache can join that."""
        await call_next(envelope)
        run, write = self._runs.get(envelope), joining_write(self._store)
        if run is not None and write is not None and run.has_results(envelope):
            await write(run.key, self._encode(envelope, run), self._ttl)
            run.stored = True

    def _answer(self, envelope: Envelope[Any], data: bytes | None) -> bool:
        """Answer with stored results; False if there are none."""
        if data is None:
            return False
        stored = self._codec.decode(type(envelope.message), data)
        now = envelope.bus.clock()
        at, results = (now, []) if stored is None else (stored[0], stored[3])
        replay(envelope, "idempotency", results, max(now - at, 0.0), False, now)
        return True

    async def _store_in_spite(self, envelope: Envelope[Any], run: _Run) -> None:
        """Store the results of a dispatch that fails; an error of the store is logged, because that is raised."""
        try:
            await self._store_results(envelope, run)
        except Exception as error:
            message, log = envelope.message, logging.getLogger(f"modd.{envelope.bus.name}")
            shown = (message, run.before.results)
            name = type(message).__qualname__
            log_error(log, "the result of %s was not stored", name, error=error, message=shown)

    async def _store_results(self, envelope: Envelope[Any], run: _Run) -> None:
        """Store the results, also if the dispatch is cancelled meanwhile, because the handler has run."""
        data = self._encode(envelope, run)
        with anyio.move_on_after(STORE_TIMEOUT, shield=True) as scope:
            await self._store.set(run.key, data, self._ttl)
        if scope.cancelled_caught:
            logging.getLogger(f"modd.{envelope.bus.name}").error(
                "the result of %s was not stored within %g s", type(envelope.message).__qualname__, STORE_TIMEOUT
            )

    def _encode(self, envelope: Envelope[Any], run: _Run) -> bytes:
        kind, bus = type(envelope.message), envelope.bus
        results = [] if issubclass(kind, Event) else run.before.results
        return self._codec.encode(kind, (bus.clock(), self._ttl, 0.0, results), bus.name) or b""


class _Run:
    """A dispatch that runs: its key, and its envelope before the links further in ran."""

    def __init__(self, key: str, before: Checkpoint) -> None:
        self.key, self.before = key, before
        self.final = False
        """True if the effects of the handlers cannot be undone any more."""
        self.stored = False
        """True if the results are stored in the transaction of the effects."""

    def has_results(self, envelope: Envelope[Any]) -> bool:
        """Return True if handlers have run and not failed."""
        return envelope.ran and not self.before.failed

    async def set_final(self) -> None:
        """Note that the effects of the handlers cannot be undone any more."""
        self.final = True
