"""Effects of a handler, its events and the acknowledgement are stored together or not at all."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus, InvalidOption
from modd.cqrs import Actor, CommandBus, Emit, Envelope, EventBus
from modd.ports import Item, StoreError, Transaction
from modd.ports.transaction import open_transaction
from modd.stores import MemoryInbox, MemoryOutbox, MemoryQueue
from modd.worker import Worker
from tests.worker.desk import CODEC, Desk, Paid, Pay, item, work_off

pytestmark = pytest.mark.anyio


class Shop:
    """A handler that writes and emits, and fails as it is told."""

    def __init__(self) -> None:
        self.errors, self.calls = list[Exception](), 0

    async def pay(self, command: Pay, emit: Emit, tx: Transaction) -> None:
        self.calls += 1
        await tx.execute(f"paid {command.amount}")
        emit(Paid(command.amount))
        if self.errors:
            raise self.errors.pop(0)


def parts(desk: Desk) -> tuple[list[str], set[str], list[Paid]]:
    return desk.rows, desk.known, [CODEC.decode(each.body).message for each in desk.out]


async def test_effects_events_and_inbox_entry_are_committed_with_the_ack() -> None:
    # ST-46
    desk, shop = Desk(), Shop()
    await desk.queue.put(item(Pay(3), id="p"))
    await work_off(Worker(desk.queue, CommandBus([shop.pay]), inbox=desk.inbox, outbox=desk.outbox))
    assert parts(desk) == (["paid 3"], {"desk/commands/p"}, [Paid(3)])
    assert (await desk.queue.stats()).ready == 0


@pytest.mark.costly
@pytest.mark.parametrize("where", ["handler", "commit"])
async def test_of_what_fails_nothing_is_left_and_the_next_try_does_it_once(where: str) -> None:
    # ST-47
    desk, shop = Desk(), Shop()
    desk.fail = 1 if where == "commit" else 0
    shop.errors += [ValueError("no")] if where == "handler" else []
    await desk.queue.put(item(Pay(3), id="p"))
    await work_off(Worker(desk.queue, CommandBus([shop.pay]), inbox=desk.inbox, outbox=desk.outbox))
    assert parts(desk) == (["paid 3"], {"desk/commands/p"}, [Paid(3)])
    assert shop.calls == 2


async def test_what_was_handled_is_recognised_when_it_comes_again_and_is_acked() -> None:
    # ST-48
    desk, shop = Desk(), Shop()
    desk.known.add("desk/commands/p")
    await desk.queue.put(item(Pay(3), id="p"))
    await work_off(Worker(desk.queue, CommandBus([shop.pay]), inbox=desk.inbox))
    assert (shop.calls, (await desk.queue.stats()).ready) == (0, 0)


async def test_of_two_that_handle_one_message_at_once_one_commits() -> None:
    desk, shop = Desk(), Shop()

    async def pay(command: Pay, tx: Transaction) -> None:
        desk.known.add("desk/commands/p")  # by somebody else, meanwhile
        await tx.execute("paid")

    await desk.queue.put(item(Pay(3), id="p"))
    await work_off(Worker(desk.queue, CommandBus([pay]), inbox=desk.inbox))
    assert (desk.rows, await desk.queue.dead(), (await desk.queue.stats()).ready) == ([], [], 0)
    assert shop.calls == 0


async def test_an_alreadyhandled_of_the_handlers_own_is_a_failure() -> None:
    desk = Desk()

    async def pay(command: Pay) -> None:
        desk.known.add("mine")
        await desk.inbox.add("mine")

    await desk.queue.put(item(Pay(3)))
    await work_off(Worker(desk.queue, CommandBus([pay]), inbox=desk.inbox, attempts=1))
    [dead] = await desk.queue.dead()
    assert dead.reason.startswith("AlreadyHandled: 'mine'")


async def test_events_are_caused_by_their_command_and_have_its_key() -> None:
    desk, shop = Desk(), Shop()
    command = Envelope(Pay(3), Actor("root"), id="import-7")
    await desk.queue.put(Item(CODEC.encode(command), key="ada"))
    await work_off(Worker(desk.queue, CommandBus([shop.pay]), outbox=desk.outbox))
    [out] = desk.out
    event = CODEC.decode(out.body)
    assert (out.key, out.id) == ("ada", f"commands:{event.id}")
    assert (event.causation_id, event.correlation_id) == ("import-7", "import-7")
    assert event.first(Actor) == command.first(Actor)


async def test_a_codec_of_ones_own_encodes_what_is_emitted() -> None:
    desk, shop = Desk(), Shop()
    await desk.queue.put(item(Pay(3)))
    await work_off(Worker(desk.queue, CommandBus([shop.pay]), outbox=desk.outbox, codec=CODEC))
    assert parts(desk)[2] == [Paid(3)]


@pytest.mark.costly
async def test_each_event_goes_one_way_with_an_outbox_not_on_in_a_turn() -> None:
    # ST-49
    desk, shop, heard = Desk(), Shop(), list[Any]()
    bus = Bus([CommandBus([shop.pay]), EventBus({Paid: heard.append})])
    await desk.queue.put(item(Pay(3)))
    await work_off(Worker(desk.queue, bus, outbox=desk.outbox))
    assert (parts(desk)[2], heard) == ([Paid(3)], [])


@pytest.mark.unmeasured
@pytest.mark.costly
async def test_the_outbox_of_the_inbox_or_of_the_queue_is_taken_by_default() -> None:
    for part in ("inbox", "queue"):
        desk, shop = Desk(), Shop()
        holder: Any = getattr(desk, part)
        holder.outbox = desk.outbox
        await desk.queue.put(item(Pay(3)))
        await work_off(Worker(desk.queue, CommandBus([shop.pay]), inbox=desk.inbox))
        assert parts(desk)[2] == [Paid(3)]


async def test_what_is_in_another_store_is_acked_after_the_commit() -> None:
    desk, shop, queue = Desk(), Shop(), MemoryQueue()
    desk.fail = 1
    await queue.put(item(Pay(3), id="p"))
    await work_off(Worker(queue, CommandBus([shop.pay]), inbox=desk.inbox, outbox=desk.outbox))
    assert parts(desk) == (["paid 3"], {"#1/commands/p"}, [Paid(3)])
    assert (await queue.stats()).leased == 0


async def test_stores_without_transactions_serve_as_well() -> None:
    queue, inbox, outbox = MemoryQueue(), MemoryInbox(), MemoryOutbox()

    def pay(command: Pay, emit: Emit) -> None:
        emit(Paid(command.amount))

    await queue.put(item(Pay(3), id="p"))
    await work_off(Worker(queue, CommandBus([pay]), inbox=inbox, outbox=outbox))
    assert await inbox.has("#1/commands/p")
    [claim] = await outbox.claim(9, 30)
    assert CODEC.decode(claim.body).message == Paid(3)


@pytest.mark.parametrize("apart", [{"outbox": MemoryOutbox()}, {"inbox": MemoryInbox()}])
def test_an_outbox_or_an_inbox_apart_from_the_transaction_is_refused(apart: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=r"box=.* it is in a different store than"):
        Worker(Desk().queue, CommandBus({Pay: print}), **apart)


@pytest.mark.costly
async def test_a_handler_that_wants_a_transaction_where_there_is_none_is_told_and_buried_at_once() -> None:
    queue, shop = MemoryQueue(), Shop()
    await queue.put(item(Pay(3)))
    await work_off(Worker(queue, CommandBus([shop.pay]), concurrency=1))
    [dead] = await queue.dead()
    assert dead.reason.startswith("NoTransaction: Shop.pay takes a transaction and none is open")
    assert dead.attempts == 1


async def test_a_cancelled_handler_leaves_no_transaction_open() -> None:
    desk, seen = Desk(), list[Any]()

    async def pay(command: Pay, tx: Transaction) -> None:
        seen.append(tx)
        await tx.execute("paid")
        await anyio.sleep(50)

    await desk.queue.put(item(Pay(3)))
    worker = Worker(desk.queue, CommandBus([pay]), outbox=desk.outbox)
    await work_off(worker, 10)
    assert (desk.rows, open_transaction.get(), (await desk.queue.stats()).ready) == ([], None, 1)
    await work_off(worker, 100)
    assert (desk.rows, len(seen)) == (["paid"], 2)


@pytest.mark.costly
async def test_a_storeerror_of_a_handler_is_a_failure_as_any() -> None:
    desk, shop = Desk(), Shop()
    shop.errors += [StoreError("other", "is full")] * 2
    await desk.queue.put(item(Pay(3)))
    await work_off(Worker(desk.queue, CommandBus([shop.pay]), attempts=2))
    [dead] = await desk.queue.dead()
    assert dead.reason == "StoreError: other: is full"
