"""Cacher serves stale results and revalidates them in the background."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.cqrs import Actor, Cacheable, Envelope, FromCache, Next, NotOpen, QueryBus, Revalidating, Tenant
from modd.middleware.caching.cacher import Cacher
from tests.middleware.caching.cached import Handler, Name, Passed, fail
from tests.middleware.stored import Clock, PlainStore

pytestmark = pytest.mark.anyio


class Stale:
    """A bus with a stale entry."""

    def __init__(self, handler: Handler, **options: Any) -> None:
        self.clock, self.handler, self.seen = Clock(), handler, list[Envelope[Any]]()
        self.cacher = Cacher(ttl=10, **options)
        self.passed = Passed()
        self.bus = QueryBus([handler], middleware=[self.note, self.cacher, self.passed], clock=self.clock, name="q")

    async def note(self, envelope: Envelope[Any], call_next: Any) -> None:
        self.seen.append(envelope)
        await call_next(envelope)

    async def get(self, *stamps: Any) -> tuple[str, bool | None]:
        dispatched = await self.bus.dispatch(Name(), *stamps)
        stamp = dispatched.envelope.first(FromCache)
        return dispatched.result, None if stamp is None else stamp.stale

    async def age(self) -> None:
        await self.get()
        self.clock.now += 11


async def test_what_is_stale_is_served_and_renewed_in_the_background_once() -> None:
    # MI-27, MI-28
    stale = Stale(Handler())
    async with stale.bus:
        await stale.age()
        assert [await stale.get(), await stale.get()] == [("name 1", True)] * 2
        await anyio.wait_all_tasks_blocked()
        assert await stale.get() == ("name 2", False)
    renewing = [each for each in stale.seen if each.has(Revalidating)]
    assert len(renewing) == 1 and renewing[0].id == stale.seen[1].id


async def test_short_circuit_off_counts_for_what_is_stale_too() -> None:
    # MI-27
    stale = Stale(Handler(), short_circuit=False)
    async with stale.bus:
        await stale.age()
        assert await stale.get() == ("name 1", True)
        assert (stale.passed.count, stale.handler.calls) == (2, 1)
        await anyio.wait_all_tasks_blocked()
    assert (stale.passed.count, stale.handler.calls) == (3, 2)


async def test_a_renewal_has_the_actor_and_the_cacheable_stamp_of_the_query() -> None:
    # MI-27
    stale = Stale(Handler(), cache="only-cacheable")
    stamps = (Actor(id="ada"), Tenant(id="acme"), Cacheable(ttl=10))
    async with stale.bus:
        await stale.get(*stamps)
        stale.clock.now += 11
        assert await stale.get(*stamps) == ("name 1", True)
        await anyio.wait_all_tasks_blocked()
        assert await stale.get(*stamps) == ("name 2", False)


async def test_the_error_of_a_renewal_goes_to_the_log_and_the_next_one_is_tried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # MI-27
    stale = Stale(Handler())
    async with stale.bus:
        await stale.age()
        stale.handler.before = fail
        for _ in range(2):
            assert await stale.get() == ("name 1", True)
            await anyio.wait_all_tasks_blocked()
    assert [record.name for record in caplog.records] == ["modd.q"] * 2


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_error_of_a_renewal_goes_to_the_callback(
    asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # MI-27
    errors: list[Exception] = []

    async def note(error: Exception) -> None:
        await checkpoint()
        errors.append(error)

    stale = Stale(Handler(), on_revalidation_error=note if asynchronous else errors.append)
    async with stale.bus:
        await stale.age()
        stale.handler.before = fail
        await stale.get()
        await anyio.wait_all_tasks_blocked()
    assert [str(error) for error in errors] == ["gone"]
    assert not caplog.records


async def test_a_renewal_that_was_cancelled_is_tried_again_when_the_bus_is_open_again() -> None:
    # MI-27
    stale = Stale(Handler())
    for cut_short in (True, True, False):
        with anyio.CancelScope() as scope:
            async with stale.bus:
                if not stale.handler.calls:
                    await stale.age()
                stale.handler.before = (lambda _: anyio.sleep_forever()) if cut_short else None
                assert (await stale.get())[1]
                if not (cut_short and stale.handler.calls == 2):  # the second one is cancelled before it waits
                    await anyio.wait_all_tasks_blocked()
                if cut_short:
                    scope.cancel()
    assert not stale.handler.before
    async with stale.bus:
        assert (await stale.get())[1] is False


async def test_without_a_stale_ttl_the_bus_need_not_be_open() -> None:
    # MI-27
    clock, handler = Clock(), Handler()
    bus = QueryBus([handler], middleware=[Cacher(PlainStore(), ttl=10, stale_ttl=0)], clock=clock)
    await bus.ask(Name())
    clock.now += 10.5
    assert await bus.ask(Name()) == "name 2"


async def test_with_a_stale_ttl_the_bus_must_be_open() -> None:
    # MI-27
    for cacher in (Cacher(), Cacher(stale_ttl=0, intents={Name: {"stale_ttl": 5}})):
        with pytest.raises(NotOpen, match="revalidation by Cacher"):
            await QueryBus([Handler()], middleware=[cacher]).ask(Name())
    assert not Cacher(ttl=0).background_work


async def test_on_a_bus_that_is_not_open_what_a_stamp_lets_get_stale_is_handled_anew() -> None:
    # MI-27
    clock, handler = Clock(), Handler(lambda envelope: envelope.add(Cacheable(ttl=5, stale_ttl=5)))
    bus = QueryBus([handler], middleware=[Cacher(PlainStore(), stale_ttl=0)], clock=clock)
    await bus.ask(Name())
    clock.now += 6
    assert await bus.ask(Name()) == "name 2"


async def test_closing_waits_for_a_renewal() -> None:
    # MI-27
    stale = Stale(Handler())
    async with stale.bus:
        await stale.age()
        assert (await stale.get())[1]
    async with stale.bus:
        assert await stale.get() == ("name 2", False)


async def test_what_is_stale_is_renewed_though_a_middleware_adds_the_actor_at_every_pass() -> None:
    # MI-27
    async def as_ada(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.add(Actor("ada"))
        await call_next(envelope)

    clock = Clock()
    async with QueryBus([Handler()], middleware=[as_ada, Cacher(ttl=10, stale_ttl=10)], clock=clock) as bus:
        await bus.ask(Name())
        clock.now += 11
        assert await bus.ask(Name()) == "name 1"
        await anyio.wait_all_tasks_blocked()
        renewed = (await bus.dispatch(Name())).envelope.first(FromCache)
    assert renewed is not None and not renewed.stale
