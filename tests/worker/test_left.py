"""Messages that a worker does not know are left to workers that know them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import Codec, Command, CommandBus, Envelope, Event, EventBus
from modd.cqrs.wire import EVENT_HEADER
from modd.middleware import Enqueue
from modd.ports import Claim, Item, Stats
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Paid, PaidAbroad, Pay, Ship, at_work, item, work_off
from tests.worker.flaky import Flaky

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)
LEFT = Stats(ready=0, delayed=0, leased=0, dead=0, left=1)


def delivery(handler: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Item:
    content = CODEC.encode(Envelope(Paid(5))) if body is None else body
    return Item(content, {"modd-handler": handler} | (headers or {}), id=f"7/{handler}")


class Desk:
    """A handler of commands that notes them."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def __call__(self, command: Command[None]) -> None:
        self.done.append(command)


@pytest.mark.parametrize("body", [None, b"of a type that is not known here"])
async def test_a_delivery_for_a_handler_that_is_not_here_is_left_and_costs_no_attempt(body: bytes | None) -> None:
    # ST-45
    queue, books, other = MemoryQueue(), Books("post"), Books("mail")
    await queue.put(delivery("mail", body))
    async with at_work(Worker(queue, books.bus, attempts=1)):
        await anyio.sleep(20)
    assert await queue.stats() == LEFT
    await work_off(Worker(queue, other.bus, attempts=1), 5)
    assert (other.log, books.log) == ([] if body else [("mail", 5)], [])
    assert [dead.reason.split(":")[0] for dead in await queue.dead()] == (["Undecodable"] if body else [])


async def test_a_command_of_a_type_that_is_not_here_waits_for_a_worker_that_knows_it() -> None:
    # DR-34
    for codec in (None, CODEC):  # the type is unknown, and known without a handler
        queue, desk = MemoryQueue(), Desk()
        await queue.put(*[item(Ship()) for _ in range(20)], item(Pay()))
        async with at_work(Worker(queue, CommandBus({Pay: desk}), codec=codec, attempts=1)):
            await anyio.sleep(10)
            assert (desk.done, await queue.stats()) == ([Pay()], Stats(ready=0, delayed=0, leased=0, dead=0, left=20))
            async with at_work(Worker(queue, CommandBus({Ship: desk}), attempts=1)):
                await anyio.sleep(5)
        assert (desk.done, await queue.stats()) == ([Pay(), *[Ship()] * 20], EMPTY)


async def test_a_left_message_is_not_offered_to_the_same_worker_again() -> None:
    # DR-34
    queue = Flaky()
    await queue.put(item(Ship()), delivery("mail"))
    async with at_work(Worker(queue, CommandBus({Pay: print}), codec=CODEC)):
        await anyio.sleep(30)
    assert len(queue.at("leave")) == 2


async def test_a_message_that_no_worker_knows_is_a_dead_letter_after_the_retention() -> None:
    # DR-35
    queue = MemoryQueue()
    await queue.put(item(Ship()), delivery("mail"))
    async with at_work(Worker(queue, EventBus({Paid: print}), retention=100)):
        await anyio.sleep(98)
        assert await queue.dead() == []
        await anyio.sleep(5)
    command, event = sorted(await queue.dead(), key=lambda dead: "mail" in dead.id)
    assert command.reason == (
        "UnknownType: no type 'Ship'; give the worker a handler, or a codec that knows it; the codec knows: Paid, "
        "PaidAbroad; no worker has claimed it for 100 s"
    )
    assert event.reason == (
        "GiveUp: no handler named 'mail' on any bus; give the worker this handler; no worker has claimed it for 100 s"
    )
    assert (command.attempts, event.attempts) == (1, 1)


@pytest.mark.parametrize("retention", [0, 50])
async def test_a_worker_says_for_how_long_a_message_is_left(retention: float) -> None:
    # DR-35
    queue = MemoryQueue()
    await queue.put(item(Pay()))
    await work_off(Worker(queue, CommandBus({Ship: print}), codec=CODEC, retention=retention), 60)
    [dead] = await queue.dead()
    assert dead.reason.startswith("UnknownType: no type 'Pay'; give the worker a handler, or a codec that knows it; ")
    assert dead.reason.endswith(f"; no worker has claimed it for {retention} s")


async def test_a_redriven_message_is_left_for_the_whole_retention_again() -> None:
    # DR-37
    queue, other = MemoryQueue(), Books("mail")
    await queue.put(delivery("mail", headers={"modd-at": "0"}))
    [claim] = await queue.claim(1, 30)
    await queue.bury(claim, "no worker has had it")
    async with at_work(Worker(queue, Books("post").bus, retention=50)):
        for _ in range(2):
            await queue.redrive("7/mail")
            await anyio.sleep(40)
            assert await queue.stats() == LEFT
            await anyio.sleep(40)
            assert len(await queue.dead()) == 1
        await queue.redrive("7/mail")
        async with at_work(Worker(queue, other.bus)):
            await anyio.sleep(5)
    assert (other.log, await queue.stats()) == ([("mail", 5)], EMPTY)


async def test_many_left_messages_do_not_stand_in_the_way_of_others() -> None:
    # DR-34
    queue, books = MemoryQueue(), Books("post")
    body = delivery("mail").body
    await queue.put(*[Item(body, {"modd-handler": "mail"}) for _ in range(300)], delivery("post"))
    async with at_work(Worker(queue, books.bus, concurrency=4)):
        await anyio.sleep(0.5)
        assert books.log == [("post", 5)]


async def test_a_message_that_is_left_keeps_its_key() -> None:
    # DR-34
    queue, desk = MemoryQueue(), Desk()
    await queue.put(item(Ship(), key="k"), item(Pay(), key="k"))
    async with at_work(Worker(queue, CommandBus({Pay: desk}), codec=CODEC)):
        await anyio.sleep(5)
        assert desk.done == []
        async with at_work(Worker(queue, CommandBus({Ship: desk}))):
            await anyio.sleep(5)
    assert desk.done == [Ship(), Pay()]


async def test_a_delivery_for_a_handler_of_another_type_or_bus_is_left_as_well() -> None:
    # DR-32
    queue, books = MemoryQueue(), Books("post")
    books.add("customs", PaidAbroad)
    await queue.put(delivery("customs"), delivery("post", headers={"modd-bus": "audit"}))
    await work_off(Worker(queue, books.bus), 3)
    assert (await queue.stats(), books.log) == (Stats(ready=0, delayed=0, leased=0, dead=0, left=2), [])


async def test_a_delivery_for_another_bus_that_was_claimed_too_often_is_left() -> None:
    queue, audit = MemoryQueue(), Books("post")
    audit.bus.name = "audit"
    await queue.put(delivery("post", headers={"modd-bus": "audit"}))
    await queue.claim(1, 1)
    await anyio.sleep(2)
    await work_off(Worker(queue, Books("post").bus, attempts=1), 3)
    assert await queue.stats() == LEFT
    await work_off(Worker(queue, audit.bus, attempts=1), 3)
    assert [dead.reason for dead in await queue.dead()] == ["it was claimed 2 times and never settled"]


async def test_a_store_that_fails_is_asked_again_to_leave_a_message(caplog: pytest.LogCaptureFixture) -> None:
    queue = Flaky(leave=3)
    await queue.put(delivery("mail"))
    async with at_work(Worker(queue, Books("post").bus)):
        await anyio.sleep(10)
        assert (await queue.stats(), caplog.text.count("7/mail cannot be settled; next try in")) == (LEFT, 3)
    queue.fails = {"leave": 1000}
    await queue.put(delivery("tax"))
    await work_off(Worker(queue, Books("post").bus, lease=5), 20)
    assert "7/tax could not be settled; it will be claimed again" in caplog.text
    assert (await queue.stats()).dead == 0


async def test_a_message_that_another_worker_has_by_now_is_not_left() -> None:
    class Late(MemoryQueue):
        async def leave(self, claim: Claim, name: str, retention: float) -> bool:
            await self.ack(claim)
            return await super().leave(claim, name, retention)

    queue = Late()
    await queue.put(delivery("mail"))
    await work_off(Worker(queue, Books("post").bus), 5)
    assert await queue.stats() == EMPTY


async def test_a_left_message_does_not_count_as_handled() -> None:
    queue, desk = MemoryQueue(), Desk()
    await queue.put(item(Ship()), item(Pay()))
    await Worker(queue, CommandBus({Pay: desk}), codec=CODEC, max_messages=1).run()
    assert desk.done == [Pay()]


class Placed(Command[None], tag="Order"):
    """The type that producers of yesterday know."""


class PlacedNow(Command[None], tag="Order"):
    schema_version = 2
    sku: str = "yoyo"


NOW = Codec([PlacedNow], upcasters={PlacedNow: {1: lambda old: old | {"sku": "yoyo"}}})


async def test_a_message_of_a_newer_version_waits_for_a_worker_that_reads_it() -> None:
    # DR-36
    queue, old, new = MemoryQueue(), Desk(), Desk()
    await queue.put(Item(NOW.encode(Envelope(PlacedNow()))))
    async with at_work(Worker(queue, CommandBus({Placed: old}))):
        await anyio.sleep(50)
        assert await queue.stats() == LEFT
        async with at_work(Worker(queue, CommandBus({PlacedNow: new}), codec=NOW)):
            await anyio.sleep(5)
    assert (old.done, new.done) == ([], [PlacedNow()])


@pytest.mark.costly
async def test_messages_that_no_worker_knows_whole_do_not_go_to_and_fro() -> None:
    # DR-36
    former = Codec([Pay, Ship], upcasters={"Charge": {1: lambda old: old | {"$type": "Pay"}}})
    body = CODEC.encode(Envelope(Pay(), id="1")).replace(b'"Pay"', b'"Charge"')
    queue = Flaky()
    await queue.put(Item(body), Item(body, {"modd-handler": "post"}))
    async with (
        at_work(Worker(queue, CommandBus({Ship: print}), codec=former)),
        at_work(Worker(queue, CommandBus({Pay: print}))),
        at_work(Worker(queue, Books("post").bus, codec=CODEC)),
    ):
        await anyio.sleep(60)
    assert (await queue.stats()).left == 2
    assert len(queue.at("leave")) <= 6


class Renamed(Event, tag="Settled"):
    amount: int = 1


async def test_an_event_of_a_former_name_gets_to_the_handlers_of_its_new_name() -> None:
    # DR-36
    got = list[Any]()
    new = EventBus()
    new.register(Renamed, got.append, "new")
    codec = Codec([Renamed], upcasters={"Paid": {1: lambda old: old | {"$type": "Settled"}}})
    queue, old = MemoryQueue(), Books("post")
    await Worker(queue, new, codec=codec).run_until_idle()
    for header in ({EVENT_HEADER: "Paid"}, {}):
        await queue.put(item(Paid(5), headers=header))
    for worker in (Worker(queue, EventBus({Ship_: print})), Worker(queue, old.bus)):
        async with at_work(worker):
            await anyio.sleep(5)
    assert (await queue.stats()).left == 2
    async with at_work(Worker(queue, old.bus)), at_work(Worker(queue, new, codec=codec)):
        await anyio.sleep(20)
    assert sorted(got, key=repr) == [Renamed(5), Renamed(5)]
    assert old.log == [("post", 5)]


class Ship_(Event):
    """An event of another context."""


async def test_an_event_that_no_worker_handles_is_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    # DR-33
    caplog.set_level("DEBUG", "modd.worker")
    queue = MemoryQueue()
    events = EventBus({Paid: print}, middleware=[Enqueue(queue)])
    await events.dispatch(Paid(1))
    await queue.put(item(Paid(5), id="5"), item(Paid(6), id="6", headers={EVENT_HEADER: "Paid"}))
    await Worker(queue, EventBus({Ship_: print}), codec=Codec([Paid, Ship_]), max_messages=3).run()
    await queue.put(item(Paid(7), id="7", headers={EVENT_HEADER: "Paid"}), item(Paid(8), id="8"))
    await Worker(queue, EventBus({Ship_: print}), max_messages=1).run()
    assert "7 is acknowledged: no worker has announced a handler of Paid" in caplog.messages
    assert (await queue.stats()).left + (await queue.stats()).ready == 1  # of 8 nobody can say that it is an event
    assert await queue.dead() == []


async def test_a_strict_bus_refuses_an_event_that_no_worker_handles_and_leaves_what_it_cannot_decode() -> None:
    # DR-33
    queue, books = MemoryQueue(), Books("post")
    strict = EventBus({Ship_: print}, strict=True)
    await queue.put(item(Paid(5)))
    await work_off(Worker(queue, strict, codec=Codec([Paid, Ship_])), 5)
    assert [dead.reason.split(";")[0] for dead in await queue.dead()] == ["NoHandler: no handler for Paid"]
    await queue.put(item(Paid(6), headers={EVENT_HEADER: "Paid"}))
    await work_off(Worker(queue, strict), 5)
    assert (await queue.stats()).left == 1
    await work_off(Worker(queue, books.bus), 5)
    await queue.put(item(Paid(7)))
    async with at_work(Worker(queue, strict, codec=Codec([Paid, Ship_]))), at_work(Worker(queue, books.bus)):
        await anyio.sleep(5)
    assert sorted(books.log) == [("post", 6), ("post", 7)]
