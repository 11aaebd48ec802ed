"""Cacher answers queries with the results of earlier ones (MI-20 to MI-30)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypedDict

from modd.checks import checked_delay, checked_flag
from modd.core import Message, hold
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import WrongBus
from modd.cqrs.intents import Query
from modd.cqrs.stamps import Cacheable, Handled, Redispatched, Revalidating
from modd.errors import InvalidOption
from modd.middleware.bus_keys import Buses
from modd.middleware.caching.entries import Results
from modd.middleware.caching.keys import Keys
from modd.middleware.caching.replay import Before, checked_store, stand_in
from modd.middleware.caching.revalidation import OnError, Renewals
from modd.middleware.caching.single_flight import Fills
from modd.middleware.options import Options
from modd.ports.cache import Cache

CacheMode = Literal["all", "only-cacheable"]


class CacherOptions(TypedDict, total=False):
    """What may differ for a type of query; see `Cacher`."""

    cache: CacheMode
    ttl: float
    stale_ttl: float
    short_circuit: bool
    shared: bool


class Cacher:
    """Keeps the results of queries and answers with them: ``QueryBus([...], middleware=[Cacher(ttl=60)])``.

    Further in than an `Authorizer`, and outside of whatever a hit is to save. Open the bus around its use unless
    ``stale_ttl=0``: what is stale is served once more and renewed in the background.

    store: a `modd.ports.Cache`; by default a `MemoryCache` of 10,000 results. Its errors are raised.
    cache: ``"only-cacheable"`` keeps only results whose envelope has a `Cacheable` stamp, whose times win in any case.
    ttl: for how many seconds a result is fresh; 0 keeps nothing. stale_ttl: for how many more it may be served stale;
    0 for none. short_circuit: False lets the middleware further in run at a hit, too. shared: True gives all actors and
    tenants the same results; only for what everybody may see. on_revalidation_error: called with what a revalidation
    raised, sync or async; by default that is logged. intents: by type of query, which of these options differ.

    A hit adds `FromCache` and `Handled`, and each hit gives a value of its own. Those who ask for the same at the same
    time wait for the first; if it fails, the next one tries. What handlers did not give themselves (a fallback, a mock)
    is not kept, nor what failed by a `Failed` stamp, nor a result that would not come back from the store as it was.
    Raises `InvalidOption`; `WrongBus` when added to a bus of another kind; while dispatching, `Deadlock` for a query
    whose handler asks the same query, and `InvalidIntent` for a content of which no key can be made.
    """

    role: ClassVar[str] = "cacher"

    def __init__(
        self,
        store: Cache | None = None,
        *,
        cache: CacheMode = "all",
        ttl: float = 3600,
        stale_ttl: float = 60,
        short_circuit: bool = True,
        shared: bool = False,
        on_revalidation_error: OnError | None = None,
        intents: Mapping[type[Message], CacherOptions] | None = None,
    ) -> None:
        self._store = checked_store(store)
        given: CacherOptions = {
            "cache": cache,
            "ttl": ttl,
            "stale_ttl": stale_ttl,
            "short_circuit": short_circuit,
            "shared": shared,
        }
        self._options: Options[Any] = Options("Cacher", CacherOptions, given, intents, _check)
        self._keys, self._results, self._fills = Keys("cacher"), Results("Cacher"), Fills()
        self._stamped: set[type] = set()
        """Types with a ``ttl`` of 0 that had a `Cacheable` stamp, so that there may be something of them."""
        self._renewals, self._buses = Renewals(on_revalidation_error), Buses("Cacher")

    @property
    def background_work(self) -> str:
        """What the bus has to be open for; empty if nothing is ever served stale."""
        kinds: tuple[type[Message], ...] = (Message, *self._options.types)
        every = [self._options.of(kind) for kind in kinds]
        return "revalidation by Cacher" if any(each["stale_ttl"] and each["ttl"] for each in every) else ""

    def bind(self, bus: Any) -> None:
        """Raise `WrongBus` unless the bus is for queries (MI-14), `InvalidOption` for a second bus of its name."""
        if not issubclass(bus.kind, Query):
            raise WrongBus("Cacher", bus.name, "only queries may be answered without being handled; use a QueryBus")
        self._buses.add(bus)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that is not handled, `InvalidOption` for results not to be kept."""
        self._options.check_types(bus)
        for kind in bus.types:
            options = self._options.of(kind)
            if options["ttl"] and options["cache"] == "all":
                self._results.check(kind, f"leave it out: intents={{{kind.__qualname__}: {{'ttl': 0}}}}")

    async def __call__(self, envelope: Envelope[Any], call_next: Next, /) -> None:
        """Answer from the store, or go on and keep the result."""
        options = self._options.of(type(envelope.message))
        if envelope.noted and not envelope.ran and envelope.has(Handled):
            return await call_next(envelope)  # somebody further out stands in for the handler
        key = self._keys.of(envelope, options["shared"])
        anew = envelope.noted and (envelope.has(Redispatched) or envelope.has(Revalidating))
        if anew or not (options["ttl"] or type(envelope.message) in self._stamped):  # nothing to look for
            await self._run(envelope, call_next, key)
            return None
        data = await self._store.get(key)
        hit = data is not None and self._serve(envelope, key, data)
        if (hit or await self._fill(envelope, call_next, key)) and not options["short_circuit"]:
            await call_next(envelope)
        return None

    def _serve(self, envelope: Envelope[Any], key: str, data: bytes) -> bool:
        """Answer with an entry, if it is one that still may be served."""
        entry = self._results.decoded(type(envelope.message), data)
        if entry is None:
            return False
        at, ttl, stale_ttl, results = entry
        now = envelope.bus.clock()
        age = now - at if now > at else 0.0
        stale = age > ttl
        if stale and (age > ttl + stale_ttl or not self._renewals.renew(envelope, key)):
            return False
        stand_in(envelope, "cacher", results, age, stale, now)
        return True

    async def _fill(self, envelope: Envelope[Any], call_next: Next, key: str) -> bool:
        """Go on, one at a time for each key; True when another has done it meanwhile and this is a hit (MI-29)."""
        kind = type(envelope.message)
        if not self._options.of(kind)["ttl"]:
            await self._run(envelope, call_next, key)
            return False
        fill = self._fills.of(key, f"the cache of {kind.__qualname__} in {envelope.bus.name}")
        async with hold(fill):
            if not fill.unkept:
                data = await self._store.get(key)
                hit = data is not None and self._serve(envelope, key, data)
                fill.unkept = not hit and not await self._run(envelope, call_next, key)
                return hit
        fill.unkept = not await self._run(envelope, call_next, key)
        return False

    async def _run(self, envelope: Envelope[Any], call_next: Next, key: str) -> bool:
        """Go on and keep the result; False when it went well and nothing was kept all the same."""
        before = Before(envelope)
        await call_next(envelope)
        return before.failed or await self._keep(envelope, key, before)

    async def _keep(self, envelope: Envelope[Any], key: str, before: Before) -> bool:
        kind, bus = type(envelope.message), envelope.bus
        options = self._options.of(kind)
        ttl, stale_ttl = _times(options, envelope.last(Cacheable) if envelope.noted else None)
        if not (envelope.ran and ttl > 0):
            return False
        data = self._results.encoded(kind, (bus.clock(), ttl, stale_ttl, before.results), bus.name)
        if data is None:
            return False
        if not options["ttl"]:
            self._stamped.add(kind)
        await self._store.set(key, data, ttl + stale_ttl)
        return True


def _times(options: Mapping[str, Any], given: Cacheable | None) -> tuple[float, float]:
    """For how long to keep a result, fresh and then stale: what its `Cacheable` stamp says, or else the options."""
    if given is None:
        return (options["ttl"] if options["cache"] == "all" else 0.0), options["stale_ttl"]
    ttl = options["ttl"] if given.ttl is None else given.ttl
    return ttl, options["stale_ttl"] if given.stale_ttl is None else max(given.stale_ttl, 0.0)


def _check(options: Mapping[str, Any]) -> None:
    if options["cache"] not in ("all", "only-cacheable"):
        raise InvalidOption("cache", options["cache"], 'give "all" or "only-cacheable"')
    checked_delay("ttl", options["ttl"])
    checked_delay("stale_ttl", options["stale_ttl"])
    checked_flag("short_circuit", options["short_circuit"])
    checked_flag("shared", options["shared"])
