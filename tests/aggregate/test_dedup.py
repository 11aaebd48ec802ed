"""A command under one id takes effect once."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.aggregate import CommandRejected, Instance, only
from modd.cqrs import Duplicate, Emit, Envelope
from modd.ports import AlreadyHandled
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, recorded
from tests.aggregate.undone import undone

pytestmark = pytest.mark.anyio


async def test_a_command_id_that_was_handled_is_not_handled_again_also_by_another_process(stores: Any) -> None:
    # WM-33, WK-23
    first, second = (invoices(store=store) for store in stores)
    dispatched = await first.dispatch(Envelope(Issue("7"), id="c-1"))
    assert (dispatched.events, dispatched.envelope.has(Duplicate)) == ((Issued("7"),), False)
    for each in (first, second):
        again = await each.dispatch(Envelope(Issue("7"), id="c-1"))
        assert (again.events, again.envelope.has(Duplicate)) == ((), True)
    assert await recorded(first) == 1


async def test_ask_gives_none_for_a_duplicate_without_a_result_and_else_an_error(stores: Any) -> None:
    # WM-33, WK-23
    first, second = (invoices(store=store) for store in stores)
    ask: Any = second.ask
    for command in (Issue("7"), Pay("7")):
        await first.ask(Envelope(command, id=f"c-{type(command).__name__}"))
    assert await ask(Envelope(Issue("7"), id="c-Issue")) is None
    with pytest.raises(AlreadyHandled) as caught:
        await second.ask(Envelope(Pay("7"), id="c-Pay"))
    assert caught.value.id == "c-Pay"
    assert await recorded(first) == 2


async def test_of_two_that_come_at_once_with_one_id_one_is_handled_and_the_other_a_duplicate(stores: Any) -> None:
    # WM-33
    both = anyio.Event()
    entered = list[str]()

    async def waits(invoice: Instance[Invoice], command: Pay, emit: Emit) -> Paid:
        entered.append(command.invoice_id)
        emit(Issued("emitted"))
        if len(entered) == 2:
            both.set()
        await both.wait()
        return Paid(command.invoice_id)

    found = list[Any]()

    async def dispatch(aggregate: Any) -> None:
        found.append(await aggregate.dispatch(Envelope(Pay("7"), id="c-1")))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for store in stores:
                tasks.start_soon(dispatch, invoices(waits, store=store))
    found.sort(key=lambda each: len(each.events))
    assert [each.envelope.has(Duplicate) for each in found] == [True, False]
    assert [each.events for each in found] == [(), (Issued("emitted"), Paid("7"))]
    assert await recorded(invoices(store=stores[0])) == 1


async def test_a_command_that_was_handled_meanwhile_is_a_duplicate_and_not_rejected(stores: Any) -> None:
    # WM-33
    aggregate, other = invoices(store=stores[0]), invoices(store=stores[1])

    async def meanwhile(invoice: Instance[Invoice], command: Issue) -> None:
        if not invoice.exists():
            await other.dispatch(Envelope(Issue("7"), id="c-1"))
            await other.dispatch(Envelope(Issue("7"), id="c-2"))

    aggregate = invoices(store=stores[0], commands={Issue: [meanwhile, only.if_not_exists(), issue]})
    dispatched = await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
    assert (dispatched.events, dispatched.envelope.has(Duplicate)) == ((), True)

    late = invoices(store=stores[0], commands={Issue: [looks_late(other), only.if_not_exists(), issue]}, states=0)
    dispatched = await late.dispatch(Envelope(Issue("8"), id="c-3"))
    assert (dispatched.events, dispatched.envelope.has(Duplicate)) == ((), True)
    with pytest.raises(CommandRejected):
        await late.dispatch(Envelope(Issue("8"), id="c-4"))


def looks_late(other: Any) -> Any:
    """Return a check that rejects although the state, which was read before, has no event yet."""

    async def looks(invoice: Instance[Invoice], command: Issue, envelope: Envelope[Any]) -> None:
        if not invoice.exists():
            await other.dispatch(Envelope(command, id=envelope.id))
        raise CommandRejected

    return looks


async def test_a_command_id_without_events_is_taken_and_that_of_a_rejection_is_not(stores: Any) -> None:
    # WM-33
    calls = list[str]()

    def looks(invoice: Instance[Invoice], command: Pay) -> None:
        calls.append(invoice.id)
        if len(calls) == 1:
            raise CommandRejected

    aggregate = invoices(looks, store=stores[0])
    with pytest.raises(CommandRejected):
        await aggregate.dispatch(Envelope(Pay("7"), id="c-1"))
    for duplicate in (False, True):
        dispatched = await aggregate.dispatch(Envelope(Pay("7"), id="c-1"))
        assert dispatched.envelope.has(Duplicate) is duplicate
    assert calls == ["7", "7"]


async def test_an_id_that_the_bus_made_costs_no_inbox_entry(stores: Any) -> None:
    # WM-33
    aggregate = invoices(store=stores[0], new_id=lambda: "same")
    for _ in range(2):
        await aggregate.dispatch(Issue("7"))
    assert await recorded(aggregate) == 2
    assert not await stores[0].inbox.has("invoice/same")


async def test_one_id_is_taken_once_for_each_aggregate(stores: Any) -> None:
    # WM-33
    for name in ("invoice", "bill"):
        aggregate = invoices(store=stores[0]).stored(stores[0], name=name)
        await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
    assert [event.stream async for event in stores[0].events.read_all()] == ["invoice/7", "bill/7"]


@pytest.mark.parametrize("immediate", [False, True])
async def test_an_id_that_comes_twice_in_a_transaction_is_handled_once(immediate: bool, stores: Any) -> None:
    # WM-33, WM-32
    aggregate = invoices(store=stores[0])
    async with stores[0].transaction(immediate=immediate) as tx:
        async with undone(tx.savepoint()):
            await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
        for duplicate in (False, True):
            dispatched = await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
            assert dispatched.envelope.has(Duplicate) is duplicate
    assert await recorded(aggregate) == 1


async def test_an_id_that_somebody_else_has_in_the_inbox_is_an_error_of_its_own(stores: Any) -> None:
    # WM-33
    async def handles(invoice: Instance[Invoice], command: Pay) -> None:
        raise AlreadyHandled("of a service")

    with pytest.raises(AlreadyHandled, match="of a service"):
        await invoices(handles, store=stores[0]).dispatch(Envelope(Pay("7"), id="c-1"))
