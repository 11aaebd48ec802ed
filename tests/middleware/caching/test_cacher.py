"""Cacher answers queries with the results of earlier queries."""

from __future__ import annotations

import logging
from math import inf, nan
from typing import Any

import anyio
import msgspec
import pytest

from modd.cqrs import (
    Actor,
    Cacheable,
    CommandBus,
    Envelope,
    EventBus,
    Failed,
    FromCache,
    Handled,
    Middleware,
    NoHandler,
    Query,
    QueryBus,
    Tenant,
    UnsafeOrder,
    WrongBus,
)
from modd.errors import InvalidOption
from modd.middleware.caching.cacher import Cacher
from modd.middleware.idempotency import Idempotency
from modd.stores import MemoryCache
from tests.middleware.caching.cached import Handler, Name, Other, Passed, Uneasy, fresh
from tests.middleware.stored import Clock, PlainStore

pytestmark = pytest.mark.anyio


class Nothing(Query[None]):
    pass


class Untyped(Query[Any]):
    pass


class Half(Query[float]):
    of: float


class User(msgspec.Struct):
    name: str
    tags: list[str] = []
    notes: dict[str, int] = {}
    size: tuple[int, ...] = ()


class FindUser(Query[User]):
    pass


class Odd:
    pass


class FindOdd(Query[Odd]):
    pass


class FindEither(Query[bytes | str]):
    pass


async def test_by_default_everything_is_kept_for_an_hour_and_a_minute() -> None:
    # MI-20, MI-21
    handler, store = Handler(), PlainStore()
    async with QueryBus([handler], middleware=[Cacher(store)], clock=Clock(5.0)) as bus:
        assert (await bus.dispatch(Name())).result == "name 1"
    [(data, ttl)] = store.kept.values()
    assert ttl == 3660
    assert msgspec.msgpack.decode(data) == [5.0, 3600.0, 60.0, ["name 1"]]


async def test_a_cache_in_memory_is_the_default() -> None:
    # MI-20, MI-22
    handler = Handler()
    async with QueryBus([handler], middleware=[Cacher()]) as bus:
        assert [await bus.ask(Name(n)) for n in (1, 2, 1)] == ["name 1", "name 2", "name 1"]


async def test_a_hit_is_stamped_and_nothing_further_in_runs() -> None:
    # MI-23
    handler, passed, clock = Handler(), Passed(), Clock()
    async with QueryBus([handler], middleware=[Cacher(), passed], clock=clock) as bus:
        await bus.dispatch(Name())
        clock.now += 7
        hit = await bus.dispatch(Name())
        clock.now -= 100  # somebody has set the clock
        early = await bus.dispatch(Name())
    assert (passed.count, hit.result, hit.results) == (1, "name 1", ("name 1",))
    assert hit.envelope.first(FromCache) == FromCache(7.0, False, at=1007.0)
    assert hit.envelope.first(Handled) == Handled("name 1", "cacher", at=1007.0)
    assert early.envelope.first(FromCache) == FromCache(0.0, False, at=907.0)


async def test_with_short_circuit_off_what_is_further_in_runs_and_the_entry_ages() -> None:
    # MI-24
    handler, passed, clock = Handler(), Passed(), Clock()
    async with QueryBus([handler], middleware=[Cacher(short_circuit=False), passed], clock=clock) as bus:
        ages = []
        for _ in range(3):
            stamp = (await bus.dispatch(Name())).envelope.first(FromCache)
            ages.append(stamp and stamp.age)
            clock.now += 10
    assert (handler.calls, passed.count, ages) == (1, 3, [None, 10.0, 20.0])


@pytest.mark.parametrize(("age", "stale"), [(100.0, False), (100.5, True), (130.0, True), (130.5, None)])
async def test_stale_is_older_than_the_ttl_and_gone_is_older_than_both(age: float, stale: bool | None) -> None:
    # MI-25
    clock, handler = Clock(), Handler()
    async with QueryBus([handler], middleware=[Cacher(PlainStore(), ttl=100, stale_ttl=30)], clock=clock) as bus:
        await bus.dispatch(Name())
        clock.now += age
        stamp = (await bus.dispatch(Name())).envelope.first(FromCache)
    assert (stamp and stamp.stale) == stale


async def test_the_values_of_a_cacheable_stamp_win() -> None:
    # MI-25
    clock, store = Clock(), PlainStore()
    handler = Handler(lambda envelope: envelope.add(Cacheable(ttl=5, stale_ttl=2)))
    async with QueryBus([handler], middleware=[Cacher(store, ttl=100)], clock=clock) as bus:
        await bus.dispatch(Name())
        assert [ttl for _, ttl in store.kept.values()] == [7]
        clock.now += 6
        stale = (await bus.dispatch(Name())).envelope.first(FromCache)
    assert stale is not None and stale.stale


@pytest.mark.parametrize(
    ("stamp", "kept"),
    [
        (Cacheable(), 3660.0),
        (Cacheable(ttl=1), 61.0),
        (Cacheable(stale_ttl=1), 3601.0),
        (Cacheable(ttl=0), None),
    ],
)
@pytest.mark.parametrize("cache", ["all", "only-cacheable"])
async def test_what_a_cacheable_stamp_leaves_out_is_as_in_the_options(
    stamp: Cacheable, kept: float | None, cache: Any
) -> None:
    # MI-25, MI-26
    store = PlainStore()
    async with QueryBus([Handler()], middleware=[Cacher(store, cache=cache)]) as bus:
        await bus.dispatch(Name(), stamp)
    assert [ttl for _, ttl in store.kept.values()] == ([] if kept is None else [kept])


async def test_a_ttl_of_0_keeps_nothing_and_lets_all_run_side_by_side() -> None:
    # MI-25, MI-13
    store, running, together = PlainStore(), [0], []

    async def wait(_: Any) -> None:
        running[0] += 1
        await anyio.wait_all_tasks_blocked()
        together.append(running[0])

    cacher = Cacher(store, intents={Name: {"ttl": 0}})
    async with QueryBus([Handler(lambda _: wait(_))], middleware=[cacher]) as bus, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(bus.ask, Name())
    assert (store.kept, together) == ({}, [3, 3, 3])


async def test_a_stamp_keeps_results_of_a_type_with_a_ttl_of_0_all_the_same() -> None:
    # MI-26, MI-13
    store, handler = PlainStore(), Handler()
    async with QueryBus([handler], middleware=[Cacher(store, intents={Name: {"ttl": 0}})]) as bus:
        assert [await bus.ask(Name()), await bus.ask(Name())] == ["name 1", "name 2"]
        assert store.looks == 0
        handler.before = lambda envelope: envelope.add(Cacheable(ttl=5))
        assert [await bus.ask(Name()), await bus.ask(Name())] == ["name 3", "name 3"]
        assert [await bus.ask(Name(2)), await bus.ask(Name(2))] == ["name 4", "name 4"]


async def test_only_cacheable_keeps_what_has_the_stamp() -> None:
    # MI-26
    handler = Handler()
    async with QueryBus([handler], middleware=[Cacher(cache="only-cacheable")]) as bus:
        assert [await bus.ask(Name()), await bus.ask(Name())] == ["name 1", "name 2"]
        handler.before = lambda envelope: envelope.add(Cacheable())
        assert [await bus.ask(Name()), await bus.ask(Name())] == ["name 3", "name 3"]


async def test_an_envelope_that_is_dispatched_again_is_handled_and_kept() -> None:
    # MI-28
    async with QueryBus([Handler()], middleware=[Cacher()]) as bus:
        first = await bus.dispatch(Name())
        assert (await bus.dispatch(first.envelope)).result == "name 2"
        assert (await bus.dispatch(Name())).result == "name 2"


async def test_what_failed_by_a_stamp_is_not_kept() -> None:
    # MI-30
    async with QueryBus([Uneasy(1, stamp=True)], middleware=[Cacher()]) as bus:
        given = [await bus.ask(Name()) for _ in range(3)]
    assert given == ["name 1", "name 2", "name 2"]


async def test_a_failure_from_before_does_not_keep_a_result_from_being_kept() -> None:
    # MI-30
    async with QueryBus([Handler()], middleware=[Cacher()]) as bus:
        given = [(await bus.dispatch(Name(), Failed("earlier"))).result for _ in range(2)]
    assert given == ["name 1", "name 1"]


async def test_none_is_kept() -> None:
    # MI-30
    calls: list[int] = []

    async def nothing(query: Nothing) -> None:
        calls.append(1)

    async with QueryBus([nothing], middleware=[Cacher()]) as bus:
        await bus.ask(Nothing())
        hit = await bus.dispatch(Nothing())
    assert hit.results == (None,) and not fresh(hit) and len(calls) == 1


async def test_the_results_of_two_handlers_come_back_as_two() -> None:
    # MI-30
    def one(query: Name) -> str:
        return "one"

    def two(query: Name) -> str:
        return "two"

    async with QueryBus([one, two], middleware=[Cacher()], multiple=True) as bus:
        await bus.dispatch(Name())
        hit = await bus.dispatch(Name())
    assert (hit.results, fresh(hit)) == (("one", "two"), False)


async def test_a_hit_cannot_be_used_to_change_the_cache() -> None:
    def find(query: FindUser) -> User:
        return User("Ada", ["a"], {"b": 1}, (2,))

    async with QueryBus([find], middleware=[Cacher()]) as bus:
        for _ in range(3):
            user = await bus.ask(FindUser())
            assert user == User("Ada", ["a"], {"b": 1}, (2,))
            user.name = "Eve"
            user.tags.append("changed")


async def test_a_result_that_somebody_stood_in_with_is_not_kept() -> None:
    async def fallback(envelope: Envelope[Any], call_next: Any) -> None:
        envelope.add(Handled("fallback", "flag"))

    store = PlainStore()
    async with QueryBus([Handler()], middleware=[Cacher(store), fallback]) as bus:
        assert await bus.ask(Name()) == "fallback"
    async with QueryBus([Handler()], middleware=[Cacher(store)]) as bus:
        assert (await bus.dispatch(Name(), Handled("mock", "mocker"))).results == ("mock",)
    assert not store.kept


async def test_what_does_not_come_back_as_it_was_is_not_kept_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    given: list[Any] = [(1, 2), {"n": (1,)}, {1, 2}, b"x", Odd(), [Odd()], object]

    def untyped(query: Untyped) -> Any:
        return given[-1]

    store = PlainStore()
    async with QueryBus([untyped], middleware=[Cacher(store)], name="q") as bus:
        while given:
            assert await bus.ask(Untyped()) is given[-1]
            given.pop()
            if b"x" in given[-1:]:  # bytes come back as they were
                assert await bus.ask(Untyped()) == b"x"
                assert len(store.kept) == 1
                store.kept.clear()
                given.pop()
    assert not store.kept
    [record] = caplog.records
    assert (record.name, record.levelno) == ("modd.q", logging.WARNING)
    assert "does not store results of Untyped" in record.getMessage()


@pytest.mark.parametrize("value", [[1, "a", {"k": [None, True]}], {"a": {"b": 1.5}}, "text", 3])
async def test_values_without_a_type_are_kept_when_they_come_back_as_they_were(value: Any) -> None:
    store = PlainStore()

    async def untyped(query: Untyped) -> Any:
        return value

    async with QueryBus([untyped], middleware=[Cacher(store)]) as bus:
        assert await bus.ask(Untyped()) == await bus.ask(Untyped()) == value
    assert len(store.kept) == 1


@pytest.mark.parametrize("value", [1, 0.5, nan])
async def test_numbers_are_kept(value: float) -> None:
    store = PlainStore()

    async def half(query: Half) -> float:
        return value

    async with QueryBus([half], middleware=[Cacher(store)]) as bus:
        await bus.ask(Half(2.0))
    assert len(store.kept) == 1


async def test_an_entry_that_does_not_fit_its_type_any_more_is_no_hit() -> None:
    store, handler = PlainStore(), Handler()
    async with QueryBus([handler], middleware=[Cacher(store)]) as bus:
        await bus.ask(Name())
        [key] = store.kept
        for data in (b"", b"junk", msgspec.msgpack.encode([1.0, 1.0, 1.0, [5]])):
            store.kept[key] = (data, 60)
            assert fresh(await bus.dispatch(Name()))


@pytest.mark.parametrize("kind", [FindOdd, FindEither])
async def test_a_result_type_that_cannot_be_decoded_is_told_when_the_bus_is_checked(kind: Any) -> None:
    given: Any = Odd() if kind is FindOdd else b"text"
    bus = QueryBus({kind: lambda query: given}, middleware=[Cacher(stale_ttl=0)])
    with pytest.raises(InvalidOption, match=r"the result type of Find.*intents=\{Find\w+: \{'ttl': 0\}\}"):
        bus.check()
    bus = QueryBus({kind: lambda query: given}, middleware=[Cacher(stale_ttl=0, intents={kind: {"ttl": 0}})])
    assert await bus.ask(kind()) is given
    store = PlainStore()
    bus = QueryBus({kind: lambda query: given}, middleware=[Cacher(store, stale_ttl=0, cache="only-cacheable")])
    await bus.dispatch(kind(), Cacheable())
    assert not store.kept


async def test_two_users_never_see_each_others_results() -> None:
    people = [Actor(id="ada"), Actor(id="bob"), Actor(id="ada", roles=("admin",)), Tenant(id="ada")]
    async with QueryBus([Handler()], middleware=[Cacher()]) as bus:
        own = [(await bus.dispatch(Name(), who)).result for _ in range(2) for who in people]
    assert own == [f"name {n}" for n in (1, 2, 3, 4)] * 2


@pytest.mark.parametrize("options", [{"shared": True}, {"intents": {Name: {"shared": True}}}])
async def test_what_is_shared_is_kept_once(options: Any) -> None:
    # MI-13
    async with QueryBus([Handler()], middleware=[Cacher(**options)]) as bus:
        given = [(await bus.dispatch(Name(), Actor(id=name))).result for name in ("ada", "bob")]
    assert given == ["name 1", "name 1"]


async def test_two_buses_share_a_cacher_and_a_store_without_mixing_keys() -> None:
    # MI-60
    store = MemoryCache()
    one, two = Handler(), Handler(lambda _: None)
    two.calls = 10
    cacher = Cacher(store)
    for middleware in ([cacher, cacher], [Cacher(store), Cacher(store)]):
        async with (
            QueryBus([one], middleware=[middleware[0]], name="one") as first,
            QueryBus([two], middleware=[middleware[1]], name="two") as second,
        ):
            assert [await bus.ask(Name()) for bus in (first, second, first)] == ["name 1", "name 11", "name 1"]


@pytest.mark.parametrize("make", [CommandBus, EventBus])
async def test_other_buses_refuse_it(make: Any) -> None:
    # MI-14
    with pytest.raises(WrongBus, match="only queries may be answered without being handled"):
        make(middleware=[Cacher()])


@pytest.mark.parametrize(
    "options",
    [
        {"cache": "some"},
        {"ttl": -1},
        {"ttl": nan},
        {"ttl": inf},
        {"ttl": True},
        {"ttl": "1"},
        {"stale_ttl": -1},
        {"short_circuit": 1},
        {"shared": None},
        {"on_revalidation_error": "log"},
        {"store": "redis://"},
        {"store": MemoryCache},
        {"intents": {Name: {"ttl": -1}}},
        {"intents": {Name: {"tll": 1}}},
        {"intents": {"Name": {"ttl": 1}}},
    ],
)
async def test_wrong_options_fail_at_once(options: Any) -> None:
    # MI-13
    with pytest.raises(InvalidOption):
        Cacher(**options)


async def test_options_of_a_type_that_is_not_handled_are_told() -> None:
    # MI-13
    with pytest.raises(NoHandler):
        QueryBus([Handler()], middleware=[Cacher(intents={Other: {"ttl": 1}})]).check()


async def test_it_is_refused_outside_of_what_authorizes() -> None:
    class Guard:
        role = "authorizer"

        async def __call__(self, envelope: Envelope[Any], call_next: Any) -> None:
            await call_next(envelope)

    with pytest.raises(UnsafeOrder, match="Cacher is outside"):
        QueryBus([Handler()], middleware=[Cacher(), Guard()]).check()
    with pytest.raises(UnsafeOrder, match="Idempotency is outside"):
        QueryBus([Handler()], middleware=[Idempotency(), Guard()]).check()
    QueryBus([Handler()], middleware=[Guard(), Cacher(), Idempotency()]).check()


async def test_an_attempt_after_a_failed_one_is_kept() -> None:
    # MI-30
    async def twice(envelope: Envelope[Any], call_next: Any) -> None:
        stamps = envelope.stamps
        await call_next(envelope)
        if envelope.has(Failed):
            envelope.reset(stamps)
            await call_next(envelope)

    for inside in (True, False):
        middleware: list[Middleware] = [Cacher(), twice] if inside else [twice, Cacher()]
        async with QueryBus([Uneasy(1, stamp=True)], middleware=middleware) as bus:
            assert [await bus.ask(Name()) for _ in range(2)] == ["name 2", "name 2"]


async def test_a_second_pass_of_the_same_envelope_gets_a_hit() -> None:
    # MI-12
    async def twice(envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)
        await call_next(envelope)

    async with QueryBus([Handler()], middleware=[twice, Cacher()]) as bus:
        assert (await bus.dispatch(Name())).results == ("name 1", "name 1")
