"""Transactional commits the effects of a dispatch and its events together."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import Bus, InvalidOption
from modd.cqrs import (
    Actor,
    Command,
    CommandBus,
    Emit,
    Envelope,
    Event,
    EventBus,
    Failed,
    GiveUp,
    Outboxed,
    Query,
    QueryBus,
    Unencodable,
    UnsafeOrder,
    WrongBus,
)
from modd.middleware import Mocker, Retryer, Transactional
from modd.ports import Item, Transaction
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue, SqliteStore
from modd.worker import Worker
from tests.middleware.till import Paid, Pay, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> Any:
    """The loop that the test runs on, with its own clock: work in other threads takes time."""
    return request.param


class Count(Query[int]):
    pass


class Late(Paid):
    pass


class Odd(Event):
    value: Any


class Shop(Command[int]):
    cents: int
    fails: bool = False


# DF-16
async def test_effects_and_events_are_kept_together_and_a_relay_passes_the_events_on(tmp_path: Path) -> None:
    heard = list[Any]()

    def hear(envelope: Envelope[Paid]) -> None:
        heard.append((envelope.message, envelope.causation_id, envelope.last(Actor)))

    async with opened(tmp_path) as till:
        events = EventBus([hear])
        app = Bus([till.bus(), events])
        dispatched = await app.dispatch(Envelope(Pay(3), id="pay-3"), Actor("ada"))
        assert (dispatched.result, dispatched.events, await till.paid(), heard) == (1, (), [3], [])
        assert len(dispatched.envelope.all(Outboxed)) == 1
        queue = till.store.queue("events")
        assert await Relay(till.store.outbox, queue).pass_on() == 1
        await Worker(queue, app, max_messages=2).run()
        assert heard == [(Paid(3), "pay-3", dispatched.envelope.last(Actor))]


class WayBack:
    """A middleware that fails on the way back: by an error, by a stamp, or because the sender hangs up."""

    def __init__(self, how: str, sender: anyio.CancelScope) -> None:
        self.how, self.sender = how, sender

    async def __call__(self, envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)
        if self.how == "error":
            raise ConnectionError("not yet")
        if self.how == "stamp":
            envelope.add(Failed("not yet"))
        else:
            self.sender.cancel()
            await anyio.sleep_forever()


# DF-16
@pytest.mark.parametrize("how", ["error", "stamp", "cancellation"])
@pytest.mark.parametrize("inside", [True, False])
async def test_a_failure_inside_undoes_effects_and_events_and_one_outside_keeps_both(
    tmp_path: Path, how: str, inside: bool
) -> None:
    async with opened(tmp_path) as till:
        sender, transaction = anyio.CancelScope(), Transactional(till.store)
        way = WayBack(how, sender)
        bus = CommandBus([till.pay], middleware=[transaction, way] if inside else [way, transaction])
        with suppress(ConnectionError), sender:
            assert (await bus.dispatch(Pay(3))).envelope.has(Failed)
        assert (await till.paid(), await till.told()) == (([], []) if inside else ([3], [3]))


# DF-16
async def test_a_dispatch_that_is_cancelled_in_the_handler_leaves_nothing(tmp_path: Path) -> None:
    async def pay(command: Pay, tx: Transaction, emit: Emit) -> int:
        await till.pay(command, tx, emit)
        scope.cancel()
        await anyio.sleep_forever()
        return 1

    async with opened(tmp_path) as till:
        with anyio.CancelScope() as scope:
            await CommandBus([pay], middleware=[Transactional(till.store)]).dispatch(Pay(3))
        assert scope.cancelled_caught
        assert (await till.paid(), await till.told()) == ([], [])


# DF-16
async def test_a_commit_that_fails_keeps_neither_and_is_raised(tmp_path: Path) -> None:
    async with opened(tmp_path) as till:
        with pytest.raises(sqlite3.IntegrityError):
            await till.bus().dispatch(Pay(-1))
        assert (await till.paid(), await till.told()) == ([], [])


# DF-16
async def test_a_middleware_that_stands_in_for_a_failed_commit_releases_no_events(tmp_path: Path) -> None:
    async def stand_in(envelope: Envelope[Any], call_next: Any) -> None:
        try:
            await call_next(envelope)
        except sqlite3.IntegrityError:
            envelope.note_result(0, "stand-in", 1.0)

    async with opened(tmp_path) as till:
        dispatched = await till.bus(stand_in).dispatch(Pay(-1))
        assert (dispatched.result, dispatched.events, await till.told()) == (0, (), [])


# DF-16
async def test_each_attempt_has_a_transaction_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path, fail=2) as till:
        await till.bus(Retryer(backoff="none")).dispatch(Pay(3))
        assert (till.calls, await till.paid(), await till.told()) == (3, [3], [3])
        with pytest.raises(UnsafeOrder, match="give Retryer before Transactional"):
            CommandBus([till.pay], middleware=[Transactional(till.store), Retryer()]).check()


# DF-16
async def test_a_mock_or_a_handled_envelope_has_made_nothing_happen(tmp_path: Path) -> None:
    async with opened(tmp_path) as till:
        bus = CommandBus([till.pay], middleware=[Transactional(till.store), Mocker({Pay: 7})])
        assert (await bus.dispatch(Pay())).result == 7
        assert (await till.paid(), await till.told()) == ([], [])


# DF-16
async def test_what_is_emitted_outside_before_goes_along_and_what_is_emitted_after_is_released(tmp_path: Path) -> None:
    async def emit_around(envelope: Envelope[Any], call_next: Any) -> None:
        envelope.emit(Paid(10))
        await call_next(envelope)
        envelope.emit(Paid(20))

    async with opened(tmp_path) as till:
        dispatched = await till.bus(emit_around).dispatch(Pay(3))
        assert (await till.told(), dispatched.events) == ([10, 3], (Paid(20),))


# DF-16
async def test_handlers_of_an_event_share_the_transaction_and_the_messages_that_they_return_are_in_the_outbox(
    tmp_path: Path,
) -> None:
    async def book(event: Paid, tx: Transaction) -> Pay:
        await tx.execute("INSERT INTO paid VALUES (?)", (event.cents,))
        return Pay(event.cents + 1)

    async def tax(event: Paid, tx: Transaction, emit: Emit) -> None:
        await tx.execute("INSERT INTO paid VALUES (?)", (event.cents * 2,))
        emit(Paid(100))

    async def fail(event: Paid) -> None:
        raise ConnectionError("not yet")

    async with opened(tmp_path) as till:
        middleware = [Transactional(till.store)]
        dispatched = await EventBus([book, tax], concurrent=False, middleware=middleware).dispatch(Paid(3))
        assert (dispatched.events, await till.paid(), await till.told()) == ((), [3, 6], [100, 4])
        with pytest.raises(ConnectionError):
            await EventBus([book, tax, fail], concurrent=False, middleware=middleware).dispatch(Paid(3))
        assert (await till.paid(), await till.told()) == ([3, 6], [])


def one(event: Paid) -> None: ...
def two(event: Late) -> None: ...
def three(event: Paid) -> None: ...


# DF-16
@pytest.mark.parametrize(("handlers", "kind"), [([one, two], "Late"), ([one, three], "Paid")])
def test_a_bus_that_runs_handlers_side_by_side_is_refused(tmp_path: Path, handlers: list[Any], kind: str) -> None:
    middleware = [Transactional(SqliteStore(tmp_path / "till.db"))]
    with pytest.raises(InvalidOption, match=f"{kind} has 2; give events concurrent=False"):
        EventBus(handlers, middleware=middleware).check()
    EventBus(handlers, middleware=middleware, concurrent=False).check()
    EventBus([one], middleware=middleware).check()


# DF-16
def test_queries_are_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "till.db")
    with pytest.raises(WrongBus, match="a query changes nothing"):
        QueryBus({Count: lambda query: 5}, middleware=[Transactional(store)])


class NoOutbox:
    def transaction(self) -> Any: ...


class Apart(NoOutbox):
    outbox = MemoryOutbox()


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (MemoryQueue(), "it has no transactions"),
        (MemoryOutbox(), "it has no transactions"),
        (SqliteStore, "it has no transactions"),
        (None, "it has no transactions"),
        (NoOutbox(), "it has no outbox"),
        (SqliteStore("x.db").outbox, "it has no outbox"),
        (Apart(), "its outbox does not join its transactions"),
    ],
)
def test_a_store_that_cannot_keep_both_together_is_refused_with_the_cure(store: Any, reason: str) -> None:
    # DF-16
    with pytest.raises(InvalidOption, match=f"{reason}.*; give a modd.stores.SqliteStore"):
        Transactional(store)


@pytest.mark.parametrize("options", [{"key": "id"}, {"codec": 5}])
def test_wrong_options_fail_at_once(options: Any) -> None:
    with pytest.raises(InvalidOption):
        Transactional(SqliteStore("x.db"), **options)


# DF-16
async def test_a_key_orders_the_events_and_a_codec_of_ones_own_encodes_them(tmp_path: Path) -> None:
    encoded = list[Any]()

    class Encoder:
        def encode(self, envelope: Envelope[Any]) -> bytes:
            encoded.append(envelope.message)
            return b"{}"

    async with opened(tmp_path) as till:
        await till.bus(key=lambda envelope: f"c{envelope.message.cents}").dispatch(Pay(3))
        await till.bus(key=lambda envelope: None).dispatch(Pay(4))
        assert [claim.key for claim, _ in await till.outbox()] == ["commands:c3", None]
        codec: Any = Encoder()
        await CommandBus([till.pay], middleware=[Transactional(till.store, codec=codec)]).dispatch(Pay(5))
        assert (encoded, [claim.body for claim in await till.store.outbox.claim(9, 1)]) == ([Paid(5)], [b"{}"])


# DF-16
async def test_an_event_that_cannot_be_encoded_undoes_the_effects(tmp_path: Path) -> None:
    async def odd(command: Pay, tx: Transaction, emit: Emit) -> int:
        await tx.execute("INSERT INTO paid VALUES (1)")
        emit(Odd(object()))
        return 1

    async with opened(tmp_path) as till:
        with pytest.raises(Unencodable):
            await CommandBus([odd], middleware=[Transactional(till.store)]).dispatch(Pay())
        assert await till.paid() == []


# DF-16
async def test_nested_dispatches_are_committed_with_the_outer_one_or_dropped_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as till:

        async def shop(command: Shop, tx: Transaction, emit: Emit) -> int:
            await tx.execute("INSERT INTO paid VALUES (?)", (command.cents,))
            emit(Paid(command.cents))
            till.fail = 1
            with pytest.raises(ConnectionError):
                await app.ask(Pay(10))
            result = await app.ask(Pay(20))
            if command.fails:
                raise GiveUp("no")
            return result

        app = Bus([till.bus(), CommandBus([shop], middleware=[Transactional(till.store)], name="shop")])
        with pytest.raises(GiveUp):
            await app.ask(Shop(1, fails=True))
        assert (await till.paid(), await till.told()) == ([], [])
        await app.ask(Shop(2))
        assert (await till.paid(), await till.told()) == ([2, 20], [20, 2])


# DF-16
async def test_under_a_worker_the_dispatch_joins_its_transaction_and_the_events_have_the_key_of_the_message(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, fail=1) as till:
        queue, bus = till.store.queue("commands"), till.bus()
        for key, cents in (("ada", 1), (None, 2)):
            await queue.put(queued(bus, Pay(cents), key))
        await Worker(queue, bus, backoff="none", max_messages=3).run()
        assert (till.calls, sorted(await till.paid())) == (3, [1, 2])
        out = {event.message.cents: (claim.key, event.causation_id) for claim, event in await till.outbox()}
        assert out == {1: ("ada", "1"), 2: (None, "2")}


# DF-16
async def test_under_a_worker_without_transactions_it_opens_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path, fail=1) as till:
        queue, bus = MemoryQueue(), till.bus()
        await queue.put(queued(bus, Pay(1), "ada"))
        await Worker(queue, bus, backoff="none", max_messages=2).run()
        assert (till.calls, await till.paid()) == (2, [1])
        assert [claim.key for claim, _ in await till.outbox()] == ["ada"]


def queued(bus: CommandBus, command: Pay, key: str | None) -> Any:
    return Item(bus.codec.encode(Envelope(command, id=str(command.cents))), key=key)


# DF-16
async def test_dispatches_side_by_side_have_transactions_of_their_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as till:
        bus = till.bus()
        async with anyio.create_task_group() as tasks:
            for cents in (1, 2, 3, -1):
                tasks.start_soon(dispatch_if_possible, bus, Pay(cents))
        assert (sorted(await till.paid()), sorted(await till.told())) == ([1, 2, 3], [1, 2, 3])


async def dispatch_if_possible(bus: CommandBus, command: Pay) -> None:
    try:
        await bus.dispatch(command)
    except sqlite3.IntegrityError:
        assert command.cents < 0


# DF-16
async def test_a_till_without_events_writes_its_effects_alone(tmp_path: Path) -> None:
    async def write(command: Pay, tx: Transaction) -> int:
        await tx.execute("INSERT INTO paid VALUES (?)", (command.cents,))
        return 1

    async with opened(tmp_path) as till:
        dispatched = await CommandBus([write], middleware=[Transactional(till.store)]).dispatch(Pay(3))
        assert not dispatched.envelope.has(Outboxed)
        assert (await till.paid(), await till.told()) == ([3], [])
