"""Commands in transactions: they see the ones before them, and a rollback leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.aggregate import Aggregate, CommandRejected, Instance, only
from modd.ports import Conflict
from modd.ports.transaction import open_transaction
from modd.stores import MemoryStore, SqliteStore
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, pay, recorded
from tests.aggregate.undone import undone
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio

BEGIN_SNAPSHOT = "SELECT 1 FROM modd_store"


kinds = pytest.mark.parametrize("immediate", [False, True])


@kinds
async def test_a_command_in_a_transaction_sees_the_ones_before_it(immediate: bool, store: Any) -> None:
    # WM-32
    aggregate = invoices(only.if_exists(), pay, store=store)
    async with store.transaction(immediate=immediate):
        await aggregate.dispatch(Issue("7", 20))
        assert await aggregate.ask(Pay("7")) == 20
        assert (await aggregate.dispatch(Issue("7", 30))).events == (Issued("7", 30),)
        assert await aggregate.ask(Pay("7")) == 30
    assert [change.revision async for change in aggregate.history("7")] == [1, 2, 3, 4]
    assert await aggregate.ask(Pay("7")) == 30


@kinds
async def test_a_command_in_a_transaction_sees_nothing_of_a_savepoint_that_failed(immediate: bool, store: Any) -> None:
    # WM-32
    aggregate = invoices(only.if_exists(), pay, store=store)
    async with store.transaction(immediate=immediate) as tx:
        async with undone(tx.savepoint()):
            await aggregate.dispatch(Issue("7", 20))
        with pytest.raises(CommandRejected):
            await aggregate.dispatch(Pay("7"))
        await aggregate.dispatch(Issue("7", 30))
        async with undone(tx.savepoint()):
            await aggregate.dispatch(Issue("7", 40))
        assert await aggregate.ask(Pay("7")) == 30
    assert [change.event async for change in aggregate.history("7")] == [Issued("7", 30), Paid("7")]


@kinds
@pytest.mark.parametrize("before", [0, 1])
async def test_a_transaction_that_is_rolled_back_leaves_nothing_in_memory(
    before: int, immediate: bool, store: Any
) -> None:
    # WM-31
    seen = list[Any]()

    def looks(invoice: Instance[Invoice], command: Pay) -> Paid:
        seen.append((invoice.state, invoice.revision))
        return Paid(command.invoice_id)

    aggregate = invoices(looks, store=store)
    for _ in range(before):
        await aggregate.dispatch(Issue("7"))
    async with undone(store.transaction(immediate=immediate)):
        await aggregate.dispatch(Issue("7", 20))
    await aggregate.dispatch(Pay("7"))
    assert seen == [(Invoice(10, "issued") if before else Invoice(), before)]
    assert await recorded(aggregate) == before + 1


@kinds
async def test_a_transaction_that_is_cancelled_leaves_nothing_in_memory(immediate: bool, store: Any) -> None:
    # WM-31
    aggregate = invoices(only.if_exists(), pay, store=store)
    with anyio.CancelScope() as scope:
        async with store.transaction(immediate=immediate):
            await aggregate.dispatch(Issue("7"))
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    with anyio.fail_after(60), pytest.raises(CommandRejected):
        await aggregate.dispatch(Pay("7"))
    assert await recorded(aggregate) == 0


async def test_a_command_that_is_cancelled_while_it_is_recorded_leaves_a_state_as_it_is_stored(store: Any) -> None:
    # WM-31
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7"))
    for amount in (20, 30):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await aggregate.dispatch(Issue("7", amount))
    stored = [change.event.amount async for change in aggregate.history("7")]
    assert await aggregate.ask(Pay("7")) == stored[-1]
    assert await recorded(aggregate) == len(stored) + 1


async def test_a_transaction_of_another_store_is_not_that_of_a_command(tmp_path: Path, store: Any) -> None:
    # WM-32
    for other in (MemoryStore(), SqliteStore(tmp_path / "other.db")):
        aggregate = invoices(store=store)
        async with other, undone(other.transaction()):
            await aggregate.dispatch(Issue("7"))
    assert await recorded(aggregate) == 2


@kinds
async def test_what_is_read_and_recorded_in_a_transaction_follows_the_commands_before(
    immediate: bool, store: Any
) -> None:
    # WM-32, WM-37
    aggregate = invoices(store=store)
    bills = invoices(only.if_aggregate_exists(aggregate, "invoice_id"), pay, store=store).stored(store, name="bill")
    async with store.transaction(immediate=immediate):
        await aggregate.dispatch(Issue("7", 20))
        assert (await aggregate.get("7")).state == Invoice(20, "issued")
        assert (await aggregate.read(Pay("7"))).revision == 1
        assert await bills.ask(Pay("7")) == 0
        await aggregate.record(Issue("7"), Issued("7", 30))
        assert await aggregate.ask(Pay("7")) == 30
        await aggregate.record(Issue("7"), Issued("7", 40))
    assert await aggregate.ask(Pay("7")) == 40
    with pytest.raises(CommandRejected, match=r"Invoice does not exist\."):
        await bills.dispatch(Pay("8"))


async def test_several_aggregates_of_a_store_are_in_one_transaction(store: Any) -> None:
    # WM-32
    first: Aggregate[Invoice] = invoices(store=store)
    second = first.stored(store, name="bill")
    async with undone(store.transaction()):
        await first.dispatch(Issue("7"))
        await second.dispatch(Issue("7"))
    assert await recorded(first) == 0
    async with store.transaction():
        await first.dispatch(Issue("7"))
        await second.dispatch(Issue("7", 20))
    assert [await each.ask(Pay("7")) for each in (first, second)] == [10, 20]


async def test_states_are_kept_so_that_a_command_reads_nothing(store: Any) -> None:
    # WM-31
    folded = list[int]()

    def issued(state: Invoice, event: Issued) -> Invoice:
        folded.append(event.amount)
        return Invoice(event.amount, "issued")

    for states, expected in ((1, [1, 2]), (0, [1, 1, 2]), (None, [1, 2])):
        options: Any = {} if states is None else {"states": states}
        folded.clear()
        aggregate = invoices(store=store, commands={Issue: issue}, events={Issued: issued}, **options)
        id = str(states)
        await aggregate.dispatch(Issue(id, 1))
        await aggregate.dispatch(Issue(id, 2))
        assert folded == expected


async def test_states_that_were_not_used_for_longest_make_room(store: Any) -> None:
    # WM-31
    folded = list[str]()

    def issued(state: Invoice, event: Issued) -> Invoice:
        folded.append(event.invoice_id)
        return Invoice(event.amount, "issued")

    aggregate = invoices(store=store, commands={Issue: issue}, events={Issued: issued}, states=2)
    for id in ("a", "b", "a", "c"):
        await aggregate.dispatch(Issue(id))
    folded.clear()
    await aggregate.dispatch(Issue("a"))
    await aggregate.dispatch(Issue("b"))
    assert folded == ["a", "b", "b"]


@kinds
async def test_commands_of_many_transactions_for_one_instance_lose_no_update(immediate: bool, store: Any) -> None:
    # WM-32, WM-29
    aggregate = invoices(store=store)
    count = 10

    def pays(invoice: Instance[Invoice], command: Pay) -> Issued:
        return Issued(command.invoice_id, invoice.state.amount + 1)

    aggregate = invoices(pays, store=store)

    async def increase() -> None:
        while True:
            try:
                async with store.transaction(immediate=immediate):
                    await aggregate.dispatch(Pay("7"))
                    await aggregate.dispatch(Pay("7"))
            except Conflict:
                continue
            return

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(increase)
                tasks.start_soon(aggregate.dispatch, Pay("7"))
    amounts = [change.event.amount async for change in aggregate.history("7")]
    assert amounts == [*range(1, 3 * count + 1)]


async def test_the_first_command_for_an_instance_in_a_deferred_transaction_needs_no_snapshot(tmp_path: Path) -> None:
    # WM-141
    watch = Watch()
    async with SqliteStore(tmp_path / "events.db", connect=watch) as store:
        aggregate = invoices(store=store)
        before = watch.done[BEGIN_SNAPSHOT]
        async with store.transaction():
            await aggregate.dispatch(Issue("7", 20))
        assert (watch.done[BEGIN_SNAPSHOT] - before, await recorded(aggregate)) == (0, 1)


async def test_the_first_command_for_an_instance_in_a_deferred_transaction_conflicts_with_later_events(
    store: Any,
) -> None:
    # WM-141
    async def issue_and(*commands: Any) -> None:
        async with store.transaction():
            await store.documents("a").put("a", b"")
            for command in commands:
                await invoices(ignore, store=store).dispatch(command)
            token = open_transaction.set(None)
            await other.dispatch(Issue("7", 20))
            open_transaction.reset(token)

    def ignore(invoice: Instance[Invoice], command: Pay) -> None:
        """Record nothing."""

    other = invoices(store=store)
    for number, command in enumerate((Pay("7"), Issue("7", 1)), 1):
        with pytest.raises(Conflict):
            await issue_and(command)
        assert (await recorded(other), await store.documents("a").items()) == (number, [])
