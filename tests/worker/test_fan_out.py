"""An event fans out to one row for each handler."""

from __future__ import annotations

from collections.abc import Collection

import anyio
import pytest

from modd import Bus, Message, MultipleHandlers
from modd.cqrs import Codec, CommandBus, Envelope, Event, EventBus
from modd.cqrs.wire import EVENT_HEADER
from modd.middleware import Enqueue
from modd.ports import Claim, Item, Stats, StoreError
from modd.ports.queue import CreateDeliveries
from modd.stores import MemoryInbox, MemoryQueue
from modd.worker import DuplicateHandler, Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Paid, PaidAbroad, Pay, at_work, item, work_off
from tests.worker.flaky import Flaky

pytestmark = pytest.mark.anyio


class Sent(Event):
    """An event that not all workers know."""


EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


@pytest.mark.costly
async def test_each_handler_gets_an_event_once_and_one_that_fails_never_runs_the_others_again() -> None:
    # ST-44
    queue, books = MemoryQueue(), Books("post", "tax", "mail")
    books.fails = {"tax": 3}
    await queue.put(item(Paid(5)))
    await work_off(Worker(queue, books.bus))
    assert sorted(books.log) == [("mail", 5), ("post", 5), ("tax", 5)]
    assert await queue.stats() == EMPTY


async def test_the_rows_have_ids_keys_and_headers_of_their_event() -> None:
    queue, books = MemoryQueue(), Books("post", "tax")
    await queue.put(item(Paid(5), id="7", key="ada", headers={"trace": "t"}))
    await Worker(queue, books.bus, max_messages=1).run()
    claims = await queue.claim(9, 30)
    assert [(claim.id, claim.key) for claim in claims] == [("7/post", "ada/post"), ("7/tax", "ada/tax")]
    assert claims[0].headers == {"trace": "t", "modd-handler": "post", "modd-bus": "books"}


@pytest.mark.costly
async def test_events_and_handlers_whose_names_contain_the_separator_have_rows_of_their_own() -> None:
    # DF-12
    queue, books = MemoryQueue(), Books("b/c", "c", "%2F")
    await queue.put(item(Paid(1), id="a", key="k"), item(Paid(2), id="a/b", key="k/b"))
    await Worker(queue, books.bus, max_messages=2).run()
    claims = await queue.claim(9, 30)
    rows = [("a", "b%2Fc"), ("a", "c"), ("a", "%252F"), ("a/b", "b%2Fc"), ("a/b", "c"), ("a/b", "%252F")]
    assert sorted(claim.id for claim in claims) == sorted(f"{event}/{handler}" for event, handler in rows)
    assert len({claim.key for claim in claims}) == 6
    for claim in claims:
        await queue.release(claim)
    await work_off(Worker(queue, books.bus))
    assert sorted(books.log) == [(name, amount) for name in ("%2F", "b/c", "c") for amount in (1, 2)]


async def test_events_of_one_key_get_to_each_handler_in_order() -> None:
    queue, books = MemoryQueue(), Books("post", "tax")
    books.fails = {"tax": 2}
    await queue.put(*[item(Paid(n), key="k") for n in range(4)])
    await work_off(Worker(queue, books.bus))
    for name in ("post", "tax"):
        assert [amount for who, amount in books.log if who == name] == [0, 1, 2, 3]


async def test_an_expansion_that_fails_is_done_again_without_doubling() -> None:
    # ST-44
    class Failing(MemoryQueue):
        fails = 2

        async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
            self.fails -= 1
            if self.fails == 0:
                await super().fan_out(claim, types, create)  # it is done, and its caller does not get to know
            if self.fails >= 0:
                raise StoreError("queue", "the disk is full")
            return await super().fan_out(claim, types, create)

    queue, books = Failing(), Books("post", "tax")
    await queue.put(item(Paid(5)))
    await work_off(Worker(queue, books.bus, backoff="none"))
    assert sorted(books.log) == [("post", 5), ("tax", 5)]


async def test_an_event_that_comes_again_is_done_once() -> None:
    queue, inbox, books = MemoryQueue(), MemoryInbox(), Books("post", "tax")
    for _ in range(2):
        await queue.put(item(Paid(5), id="7"))
        await work_off(Worker(queue, books.bus, inbox=inbox), 5)
    assert sorted(books.log) == [("post", 5), ("tax", 5)]


@pytest.mark.costly
async def test_an_event_that_nobody_handles_is_done() -> None:
    queue = MemoryQueue()
    for bus in (EventBus(), Bus([CommandBus({Pay: print})])):
        await queue.put(item(Paid(5)))
        await work_off(Worker(queue, bus, codec=CODEC))
    assert await queue.stats() == EMPTY


async def test_handlers_of_a_base_class_get_derived_events() -> None:
    queue, books = MemoryQueue(), Books("post")
    books.add("customs", PaidAbroad)
    await queue.put(item(PaidAbroad(5)))
    await work_off(Worker(queue, books.bus))
    assert sorted(books.log) == [("customs", 5), ("post", 5)]


async def test_all_buses_of_events_inside_a_bus_get_what_is_for_none_in_particular() -> None:
    queue, one, other = MemoryQueue(), Books("post"), Books("tax")
    one.bus.name = "one"
    await queue.put(item(Paid(1)), item(Paid(2), headers={"modd-bus": "one"}), item(Paid(3), headers={"modd-bus": "?"}))
    await work_off(Worker(queue, Bus([one.bus, other.bus])))
    assert (sorted(one.log), sorted(other.log)) == (
        [("post", 1), ("post", 2), ("post", 3)],
        [("tax", 1), ("tax", 3)],
    )


async def test_events_are_queued_and_handled_with_one_configuration() -> None:
    queue, books = MemoryQueue(), Books("post", "tax")
    books.bus.use(Enqueue(queue))
    async with at_work(Worker(queue, books.bus)):
        await books.bus.dispatch(Paid(3))
        await anyio.sleep(1)
    assert sorted(books.log) == [("post", 3), ("tax", 3)]


async def test_an_override_counts_for_rows_as_well() -> None:
    queue, books, faked = MemoryQueue(), Books("post"), list[Message]()
    await queue.put(item(Paid(5)))
    with books.bus.override({Paid: faked.append}):
        await work_off(Worker(queue, books.bus))
    assert (faked, books.log) == ([Paid(5)], [])


async def test_an_event_gets_to_all_announced_handlers_whichever_worker_claims_it() -> None:
    # DR-31
    queue, old, new, others = MemoryQueue(), Books("book"), Books("book", "mail"), list[Sent]()
    workers = Worker(queue, old.bus), Worker(queue, new.bus), Worker(queue, EventBus({Sent: others.append}))
    for worker in workers:  # each has announced its handlers, and one alone claims all events
        await worker.run_until_idle()
    sent = Item(Codec([Sent]).encode(Envelope(Sent())), {EVENT_HEADER: "Sent"})
    await queue.put(*[item(Paid(n)) for n in range(20)], sent)
    await workers[0].run_until_idle()
    assert (sorted(old.log), new.log, others) == ([("book", n) for n in range(20)], [], [])
    assert (await queue.stats()).left == 21
    for worker in workers[1:]:
        await worker.run_until_idle()
    assert (sorted(new.log), others) == ([("mail", n) for n in range(20)], [Sent()])
    assert await queue.stats() == EMPTY


@pytest.mark.costly
async def test_a_worker_announces_its_handlers_before_it_claims_and_seldom_after_that() -> None:
    # DR-30
    queue, books = Flaky(announce=2), Books("post")
    books.add("customs", PaidAbroad)
    await queue.put(item(Paid(5)))
    async with at_work(Worker(queue, Bus([books.bus, CommandBus({Pay: print})], name="shop"))):
        await anyio.sleep(300)
    first, second, third, *later = queue.at("announce")
    assert queue.at("claim")[0] == third > second > first
    assert 3 <= len(later) <= 8
    assert [(each.type, each.bus, each.handler) for each in await queue.subscriptions()] == [
        ("Paid", "books", "post"),
        ("PaidAbroad", "books", "customs"),
        ("PaidAbroad", "books", "post"),
        ("Pay", "commands", "print"),
    ]


async def test_handlers_of_one_name_on_two_buses_get_an_event_each_unless_it_names_its_bus() -> None:
    # DR-32
    queue, one, other = MemoryQueue(), Books("note"), Books("note")
    one.bus.name, other.bus.name = "one", "other"
    workers = Worker(queue, one.bus), Worker(queue, other.bus)
    for worker in workers:
        await worker.run_until_idle()
    await queue.put(item(Paid(1), id="1", key="k"), item(Paid(2), headers={"modd-bus": "other"}))
    for _ in range(2):
        for worker in workers:
            await worker.run_until_idle()
    assert (one.log, sorted(other.log)) == ([("note", 1)], [("note", 1), ("note", 2)])
    await queue.put(item(Paid(1), id="1", key="k"))
    await Worker(queue, one.bus, max_messages=1).run()
    claims = [*await queue.claim(9, 30), *await queue.claim_left(["delivery/other/Paid/1/note"], 9, 30)]
    assert [(claim.id, claim.key) for claim in claims] == [
        ("1/note/one", "k/note/one"),
        ("1/note/other", "k/note/other"),
    ]


async def test_two_handlers_of_one_name_are_refused() -> None:
    books = Books("post", "post")
    with pytest.raises(DuplicateHandler, match=r"books has two handlers of Paid named 'post'; .* register\(Paid, "):
        Worker(MemoryQueue(), books.bus)
    apart = Books("post")
    apart.add("post", PaidAbroad)
    with pytest.raises(DuplicateHandler, match="of PaidAbroad"):
        Worker(MemoryQueue(), apart.bus)
    with pytest.raises(MultipleHandlers):
        Worker(MemoryQueue(), Bus([CommandBus({Pay: print}), CommandBus({Pay: print}, name="other")]))
