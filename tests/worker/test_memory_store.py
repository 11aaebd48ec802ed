"""A store in memory stands where a store in a file does: for workers, relays and middleware."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.cqrs import Command, CommandBus, Emit, Event
from modd.errors import InvalidOption
from modd.middleware import Enqueue, Idempotency, Transactional
from modd.ports import Item, Transaction
from modd.relay import Relay
from modd.stores import MemoryStore
from modd.worker import Worker

pytestmark = pytest.mark.anyio


class Deposit(Command[None]):
    cents: int


class Deposited(Event):
    cents: int


class Account:
    """A handler that reads a balance, and writes it higher."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.balances = self.store.documents("balances")
        self.calls = self.failures = 0

    async def deposit(self, command: Deposit, tx: Transaction, emit: Emit) -> None:
        self.calls += 1
        balance = int(await self.balances.get("a") or 0)
        await anyio.lowlevel.checkpoint()
        await self.balances.put("a", b"%d" % (balance + command.cents))
        emit(Deposited(command.cents))
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError

    async def balance(self) -> bytes | None:
        return await self.balances.get("a")

    async def emitted(self) -> int:
        return len(await self.store.outbox.claim(500, 30))


def worker(account: Account, bus: CommandBus, number: int, **options: Any) -> Worker:
    store = account.store
    parts: dict[str, Any] = {"inbox": store.inbox, "outbox": store.outbox}
    return Worker(store.queue("deposits"), bus, max_messages=number, **parts, **options)


async def test_a_worker_handles_each_message_in_one_transaction_with_its_effects() -> None:
    # WM-7, WM-8
    account = Account()
    bus = CommandBus([account.deposit], middleware=[Enqueue(account.store.queue("deposits"))])
    for _ in range(40):
        await bus.dispatch(Deposit(1))
    await worker(account, bus, 40, attempts=1).run()
    assert (await account.balance(), await account.emitted()) == (b"40", 40)
    assert 40 < account.calls <= 80
    assert (await account.store.queue("deposits").stats()).dead == 0


async def test_a_handler_that_fails_leaves_nothing() -> None:
    account = Account()
    account.failures = 2
    bus = CommandBus([account.deposit], middleware=[Enqueue(account.store.queue("deposits"))])
    await bus.dispatch(Deposit(1))
    await worker(account, bus, 3, attempts=3, backoff="none").run()
    assert (account.calls, await account.balance(), await account.emitted()) == (3, b"1", 1)


async def test_a_message_whose_id_the_inbox_has_is_not_handled_again() -> None:
    account = Account()
    queue, bus = account.store.queue("deposits"), CommandBus([account.deposit])
    await CommandBus([account.deposit], middleware=[Enqueue(queue)]).dispatch(Deposit(1))
    [claim] = await queue.claim(1, 60)
    await queue.ack(claim)
    for _ in range(2):
        await queue.put(Item(claim.body, claim.headers, id=claim.id))
        await worker(account, bus, 1).run()
    assert (account.calls, await account.balance()) == (1, b"1")


async def test_a_relay_puts_and_acknowledges_in_one_transaction() -> None:
    store = MemoryStore()
    await store.outbox.put(b"1", Item(b"2", id="2"))
    relay = Relay(store.outbox, store.queue("events"))
    assert (await relay.pass_on(), await relay.pass_on()) == (2, 0)
    assert [claim.body for claim in await store.queue("events").claim(9, 60)] == [b"1", b"2"]


async def test_a_dispatch_is_a_transaction_with_its_events_and_its_stored_result() -> None:
    account = Account()
    once = Idempotency(store=account.store.cache, key=lambda _: "once")
    bus = CommandBus([account.deposit], middleware=[once, Transactional(account.store)])
    account.failures = 1
    with pytest.raises(ZeroDivisionError):
        await bus.dispatch(Deposit(1))
    assert (await account.balance(), await account.emitted()) == (None, 0)
    for _ in range(2):
        await bus.dispatch(Deposit(1))
    assert (account.calls, await account.balance(), await account.emitted()) == (2, b"1", 1)


async def test_parts_of_two_stores_are_an_error() -> None:
    with pytest.raises(InvalidOption, match="it is in a different store"):
        Worker(
            MemoryStore().queue("a"),
            CommandBus([Account().deposit]),
            inbox=MemoryStore().inbox,
            outbox=MemoryStore().outbox,
        )
