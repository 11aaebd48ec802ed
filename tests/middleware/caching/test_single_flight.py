"""Of concurrent queries for one result, one is handled."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus
from modd.cqrs import Actor, Dispatched, QueryBus
from modd.errors import Deadlock
from modd.middleware.caching.cacher import Cacher
from tests.middleware.caching.cached import Handler, Name, Other, Passed, Uneasy, fresh
from tests.middleware.stored import PlainStore, SlowStore

pytestmark = pytest.mark.anyio


class Crowd:
    """Several who ask the same at once."""

    def __init__(self, bus: QueryBus) -> None:
        self.bus = bus
        self.done: list[Dispatched[str]] = []
        self.errors: list[Exception] = []

    async def one(self) -> None:
        try:
            self.done.append(await self.bus.dispatch(Name()))
        except LookupError as error:
            self.errors.append(error)

    async def ask(self, count: int = 4) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(self.one)


@pytest.mark.parametrize("short_circuit", [True, False])
async def test_of_those_who_ask_at_once_one_is_handled_and_the_others_get_a_hit(short_circuit: bool) -> None:
    # MI-29
    handler, passed = Handler(lambda _: anyio.wait_all_tasks_blocked()), Passed()
    async with QueryBus([handler], middleware=[Cacher(short_circuit=short_circuit), passed]) as bus:
        crowd = Crowd(bus)
        await crowd.ask()
    assert [each.result for each in crowd.done] == ["name 1"] * 4
    assert [fresh(each) for each in crowd.done] == [True, False, False, False]
    assert (handler.calls, passed.count) == (1, 1 if short_circuit else 4)


@pytest.mark.parametrize("stamp", [False, True])
async def test_when_the_one_fails_the_next_tries_one_at_a_time(stamp: bool) -> None:
    # MI-29, MI-30
    handler = Uneasy(2, stamp)
    async with QueryBus([handler], middleware=[Cacher()]) as bus:
        crowd = Crowd(bus)
        await crowd.ask(5)
    assert (handler.calls, handler.most) == (3, 1)
    assert len(crowd.errors) == (0 if stamp else 2)
    assert sum(fresh(each) for each in crowd.done) == (3 if stamp else 1)


async def test_when_the_one_is_cancelled_the_next_tries() -> None:
    # MI-29
    handler = Handler(lambda _: anyio.sleep_forever())
    async with QueryBus([handler], middleware=[Cacher()]) as bus:
        crowd = Crowd(bus)
        async with anyio.create_task_group() as others, anyio.create_task_group() as leader:
            leader.start_soon(crowd.one)
            await anyio.wait_all_tasks_blocked()
            others.start_soon(crowd.ask, 3)
            await anyio.wait_all_tasks_blocked()
            handler.before = None
            leader.cancel_scope.cancel()
    assert [each.result for each in crowd.done] == ["name 2"] * 3
    assert handler.calls == 2


async def test_one_who_waits_and_is_cancelled_is_missed_by_nobody() -> None:
    # MI-29
    go = anyio.Event()
    handler = Handler(lambda _: go.wait())
    async with QueryBus([handler], middleware=[Cacher()]) as bus:
        crowd = Crowd(bus)
        async with anyio.create_task_group() as all_of_them:
            all_of_them.start_soon(crowd.one)
            await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(crowd.one)
                await anyio.wait_all_tasks_blocked()
                all_of_them.start_soon(crowd.one)
                await anyio.wait_all_tasks_blocked()
                waiting.cancel_scope.cancel()
            go.set()
    assert [fresh(each) for each in crowd.done] == [True, False]
    assert handler.calls == 1


@pytest.mark.parametrize("at", ["first look", "second look", "handler", "storing"])
async def test_wherever_a_fill_is_cancelled_the_next_one_goes_well(at: str) -> None:
    # MI-29
    handler, store = Handler(), PlainStore()
    async with QueryBus([handler], middleware=[Cacher(store)]) as bus:
        with anyio.CancelScope() as scope:
            if at == "first look":
                scope.cancel()
            elif at == "second look":
                store.get = cancelling(scope, store.get, 2)  # type: ignore[method-assign]
            elif at == "storing":
                store.set = cancelling(scope, store.set, 1)  # type: ignore[method-assign]
            else:
                handler.before = lambda _: scope.cancel()
            await bus.ask(Name())
            await checkpoint()
        assert scope.cancelled_caught
        handler.before = None
        with anyio.fail_after(60):
            assert await bus.ask(Name()) == f"name {handler.calls}"
            calls = handler.calls
            await bus.ask(Name())
    assert handler.calls == calls


def cancelling(scope: anyio.CancelScope, method: Any, time: int) -> Any:
    times = [0]

    async def call(*args: Any) -> Any:
        times[0] += 1
        if times[0] == time:
            scope.cancel()
        return await method(*args)

    return call


async def test_what_is_not_kept_is_not_waited_for_by_more_than_the_first_time() -> None:
    # MI-29, MI-26
    handler = Uneasy(0)
    async with QueryBus([handler], middleware=[Cacher(cache="only-cacheable")]) as bus:
        crowd = Crowd(bus)
        await crowd.ask(4)
    assert (handler.calls, handler.most) == (4, 3)


async def test_a_query_that_asks_itself_is_a_deadlock() -> None:
    # MI-29
    async def ask(query: Name) -> str:
        return await bus.ask(query)

    async with QueryBus([ask], middleware=[Cacher()], name="names") as bus:
        with pytest.raises(Deadlock, match="the cache of Name in names"):
            await bus.ask(Name())


async def test_queries_that_ask_each_other_are_a_deadlock() -> None:
    # MI-29
    both = anyio.Event()
    started: list[type] = []

    async def meet(kind: type) -> None:
        started.append(kind)
        if len(started) == 2:
            both.set()
        await both.wait()

    async def name(query: Name) -> str:
        await meet(Name)
        return await bus.ask(Other())

    async def other(query: Other) -> str:
        await meet(Other)
        return await bus.ask(Name())

    errors: list[Exception] = []

    async def ask(query: Name | Other) -> None:
        try:
            await bus.ask(query)
        except Deadlock as error:
            errors.append(error)

    async with QueryBus([name, other], middleware=[Cacher()]) as bus:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, Name())
                tasks.start_soon(ask, Other())
    assert errors


async def test_two_users_who_ask_at_once_are_handled_side_by_side() -> None:
    # MI-29
    handler = Uneasy(0)
    async with QueryBus([handler], middleware=[Cacher()]) as bus, anyio.create_task_group() as tasks:
        for name in ("ada", "bob"):
            tasks.start_soon(bus.dispatch, Name(), Actor(id=name))
    assert (handler.calls, handler.most) == (2, 2)


async def test_it_works_inside_a_bus_too() -> None:
    # MI-29: the fill is a wait that the search for deadlocks knows
    handler = Handler()
    async with Bus([QueryBus([handler], middleware=[Cacher(stale_ttl=0)])]) as bus:
        assert [await bus.ask(Name()), await bus.ask(Name())] == ["name 1", "name 1"]


async def test_a_store_that_is_slow_lets_others_wait_for_what_it_keeps() -> None:
    # MI-29
    handler, store = Handler(), SlowStore()
    async with QueryBus([handler], middleware=[Cacher(store)]) as bus, anyio.create_task_group() as tasks:
        tasks.start_soon(bus.ask, Name())
        await store.asked.wait()
        tasks.start_soon(bus.ask, Name())
        await anyio.wait_all_tasks_blocked()
        store.go.set()
    assert handler.calls == 1
