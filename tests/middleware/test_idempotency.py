"""Idempotency handles a message once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf, nan
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.cqrs import (
    Actor,
    Command,
    CommandBus,
    Dispatched,
    Emit,
    Envelope,
    Event,
    EventBus,
    Failed,
    FromCache,
    Handled,
    Next,
    Query,
    QueryBus,
    Tenant,
)
from modd.errors import Deadlock, InvalidOption
from modd.middleware import Retryer
from modd.middleware.idempotency import STORE_TIMEOUT, Idempotency
from modd.stores import MemoryCache
from modd.testing import run_virtual
from tests.middleware.stored import Clock, PlainStore, SlowStore

pytestmark = pytest.mark.anyio


class Pay(Command[int]):
    amount: int = 1


class Paid(Event):
    amount: int


class Thanked(Event):
    pass


class Loose(Command[Any]):
    pass


class Odd:
    pass


class MakeOdd(Command[Odd]):
    pass


class Count(Query[int]):
    pass


class Till:
    """Handles payments, and does what it is told to before it has done so."""

    def __init__(self, before: Callable[[Envelope[Any]], Any] | None = None) -> None:
        self.paid = 0
        self.before = before

    async def __call__(self, envelope: Envelope[Pay], emit: Emit) -> int:
        await checkpoint()
        if self.before is not None:
            given = self.before(envelope)
            if given is not None:
                await given
        self.paid += 1
        emit(Paid(envelope.message.amount))
        return self.paid


def pay(id: str = "a", *stamps: Any) -> Envelope[Pay]:
    return Envelope(Pay(), *stamps, id=id)


async def test_what_is_dispatched_again_under_its_id_is_done_once() -> None:
    till, clock = Till(), Clock()
    bus = CommandBus([till], middleware=[Idempotency()], clock=clock)
    first = await bus.dispatch(pay())
    clock.now += 5
    again = await bus.dispatch(pay())
    other = await bus.dispatch(pay("b"))
    assert (first.result, again.result, other.result, till.paid) == (1, 1, 2, 2)
    assert (first.events, again.events) == ((Paid(1),), ())
    assert again.envelope.first(FromCache) == FromCache(5.0, False, at=1005.0)
    assert again.envelope.first(Handled) == Handled(1, "idempotency", at=1005.0)


async def test_dispatches_without_an_id_of_their_own_are_all_done() -> None:
    bus = CommandBus([Till()], middleware=[Idempotency()])
    assert [await bus.ask(Pay()), await bus.ask(Pay())] == [1, 2]


async def test_an_envelope_that_is_delivered_twice_is_done_once() -> None:
    till = Till()
    bus = CommandBus([till], middleware=[Idempotency()])
    envelope = (await bus.dispatch(Pay())).envelope
    assert (await bus.dispatch(envelope)).result == 1
    assert till.paid == 1


async def test_results_are_kept_for_the_ttl() -> None:
    store = PlainStore()
    for ttl in (86400.0, 5.0):
        bus = CommandBus([Till()], middleware=[Idempotency(store=store, ttl=ttl)])
        await bus.dispatch(pay(f"{ttl}"))
    assert [ttl for _, ttl in store.kept.values()] == [86400, 5]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_key_may_be_chosen(asynchronous: bool) -> None:
    def by_amount(envelope: Envelope[Any]) -> str | None:
        amount: int = envelope.message.amount
        return str(amount) if amount else None

    async def later(envelope: Envelope[Any]) -> str | None:
        await checkpoint()
        return by_amount(envelope)

    till = Till()
    bus = CommandBus([till], middleware=[Idempotency(key=later if asynchronous else by_amount)])
    assert [await bus.ask(Pay(n)) for n in (1, 2, 1, 0, 0)] == [1, 2, 1, 3, 4]


async def test_two_users_never_see_each_others_results_unless_shared() -> None:
    who: list[Any] = [Actor(id="ada"), Actor(id="bob"), Tenant(id="ada")]
    bus = CommandBus([Till()], middleware=[Idempotency()])
    assert [(await bus.dispatch(pay("a", each))).result for each in (*who, *who)] == [1, 2, 3, 1, 2, 3]
    bus = CommandBus([Till()], middleware=[Idempotency(shared=True)])
    assert [(await bus.dispatch(pay("a", each))).result for each in who] == [1, 1, 1]


async def test_two_buses_share_a_store_without_mixing_keys() -> None:
    # MI-60
    shared = Idempotency(store=MemoryCache())
    one = CommandBus([Till()], middleware=[shared], name="one")
    two = CommandBus([Till()], middleware=[shared], name="two")
    await one.dispatch(pay())
    await one.dispatch(pay("b"))
    assert (await two.dispatch(pay("b"))).result == 1
    assert (await one.dispatch(pay("b"))).result == 2


def fail(_: Any) -> None:
    raise LookupError("gone")


async def test_a_failure_is_not_kept() -> None:
    till = Till(fail)
    bus = CommandBus([till], middleware=[Idempotency()])
    with pytest.raises(LookupError):
        await bus.dispatch(pay())
    till.before = lambda envelope: envelope.add(Failed("not today"))
    await bus.dispatch(pay())
    till.before = None
    assert [(await bus.dispatch(pay())).result for _ in range(2)] == [2, 2]


async def test_who_comes_while_the_first_is_going_on_waits_for_it() -> None:
    till = Till(lambda _: anyio.wait_all_tasks_blocked())
    bus = CommandBus([till], middleware=[Idempotency()])
    done: list[Dispatched[int]] = []

    async def one() -> None:
        done.append(await bus.dispatch(pay()))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(one)
    assert (till.paid, [each.result for each in done]) == (1, [1] * 4)
    assert [bool(each.events) for each in done] == [True, False, False, False]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_when_the_first_does_not_succeed_the_next_is_let_through(cancelled: bool) -> None:
    go = anyio.Event()

    async def wait_and_fail(_: Any) -> None:
        await go.wait()
        raise LookupError("gone")

    till = Till(wait_and_fail)
    bus = CommandBus([till], middleware=[Idempotency()])
    results: list[int] = []

    async def one() -> None:
        try:
            results.append((await bus.dispatch(pay())).result)
        except LookupError:
            results.append(0)

    async with anyio.create_task_group() as others, anyio.create_task_group() as first:
        first.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        others.start_soon(one)
        others.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        till.before = None
        if cancelled:
            first.cancel_scope.cancel()
        go.set()
    assert results == ([] if cancelled else [0]) + [1, 1]


async def test_what_is_done_is_kept_though_it_is_cancelled_meanwhile() -> None:
    store, till = SlowStore(), Till()
    bus = CommandBus([till], middleware=[Idempotency(store=store)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.dispatch, pay())
        await store.asked.wait()
        tasks.cancel_scope.cancel()
        store.go.set()
    assert (await bus.dispatch(pay())).result == 1
    assert till.paid == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_store_that_hangs_is_not_waited_for_for_ever(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> float:
        bus = CommandBus([Till()], middleware=[Idempotency(store=SlowStore())], name="tills")
        assert (await bus.dispatch(pay())).result == 1
        return anyio.current_time()

    assert run_virtual(run, backend=backend) == pytest.approx(STORE_TIMEOUT)
    assert [(each.name, each.levelno) for each in caplog.records] == [("modd.tills", logging.ERROR)]


async def test_a_command_that_dispatches_under_its_own_key_is_a_deadlock() -> None:
    till = Till(lambda _: bus.dispatch(pay()))
    bus = CommandBus([till], middleware=[Idempotency()], name="tills")
    with pytest.raises(Deadlock, match="the idempotency of Pay in tills"):
        await bus.dispatch(pay())


async def test_an_event_is_handled_once_by_all_its_handlers(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def one(event: Paid) -> Thanked:
        heard.append("one")
        return Thanked()

    async def two(event: Paid) -> None:
        heard.append("two")

    bus = EventBus([one, two], middleware=[Idempotency()])
    first = await bus.dispatch(Envelope(Paid(1), id="a"))
    again = await bus.dispatch(Envelope(Paid(1), id="a"))
    assert (sorted(heard), first.events, again.events, again.results) == (["one", "two"], (Thanked(),), (), ())
    assert again.envelope.has(FromCache) and not caplog.records


async def test_the_results_of_several_handlers_come_back_as_several() -> None:
    # MI-30
    def one(command: Pay) -> int:
        return 1

    def two(command: Pay) -> int:
        return 2

    bus = CommandBus([one, two], middleware=[Idempotency()], multiple=True)
    assert [(await bus.dispatch(pay())).results for _ in range(2)] == [(1, 2)] * 2


async def test_it_works_for_queries_too() -> None:
    bus = QueryBus({Count: lambda query: 5}, middleware=[Idempotency()])
    assert [(await bus.dispatch(Envelope(Count(), id="a"))).result for _ in range(2)] == [5, 5]


async def test_nothing_is_kept_of_what_no_handler_handled() -> None:
    store = PlainStore()

    async def stop(envelope: Envelope[Any], call_next: Any) -> None:
        pass

    bus = CommandBus([Till()], middleware=[Idempotency(store=store), stop])
    await bus.dispatch(pay())
    assert not store.kept


async def test_of_a_result_that_would_not_come_back_only_that_it_is_done_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[int] = []

    async def loose(command: Loose) -> Any:
        calls.append(1)
        return Odd()

    bus = CommandBus([loose], middleware=[Idempotency()])
    await bus.dispatch(Envelope(Loose(), id="a"))
    assert (await bus.dispatch(Envelope(Loose(), id="a"))).result is None
    assert len(calls) == 1 and "does not store results of Loose" in caplog.text


async def test_what_was_kept_in_another_shape_is_done_all_the_same() -> None:
    store, till = PlainStore(), Till()
    bus = CommandBus([till], middleware=[Idempotency(store=store)])
    await bus.dispatch(pay())
    [key] = store.kept
    store.kept[key] = (b"junk", 5)
    assert (await bus.dispatch(pay())).result is None
    assert till.paid == 1


async def test_a_result_type_that_cannot_be_decoded_is_told_when_the_bus_is_checked() -> None:
    bus = CommandBus({MakeOdd: lambda command: Odd()}, middleware=[Idempotency()])
    with pytest.raises(InvalidOption, match="the result type of MakeOdd"):
        bus.check()


@pytest.mark.parametrize(
    "options",
    [
        {"key": "id"},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": nan},
        {"ttl": inf},
        {"ttl": True},
        {"store": 5},
        {"shared": 1},
    ],
)
async def test_wrong_options_fail_at_once(options: Any) -> None:
    # MI-13
    with pytest.raises(InvalidOption):
        Idempotency(**options)


async def test_a_key_that_is_no_text_is_told() -> None:
    def wrong(envelope: Envelope[Any]) -> Any:
        return 5

    with pytest.raises(InvalidOption, match="idempotency key=5"):
        await CommandBus([Till()], middleware=[Idempotency(key=wrong)]).dispatch(pay())


async def test_what_is_dispatched_again_is_known_though_a_middleware_adds_the_actor_at_every_pass() -> None:
    # MI-10
    async def as_ada(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.add(Actor("ada"))
        await call_next(envelope)

    bus = CommandBus([Till()], middleware=[as_ada, Idempotency()])
    first = await bus.dispatch(pay())
    second = await bus.dispatch(first.envelope)
    assert (first.result, second.result) == (1, 1)
    assert second.envelope.has(FromCache)


class Way:
    """A middleware that does what it is told to on the way back."""

    def __init__(self, back: Callable[[], Any], role: str = "") -> None:
        self.back, self.role, self.reached = back, role, anyio.Event()

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        self.reached.set()
        await self.back()


async def break_down() -> None:
    raise ConnectionError("the way back is broken")


async def cancel_on_the_way_back(bus: CommandBus, way: Way, *stamps: Any) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.dispatch, pay("a", *stamps))
        await way.reached.wait()
        tasks.cancel_scope.cancel()
    way.back = checkpoint


# DF-20
async def test_what_the_handler_has_done_is_stored_though_the_sender_hangs_up_on_the_way_back() -> None:
    till, way = Till(), Way(anyio.sleep_forever)
    bus = CommandBus([till], middleware=[Idempotency(), way])
    await cancel_on_the_way_back(bus, way)
    assert ((await bus.dispatch(pay())).result, till.paid) == (1, 1)


# DF-20
async def test_what_the_handler_has_done_is_stored_though_the_way_back_fails() -> None:
    till, way = Till(), Way(break_down)
    bus = CommandBus([till], middleware=[Idempotency(), way])
    for _ in range(2):
        try:
            assert (await bus.dispatch(pay())).result == 1
        except ConnectionError:
            assert till.paid == 1
    assert till.paid == 1


# DF-20
async def test_who_waits_for_a_dispatch_that_is_cancelled_on_the_way_back_gets_its_result() -> None:
    till, way, results = Till(), Way(anyio.sleep_forever), list[int]()
    bus = CommandBus([till], middleware=[Idempotency(), way])

    async def second() -> None:
        results.append((await bus.dispatch(pay())).result)

    async with anyio.create_task_group() as others, anyio.create_task_group() as first:
        first.start_soon(bus.dispatch, pay())
        await way.reached.wait()
        others.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        first.cancel_scope.cancel()
    assert (results, till.paid) == ([1], 1)


# DF-20
@pytest.mark.parametrize("hangs_up", [False, True])
@pytest.mark.parametrize("outside", [False, True])
async def test_of_a_transaction_that_is_not_committed_nothing_is_stored(hangs_up: bool, outside: bool) -> None:
    till, broken = Till(), anyio.sleep_forever if hangs_up else break_down
    transaction = Way(checkpoint if outside else broken, role="transaction")
    after = Way(broken if outside else checkpoint)
    bus = CommandBus([till], middleware=[Idempotency(), after, transaction])
    if hangs_up:
        await cancel_on_the_way_back(bus, after if outside else transaction)
    else:
        with pytest.raises(ConnectionError):
            await bus.dispatch(pay())
        after.back = transaction.back = checkpoint
    done = await bus.dispatch(pay())
    assert (done.result, till.paid) == ((1, 1) if outside else (2, 2))


# DF-20
async def test_of_several_attempts_the_last_one_counts() -> None:
    tries = list[int]()

    async def fail_then_hang() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        till.before = fail

    till, way = Till(), Way(fail_then_hang)
    bus = CommandBus([till], middleware=[Idempotency(), Retryer(backoff="none", attempts=3), way])
    assert (await bus.dispatch(pay())).result == 2
    tries.clear()
    till.before = None

    async def fail_and_break() -> None:
        till.before = fail
        raise ConnectionError

    way.back = fail_and_break
    with pytest.raises(LookupError):
        await bus.dispatch(pay("b"))
    till.before, way.back = None, checkpoint
    assert not (await bus.dispatch(pay("b"))).envelope.has(FromCache)


# DF-20
async def test_a_failed_stamp_on_the_way_back_stores_nothing_and_a_dispatch_without_a_key_neither() -> None:
    async def refuse(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        envelope.add(Failed("no"))
        raise ConnectionError

    store = PlainStore()
    for idempotency in (Idempotency(store=store), Idempotency(store=store, key=lambda _: None)):
        with pytest.raises(ConnectionError):
            await CommandBus([Till()], middleware=[idempotency, refuse]).dispatch(pay())
    assert store.kept == {}


# DF-20
async def test_an_error_of_the_store_does_not_replace_the_error_on_the_way_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full(PlainStore):
        async def set(self, key: str, value: bytes, ttl: float) -> None:
            raise OSError("disk full")

    with pytest.raises(ConnectionError):
        await CommandBus([Till()], middleware=[Idempotency(store=Full()), Way(break_down)]).dispatch(pay())
    assert "the result of Pay was not stored" in caplog.text and "disk full" in caplog.text


# DF-20
async def test_an_actor_is_its_id_whatever_its_token_claims() -> None:
    till = Till()
    bus = CommandBus([till], middleware=[Idempotency()])
    for actor in (Actor("ada"), Actor("ada", claims={"exp": 2}), Actor("ada", roles=("admin",), claims={"exp": 3})):
        assert (await bus.dispatch(pay("a", actor))).result == 1
    assert (await bus.dispatch(pay("a", Actor("bob")))).result == 2
