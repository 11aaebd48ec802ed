"""Cacher answers queries with the stored results of earlier queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypedDict

from modd.checks import checked_delay, checked_flag
from modd.core import Message, hold
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import WrongBus
from modd.cqrs.intents import Query
from modd.cqrs.stamps import Cacheable, Failed, Handled, Redispatched, Revalidating
from modd.errors import InvalidOption
from modd.middleware.bus_keys import MiddlewareWithKeys
from modd.middleware.caching.keys import CacheKeys
from modd.middleware.caching.replay import Checkpoint, checked_store, replay
from modd.middleware.caching.result_codec import ResultCodec
from modd.middleware.caching.revalidation import OnError, Revalidator
from modd.middleware.caching.single_flight import Flight, SingleFlight
from modd.ports.cache import Cache

CacheMode = Literal["all", "only-cacheable"]


class CacherOptions(TypedDict, total=False):
    """The options of `Cacher` that may differ by type of query; omitted options are as in the `Cacher`.

    cache: ``"all"``, or ``"only-cacheable"`` to store only results whose envelope has a `Cacheable` stamp.
    ttl: seconds for which a result is fresh; 0 stores nothing.
    stale_ttl: seconds for which a result may be served stale after that; 0 for none.
    short_circuit: False to run the middleware further in at a hit, too.
    shared: True to give all actors and tenants the same results; only for results that everyone may see.
    share_failures: False to run the queries that waited for a failed one, one after another.
    """

    cache: CacheMode
    ttl: float
    stale_ttl: float
    short_circuit: bool
    shared: bool
    share_failures: bool


class Cacher(MiddlewareWithKeys):
    """Stores the results of queries and answers with them: ``QueryBus([...], middleware=[Cacher(ttl=60)])``.

    Use it for queries whose results may be somewhat old. Add it inside an `Authorizer`, and outside of all work that a
    hit should save. Open the bus around its use unless ``stale_ttl=0``, because a stale result is served once more and
    revalidated in the background.

    A hit adds `FromCache` and `Handled`, and returns a new value each time. Concurrent queries for the same result wait
    for the first one; if that fails, they fail with the same error or `Failed` stamp, and later queries run. If it is
    cancelled, the next one runs. Not stored are failures, also by a `Failed` stamp, results that
    no handler returned (a fallback, a mock), and results that would come back from the store changed.

    store: a `modd.ports.Cache`; by default a `MemoryCache` of 10,000 results. Its errors are raised.
    cache: ``"all"`` (default), or ``"only-cacheable"`` to store only results whose envelope has a `Cacheable` stamp.
        The times of the stamp take precedence in both modes.
    ttl: seconds for which a result is fresh, 3600 by default; 0 stores nothing.
    stale_ttl: seconds for which a result may be served stale after that, 60 by default; 0 for none.
    short_circuit: True (default) to end the dispatch at a hit, False to run the middleware further in, too.
    shared: True to give all actors and tenants the same results; only for results that everyone may see. False by
        default.
    share_failures: True (default) to have queries that waited for a failed one fail like it, False to run them in turn.
    on_revalidation_error: a function of the error, sync or async; by default the error is logged.
    intents: by type of query, the `CacherOptions` that differ; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work, two buses of the same name have this instance, or a
            result type cannot be stored.
        WrongBus: the bus is not for queries.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        Deadlock: while dispatching, if the handler of a query asks the same query.
        InvalidIntent: while dispatching, for content that has no cache key.
    """

    role: ClassVar[str] = "cacher"
    """Its name in the rules of order: inside of `Authorizer`."""

    def __init__(
        self,
        store: Cache | None = None,
        *,
        cache: CacheMode = "all",
        ttl: float = 3600,
        stale_ttl: float = 60,
        short_circuit: bool = True,
        shared: bool = False,
        share_failures: bool = True,
        on_revalidation_error: OnError | None = None,
        intents: Mapping[type[Message], CacherOptions] | None = None,
    ) -> None:
        self._store = checked_store(store)
        options = CacherOptions(
            cache=cache,
            ttl=ttl,
            stale_ttl=stale_ttl,
            short_circuit=short_circuit,
            shared=shared,
            share_failures=share_failures,
        )
        super().__init__(CacherOptions, options, intents, _check)
        self._keys, self._codec, self._flights = CacheKeys("cacher"), ResultCodec("Cacher"), SingleFlight()
        self._revalidator = Revalidator(on_revalidation_error)
        self._stamped: set[type] = set()
        """Types with a ``ttl`` of 0 of which a result was stored, because of a `Cacheable` stamp."""

    @property
    def background_work(self) -> str:
        """The work that the bus must be open for; empty if no result is ever served stale."""
        stale = any(each["stale_ttl"] and each["ttl"] for each in self._options.sets)
        return "revalidation by Cacher" if stale else ""

    def bind(self, bus: Any) -> None:
        """Raise `WrongBus` unless the bus is for queries, and `InvalidOption` for a second bus of the same name."""
        if not issubclass(bus.kind, Query):
            raise WrongBus("Cacher", bus.name, "only queries may be answered without being handled; use a QueryBus")
        super().bind(bus)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that is not handled, `InvalidOption` for results not to be stored."""
        super().check(bus)
        for kind in bus.types:
            options = self._options.of(kind)
            if options["ttl"] and options["cache"] == "all":
                self._codec.check(kind, f"leave it out: intents={{{kind.__qualname__}: {{'ttl': 0}}}}")

    async def __call__(self, envelope: Envelope[Any], call_next: Next, /) -> None:
        """Answer from the store, or call the next link and store the result."""
        options = self._options.of(type(envelope.message))
        if envelope.noted and not envelope.ran and envelope.has(Handled):
            return await call_next(envelope)  # a middleware further out has answered in place of the handler
        key = self._keys.of_message(envelope, options["shared"])
        fresh_only = envelope.noted and (envelope.has(Redispatched) or envelope.has(Revalidating))
        if fresh_only or not (options["ttl"] or type(envelope.message) in self._stamped):
            await self._run(envelope, call_next, key)
            return None
        data = await self._store.get(key)
        hit = data is not None and self._answer(envelope, key, data)
        if (hit or await self._load(envelope, call_next, key)) and not options["short_circuit"]:
            await call_next(envelope)
        return None

    def _answer(self, envelope: Envelope[Any], key: str, data: bytes) -> bool:
        """Answer with stored results; False if they are too old or of another type."""
        stored = self._codec.decode(type(envelope.message), data)
        if stored is None:
            return False
        at, ttl, stale_ttl, results = stored
        now = envelope.bus.clock()
        age = now - at if now > at else 0.0
        stale = age > ttl
        if stale and (age > ttl + stale_ttl or not self._revalidator.start(envelope, key)):
            return False
        replay(envelope, "cacher", results, age, stale, now)
        return True

    async def _load(self, envelope: Envelope[Any], call_next: Next, key: str) -> bool:
        """Call the next link, one call at a time for each key; True if another call has stored the result meanwhile."""
        kind = type(envelope.message)
        options = self._options.of(kind)
        if not options["ttl"]:
            await self._run(envelope, call_next, key)
            return False
        flight = self._flights.join(key, f"the cache of {kind.__qualname__} in {envelope.bus.name}")
        failures = flight.failures
        async with hold(flight.gate):
            failure = flight.failure_since(failures) if options["share_failures"] else None
            if failure is not None:
                _fail_alike(envelope, failure)
                return False
            if flight.storable:
                data = await self._store.get(key)
                hit = data is not None and self._answer(envelope, key, data)
                flight.storable = hit or await self._run_first(envelope, call_next, key, flight)
                return hit
        flight.storable = await self._run(envelope, call_next, key)
        return False

    async def _run_first(self, envelope: Envelope[Any], call_next: Next, key: str, flight: Flight) -> bool:
        """Call the next link as `_run` does, and note its failure for the queries that wait."""
        failed = len(envelope.all(Failed))
        try:
            storable = await self._run(envelope, call_next, key)
        except Exception as error:
            flight.note_failure(error)
            raise
        if len(envelope.all(Failed)) > failed:
            flight.note_failure(envelope.last(Failed))
        return storable

    async def _run(self, envelope: Envelope[Any], call_next: Next, key: str) -> bool:
        """Call the next link and store the result; False if it succeeded and its result was not stored."""
        before = Checkpoint(envelope)
        await call_next(envelope)
        return before.failed or await self._store_results(envelope, key, before)

    async def _store_results(self, envelope: Envelope[Any], key: str, before: Checkpoint) -> bool:
        kind, bus = type(envelope.message), envelope.bus
        options = self._options.of(kind)
        ttl, stale_ttl = _times(options, envelope.last(Cacheable) if envelope.noted else None)
        if not (envelope.ran and ttl > 0):
            return False
        data = self._codec.encode(kind, (bus.clock(), ttl, stale_ttl, before.results), bus.name)
        if data is None:
            return False
        if not options["ttl"]:
            self._stamped.add(kind)
        await self._store.set(key, data, ttl + stale_ttl)
        return True


def _fail_alike(envelope: Envelope[Any], failure: Exception | Failed) -> None:
    """Fail as another query did."""
    if isinstance(failure, Failed):
        envelope.add(Failed(failure.error, at=envelope.bus.clock()))
    else:
        raise failure


def _times(options: Mapping[str, Any], stamp: Cacheable | None) -> tuple[float, float]:
    """Return the seconds for which a result is fresh, and then stale: by its `Cacheable` stamp, else by the options."""
    if stamp is None:
        return (options["ttl"] if options["cache"] == "all" else 0.0), options["stale_ttl"]
    ttl = options["ttl"] if stamp.ttl is None else stamp.ttl
    return ttl, options["stale_ttl"] if stamp.stale_ttl is None else max(stamp.stale_ttl, 0.0)


def _check(options: Mapping[str, Any]) -> None:
    if options["cache"] not in ("all", "only-cacheable"):
        raise InvalidOption("cache", options["cache"], 'give "all" or "only-cacheable"')
    checked_delay("ttl", options["ttl"])
    checked_delay("stale_ttl", options["stale_ttl"])
    checked_flag("short_circuit", options["short_circuit"])
    checked_flag("shared", options["shared"])
    checked_flag("share_failures", options["share_failures"])
