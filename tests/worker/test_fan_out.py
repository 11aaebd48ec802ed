"""An event fans out to one row for each handler."""

from __future__ import annotations

import anyio
import pytest

from modd import Bus, Message, MultipleHandlers
from modd.cqrs import CommandBus, EventBus
from modd.middleware import Enqueue
from modd.ports import Item, Stats
from modd.stores import MemoryInbox, MemoryQueue
from modd.worker import DuplicateHandler, Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Desk, Paid, PaidAbroad, Pay, at_work, item, work_off

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)


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
    await Worker(queue, books.bus, max_messages=1, clock=lambda: 100.5).run()
    claims = await queue.claim(9, 30)
    assert [(claim.id, claim.key) for claim in claims] == [("7/post", "ada/post"), ("7/tax", "ada/tax")]
    assert claims[0].headers == {"trace": "t", "modd-handler": "post", "modd-at": "100.5"}


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


@pytest.mark.parametrize("failing", [0, 1])
async def test_an_expansion_that_is_cut_short_is_done_again_without_doubling(failing: int) -> None:
    # ST-44
    desk, books = Desk(), Books("post", "tax")
    await desk.queue.put(item(Paid(5)))
    desk.fail = failing
    await work_off(Worker(desk.queue, books.bus, outbox=desk.outbox, backoff="none"))
    assert sorted(books.log) == [("post", 5), ("tax", 5)]


async def test_an_expansion_without_a_transaction_is_repeated_harmlessly() -> None:
    queue, books = MemoryQueue(), Books("post", "tax")
    await queue.put(item(Paid(5), id="7"))
    [claim] = await queue.claim(1, 5)
    await queue.put(Item(claim.body, {"modd-handler": "post", "modd-at": "9"}, id="7/post"))
    await work_off(Worker(queue, books.bus, inbox=MemoryInbox()))
    assert sorted(books.log) == [("post", 5), ("tax", 5)]


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
