"""Two writers of one instance: the second decides anew."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Value
from modd.aggregate import Aggregate, CommandRejected, Instance, Mark, only
from modd.cqrs import Actor, Command, Emit, Envelope, Event, Forbidden
from modd.ports import Conflict, RevisionConflict
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, recorded

pytestmark = pytest.mark.anyio


class Meddling:
    """A command before whose recording another writer is faster, for so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.seen = times, list[int]()
        self.other: Any = None

    async def __call__(self, invoice: Instance[Invoice], command: Pay, emit: Emit) -> Paid:
        self.seen.append(invoice.state.amount)
        emit(Issued("emitted", invoice.state.amount))
        if len(self.seen) <= self.times:
            await self.other.dispatch(Issue(command.invoice_id, 10 * len(self.seen)))
        return Paid(command.invoice_id)


async def test_a_second_writer_decides_anew_from_the_new_events(stores: Any) -> None:
    # WM-29
    meddling = Meddling(2)
    aggregate, meddling.other = invoices(meddling, store=stores[0]), invoices(store=stores[1])
    dispatched = await aggregate.dispatch(Pay("7"))
    assert meddling.seen == [0, 10, 20]
    assert dispatched.events == (Issued("emitted", 20), Paid("7"))
    assert [type(change.event) async for change in aggregate.history("7")] == [Issued, Issued, Paid]
    assert (await aggregate.get("7")).state == Invoice(20, "paid")


async def test_a_conflict_is_raised_after_so_many_attempts_and_nothing_is_recorded_then(stores: Any) -> None:
    # WM-29
    meddling = Meddling(9)
    aggregate, meddling.other = invoices(meddling, store=stores[0], attempts=3), invoices(store=stores[1])
    with pytest.raises(RevisionConflict):
        await aggregate.dispatch(Pay("7"))
    assert meddling.seen == [0, 10, 20]
    assert await recorded(aggregate) == 3
    meddling.times = 0
    await aggregate.dispatch(Pay("7"))
    assert meddling.seen == [0, 10, 20, 30]


@pytest.mark.parametrize("immediate", [False, True])
async def test_in_a_transaction_of_somebody_else_a_conflict_is_raised_to_its_owner_who_begins_it_again(
    immediate: bool, stores: Any
) -> None:
    # WM-29, WM-31
    aggregate, other = invoices(store=stores[0]), invoices(store=stores[1])
    await aggregate.dispatch(Issue("7"))
    await other.dispatch(Issue("7", 20))
    with pytest.raises(Conflict):
        async with stores[0].transaction(immediate=immediate):
            await aggregate.dispatch(Pay("7"))
    async with stores[0].transaction(immediate=immediate):
        assert await aggregate.ask(Pay("7")) == 20
    assert await recorded(aggregate) == 3


async def test_a_rejection_from_a_kept_state_is_looked_at_again_with_the_stored_events(stores: Any) -> None:
    # WM-31
    seen = list[str]()

    def pays(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        seen.append(invoice.state.phase)
        if invoice.state.phase == "paid":
            return mark.as_rejected("Paid before.")
        if invoice.state.amount > 10:
            invoice.publish(Paid(command.invoice_id))
        mark.as_done(invoice.state.amount)

    aggregate, other = invoices(pays, store=stores[0]), invoices(store=stores[1])
    for each in (aggregate, other):
        await each.dispatch(Issue("7"))
    assert await aggregate.ask(Pay("7")) == 10
    assert await aggregate.ask(Pay("7")) == 10
    await other.dispatch(Issue("7", 20))
    assert await aggregate.ask(Pay("7")) == 20  # without an effect, from the kept state: looked at again
    with pytest.raises(CommandRejected, match=r"Paid before\."):
        await aggregate.dispatch(Pay("7"))
    await other.dispatch(Issue("7", 30))
    assert await aggregate.ask(Pay("7")) == 30
    assert seen == ["issued"] * 6 + ["paid", "paid", "issued"]


async def test_who_was_denied_by_a_kept_owner_is_looked_at_again_with_the_stored_one(stores: Any) -> None:
    # WM-31, WM-38
    def gives(invoice: Instance[Invoice], command: Issue) -> None:
        invoice.transfer_ownership("eve")

    ada, eve = Actor("ada"), Actor("eve")
    aggregate = invoices(store=stores[0], access={})
    other = invoices(store=stores[1], access={}, commands={Issue: gives})
    await aggregate.dispatch(Issue("7"), ada)
    with pytest.raises(Forbidden):
        await aggregate.dispatch(Pay("7"), eve)
    await other.dispatch(Issue("7"), ada)
    assert await aggregate.ask(Pay("7"), eve) == 10
    with pytest.raises(Forbidden):
        await aggregate.dispatch(Pay("7"), ada)


class Add(Command[None]):
    account: str


class Added(Event):
    account: str
    total: int


class Total(Value, frozen=True):
    value: int = 0


async def add(account: Instance[Total], command: Add) -> Added:
    await anyio.lowlevel.checkpoint()
    return Added(command.account, account.state.value + 1)


def added(total: Total, event: Added) -> Total:
    return Total(event.total)


def accounts(store: Any, **options: Any) -> Aggregate[Total]:
    return Aggregate(
        "account", identity="account", state=Total, commands={Add: add}, events={Added: added}, store=store, **options
    )


async def test_two_writers_of_one_file_lose_no_update(stores: Any) -> None:
    # WM-29
    async with anyio.create_task_group() as tasks:
        for each in [accounts(store, attempts=100) for store in stores]:
            for _ in range(10):
                tasks.start_soon(each.dispatch, Add("a"))
    fresh = accounts(stores[0])
    assert [change.event.total async for change in fresh.history("a")] == [*range(1, 21)]


async def test_a_check_that_fails_after_a_conflict_rejects(stores: Any) -> None:
    # WM-29
    calls = list[bool]()

    async def meddles(invoice: Instance[Invoice], command: Issue, emit: Emit) -> None:
        calls.append(invoice.exists())
        emit(Issued("emitted"))
        if len(calls) == 1:
            await other.dispatch(Envelope(Issue(command.invoice_id), id="other"))

    chain = [only.if_not_exists(), meddles, issue]
    aggregate, other = invoices(store=stores[0], commands={Issue: chain}), invoices(store=stores[1])
    with pytest.raises(CommandRejected, match="already exists"):
        await aggregate.dispatch(Issue("7"))
    assert (calls, await recorded(aggregate)) == ([False], 1)
