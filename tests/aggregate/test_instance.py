"""The instance: the subject of a decision."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from modd import InvalidOption
from modd.aggregate import CommandRejected, Instance, Mark, UnknownEvent, WrongState
from modd.cqrs import Actor, Forbidden
from modd.ports import Tagged
from modd.stores import MemoryStore
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, Unknown, invoices, pay, recorded

pytestmark = pytest.mark.anyio


async def test_an_instance_tells_its_identity_state_revision_and_existence() -> None:
    # WM-15
    seen = list[Any]()

    def looks(invoice: Instance[Invoice], command: Pay) -> None:
        seen.append((invoice.id, invoice.state, invoice.revision, invoice.exists(), invoice.owner))

    aggregate = invoices(looks, pay)
    await aggregate.dispatch(Pay("7"), Actor("ada"))
    await aggregate.dispatch(Pay("7"), Actor("bob"))
    assert seen == [
        ("7", Invoice(0, "draft"), 0, False, None),
        ("7", Invoice(0, "paid"), 1, True, "ada"),
    ]
    assert repr(await aggregate.get("7")) == "<Instance of invoice/7 at revision 2>"


async def test_publishing_changes_the_state_at_once_and_counts_events_that_are_not_stored() -> None:
    # WM-15, WK-11
    def publishes(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        assert (invoice.revision, invoice.exists()) == (1, True)
        invoice.publish(Issued(command.invoice_id, 20))
        assert (invoice.state, invoice.revision) == (Invoice(20, "issued"), 2)
        invoice.publish(Paid(command.invoice_id), Issued(command.invoice_id, 30))
        assert (invoice.state, invoice.revision) == (Invoice(30, "issued"), 4)
        mark.as_done()

    aggregate = invoices(publishes)
    await aggregate.dispatch(Issue("7"))
    await aggregate.dispatch(Pay("7"))
    assert [change.revision async for change in aggregate.history("7")] == [1, 2, 3, 4]


async def test_events_of_one_function_are_seen_by_the_next_and_do_not_make_the_instance_exist() -> None:
    # WM-15, WK-11
    seen = list[Any]()

    def publishes(invoice: Instance[Invoice], command: Pay) -> None:
        invoice.publish(Issued(command.invoice_id, 20))

    def looks(invoice: Instance[Invoice], command: Pay) -> Paid:
        seen.append((invoice.state.amount, invoice.revision, invoice.exists()))
        return Paid(command.invoice_id)

    aggregate = invoices(publishes, looks)
    assert (await aggregate.dispatch(Pay("7"))).events == (Issued("7", 20), Paid("7"))
    assert seen == [(20, 1, False)]
    assert await recorded(aggregate) == 2


async def test_the_time_of_the_decision_is_one_for_the_whole_chain() -> None:
    # WM-15
    seen, ticks = list[float](), count(1000)

    def looks(invoice: Instance[Invoice], command: Pay) -> None:
        seen.append(invoice.at)

    async def looks_later(invoice: Instance[Invoice], command: Pay) -> None:
        await checkpoint()
        seen.append(invoice.at)

    aggregate = invoices(looks, looks_later, looks, pay, clock=lambda: next(ticks))
    await aggregate.dispatch(Pay("7"))
    await aggregate.dispatch(Pay("7"))
    first, second = seen[0], seen[3]
    assert seen == [first] * 3 + [second] * 3
    assert 1000 <= first < second


@pytest.mark.parametrize("event", [Unknown(), Pay("7"), 5])
async def test_an_event_without_a_function_is_an_error_that_names_it_and_those_that_have_one(event: Any) -> None:
    # WM-15, WK-11
    def publishes(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        invoice.publish(event)
        mark.as_done()

    aggregate = invoices(publishes)
    with pytest.raises(UnknownEvent) as caught:
        await aggregate.dispatch(Pay("7"))
    error, name = caught.value, type(event).__name__
    assert isinstance(error, LookupError)
    assert (error.event, error.aggregate, error.known, error.place) == (name, "invoice", ("Issued", "Paid"), "")
    assert str(error) == (
        f"invoice has no function for the event {name}; its events are: Issued, Paid; add a function for it"
    )
    assert await recorded(aggregate) == 0


async def test_a_returned_event_without_a_function_is_the_same_error() -> None:
    # WM-15
    with pytest.raises(UnknownEvent, match="Unknown"):
        await invoices(lambda invoice, command: Unknown()).dispatch(Pay("7"))


async def test_to_publish_after_the_command_is_refused() -> None:
    # WM-15
    kept = list[Instance[Invoice]]()

    def keeps(invoice: Instance[Invoice], command: Pay) -> None:
        kept.append(invoice)

    def fails(invoice: Instance[Invoice], command: Pay) -> None:
        kept.append(invoice)
        raise CommandRejected("No.")

    aggregate = invoices(keeps, pay)
    await aggregate.dispatch(Pay("7"))
    with pytest.raises(CommandRejected):
        await invoices(fails).dispatch(Pay("7"))
    over = r"publish=.*its command is over, or it was read; dispatch a command"
    for instance in (*kept, await aggregate.get("7"), await aggregate.read(Pay("7"))):
        with pytest.raises(InvalidOption, match=over):
            instance.publish(Paid("7"))
        with pytest.raises(InvalidOption, match=over):
            instance.transfer_ownership("ada")
    assert await recorded(aggregate) == 1


async def test_an_event_function_that_returns_no_state_is_an_error_that_names_it() -> None:
    # WM-16
    def forgets(state: Invoice, event: Paid) -> Any:
        return None

    aggregate = invoices(events={Paid: forgets})
    with pytest.raises(WrongState) as caught:
        await aggregate.dispatch(Pay("7"))
    error = caught.value
    assert isinstance(error, TypeError)
    assert (error.function.endswith("forgets"), error.state, error.returned) == (True, Invoice, type(None))
    assert "forgets returned NoneType, and the state is Invoice; return the new state" in str(error)
    assert await recorded(aggregate) == 0


async def test_an_event_function_that_stops_returning_a_state_is_found_when_its_events_are_read() -> None:
    # WM-16
    aggregate = invoices()
    await aggregate.dispatch(Pay("7"))
    changed = aggregate.stored(aggregate.store, events={Paid: lambda state, event: 5})
    with pytest.raises(WrongState, match="returned int, and the state is Invoice"):
        await changed.get("7")


async def test_a_subclass_of_the_state_is_a_state() -> None:
    # WM-16
    class Overdue(Invoice, frozen=True):
        days: int = 0

    aggregate = invoices(events={Paid: lambda state, event: Overdue(days=3)}, snapshots=0)
    await aggregate.dispatch(Pay("7"))
    assert (await aggregate.stored(aggregate.store).get("7")).state == Overdue(days=3)


async def test_a_rejected_command_takes_no_revision() -> None:
    # WK-25
    def rejects(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        invoice.publish(Paid(command.invoice_id))
        mark.as_rejected()

    aggregate = invoices(rejects)
    await aggregate.dispatch(Issue("7"))
    for _ in range(3):
        with pytest.raises(CommandRejected):
            await aggregate.dispatch(Pay("7"))
    await aggregate.dispatch(Issue("7"))
    assert [change.revision async for change in aggregate.history("7")] == [1, 2]
    assert [change.position async for change in aggregate.history("7")] == [1, 2]


async def test_an_instance_may_change_its_owner_and_who_may_give_commands() -> None:
    # WM-15
    ada, bob, eve = Actor("ada"), Actor("bob"), Actor("eve")
    owners = list[str | None]()

    def hands_over(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        invoice.transfer_ownership("bob")
        invoice.authorize({Issue: "public"})
        owners.append(invoice.owner)
        mark.as_done()

    aggregate = invoices(hands_over, access={})
    await aggregate.dispatch(Issue("7"), ada)
    await aggregate.dispatch(Pay("7"), ada)
    await aggregate.dispatch(Issue("7"), eve)
    await aggregate.dispatch(Pay("7"), bob)
    with pytest.raises(Forbidden):
        await aggregate.dispatch(Pay("7"), ada)
    assert owners == ["bob", "bob"]
    assert ((await aggregate.get("7")).owner, (await aggregate.get("7")).revision) == ("bob", 6)


@pytest.mark.parametrize("to", ["", None, 5, Actor("bob")])
async def test_an_owner_that_is_no_text_is_refused(to: Any) -> None:
    # WM-15
    def hands_over(invoice: Instance[Invoice], command: Pay) -> None:
        invoice.transfer_ownership(to)

    with pytest.raises(InvalidOption, match=r"to=.*give the id of an Actor"):
        await invoices(hands_over).dispatch(Pay("7"))


async def test_an_instance_of_the_past_is_for_reading() -> None:
    # WM-15
    ticks = count(1000)
    store = MemoryStore(clock=lambda: next(ticks))
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7"))
    [issued] = [change async for change in aggregate.history("7")]
    await aggregate.dispatch(Pay("7"))
    assert (await aggregate.get("7", revision=1)).state == Invoice(10, "issued")
    assert (await aggregate.get("7", until=issued.at)).state == Invoice(10, "issued")
    assert (await aggregate.get("7", until=issued.at, revision=0)).state == Invoice()
    assert (await aggregate.get("7")).state == Invoice(10, "paid")


async def test_an_aggregate_with_a_boundary_has_no_identity_to_get() -> None:
    # WM-15
    aggregate = invoices(identity=None, boundary=lambda command: Tagged("invoice"), tags=lambda event: ["invoice"])
    await aggregate.dispatch(Issue("7"))
    assert (await aggregate.read(Pay("8"))).state == Invoice(10, "issued")
    for read in (aggregate.get, aggregate.history):
        with pytest.raises(InvalidOption, match=r"invoice has a boundary and no identity; use read\(command\)"):
            await read("7")  # type: ignore[misc]
