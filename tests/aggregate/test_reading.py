"""Instances are read, as they are now or were in the past, and so is their history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from modd import InvalidOption
from modd.aggregate import Change, UnknownEvent, WrongState
from modd.cqrs import Actor, Envelope
from modd.ports import Conflict, Tagged
from modd.stores import MemoryStore, SqliteStore
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, Unknown, invoices, issued, recorded

pytestmark = pytest.mark.anyio


@pytest.fixture
def now() -> list[float]:
    """The time of the stores, as told."""
    return [100.0]


@pytest.fixture(params=["memory", "sqlite"])
async def timed(request: pytest.FixtureRequest, tmp_path: Any, now: list[float]) -> Any:
    """A store with the time as told."""

    def clock() -> float:
        return now[0]

    memory = request.param == "memory"
    async with MemoryStore(clock=clock) if memory else SqliteStore(tmp_path / "events.db", clock=clock) as opened:
        yield opened


async def past(store: Any, now: list[float]) -> Any:
    """Return an aggregate whose instance has an event at 100, 200 and 300."""
    aggregate = invoices(store=store, clock=lambda: now[0])
    for at, command in ((100.0, Issue("7")), (200.0, Issue("7", 20)), (300.0, Pay("7"))):
        now[0] = at
        await aggregate.dispatch(command)
    return aggregate


async def test_an_instance_is_read_as_it_is_now_and_cannot_publish(store: Any) -> None:
    # WM-37
    aggregate = invoices(store=store, clock=lambda: 5.0)
    assert not (await aggregate.get("7")).exists()
    await aggregate.dispatch(Issue("7"), Actor("ada"))
    found = await aggregate.get("7")
    assert (found.id, found.state, found.revision, found.exists()) == ("7", Invoice(10, "issued"), 1, True)
    assert (found.owner, found.at, found.published) == ("ada", 5.0, [])
    with pytest.raises(InvalidOption, match="read only"):
        found.publish(Paid("7"))
    with pytest.raises(InvalidOption, match="read only"):
        (await aggregate.read(Pay("7"))).publish()


async def test_an_identity_that_is_a_whole_number_is_its_text(store: Any) -> None:
    # WM-37
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7"))
    assert (await aggregate.get(7)).exists()
    for wrong in ("", None, True, 1.5):
        with pytest.raises(InvalidOption, match="identity"):
            await aggregate.get(wrong)


async def test_an_instance_is_read_as_it_was_at_a_revision(timed: Any, now: list[float]) -> None:
    # WM-37
    aggregate = await past(timed, now)
    found = [await aggregate.get("7", revision=revision) for revision in (0, 1, 2, 3, 9)]
    assert [(each.state.amount, each.revision) for each in found] == [(0, 0), (10, 1), (20, 2), (20, 3), (20, 3)]
    assert (await aggregate.get("7")).state.phase == "paid"
    wrong: Any
    for wrong in (-1, 1.5, "1"):
        with pytest.raises(InvalidOption, match="revision"):
            await aggregate.get("7", revision=wrong)
        with pytest.raises(InvalidOption, match="revision"):
            await aggregate.get("7", revision=wrong, until=100)


async def test_an_instance_is_read_as_it_was_at_a_time(timed: Any, now: list[float]) -> None:
    # WM-37
    aggregate = await past(timed, now)
    found = [await aggregate.get("7", until=until) for until in (99, 100, 299.5, 300, 999)]
    assert [each.revision for each in found] == [0, 1, 2, 3, 3]
    assert (await aggregate.get("7", until=250, revision=1)).revision == 1
    assert (await aggregate.get("7", until=150, revision=2)).revision == 1
    wrong: Any
    for wrong in (datetime.fromtimestamp(5, UTC), "100", float("nan")):
        with pytest.raises(InvalidOption, match="seconds since 1970"):
            await aggregate.get("7", until=wrong)
    wrong = 7
    with pytest.raises(InvalidOption, match="tenant"):
        await aggregate.get("7", tenant=wrong)
    with pytest.raises(InvalidOption, match="tenant"):
        aggregate.history("7", tenant=wrong)


async def test_the_past_is_read_over_many_pages_and_events_about_access_count(store: Any) -> None:
    # WM-37
    def gives(invoice: Any, command: Pay) -> list[Paid]:
        invoice.transfer_ownership("bob")
        return [Paid(command.invoice_id)] * 600

    aggregate = invoices(gives, store=store, snapshots=0)
    await aggregate.dispatch(Pay("7"), Actor("ada"))
    found = [await aggregate.get("7", revision=revision) for revision in (1, 256, 257, 600, 601, 602)]
    assert [each.revision for each in found] == [1, 256, 257, 600, 601, 601]
    assert {each.owner for each in found} == {"bob"}


async def test_the_history_has_each_event_with_its_state_its_place_and_its_cause(timed: Any, now: list[float]) -> None:
    # WM-37
    aggregate = invoices(store=timed)
    await aggregate.dispatch(Issue("8"))
    now[0] = 200.0
    await aggregate.dispatch(Envelope(Issue("7", 3), Actor("ada"), id="c-1"))
    await aggregate.dispatch(Envelope(Pay("7"), id="c-2"))
    assert [change async for change in aggregate.history("7")] == [
        Change(Issued("7", 3), Invoice(3, "issued"), 1, 2, 200.0, "c-1#1", "c-1", "c-1", "ada"),
        Change(Paid("7"), Invoice(3, "paid"), 2, 3, 200.0, "c-2#1", "c-2", "c-2", None),
    ]
    assert [change async for change in aggregate.history("9")] == []


async def test_the_history_has_events_about_access_too(store: Any) -> None:
    # WM-37
    def gives(invoice: Any, command: Pay) -> Paid:
        invoice.transfer_ownership("bob")
        return Paid(command.invoice_id)

    aggregate = invoices(gives, store=store)
    await aggregate.dispatch(Pay("7"))
    assert [type(change.event).__name__ async for change in aggregate.history("7")] == ["OwnershipTransferred", "Paid"]


async def test_what_has_no_identity_is_read_by_its_command() -> None:
    # WM-37
    aggregate = invoices(identity=None, boundary=lambda command: Tagged("a"), tags=lambda event: ["a"])
    await aggregate.dispatch(Issue("7"))
    assert (await aggregate.read(Pay("8"))).state.phase == "issued"
    with pytest.raises(InvalidOption, match=r"use read\(command\)"):
        await aggregate.get("7")
    with pytest.raises(InvalidOption, match=r"use read\(command\)"):
        aggregate.history("7")


async def test_events_are_recorded_without_a_decision(store: Any) -> None:
    # WM-37
    aggregate = invoices(store=store)
    await aggregate.record(Issue("7"), Issued("7", 3), Paid("7"), stamps=[Actor("ada")])
    found = await aggregate.get("7")
    assert (found.state, found.owner) == (Invoice(3, "paid"), "ada")
    await aggregate.record(Envelope(Pay("7"), Actor("bob")), Issued("7", 4))
    assert [change.actor async for change in aggregate.history("7")] == ["ada", "ada", "bob"]
    await aggregate.record(Issue("7"))
    with pytest.raises(UnknownEvent):
        await aggregate.record(Issue("7"), Paid("7"), Unknown())
    assert await recorded(aggregate) == 3
    assert await aggregate.ask(Pay("7")) == 4


async def test_events_that_do_not_fit_are_not_recorded(store: Any) -> None:
    # WM-37
    def breaks(state: Invoice, event: Paid) -> Any:
        return None

    aggregate = invoices(store=store, events={Issued: issued, Paid: breaks})
    with pytest.raises(WrongState, match="breaks"):
        await aggregate.record(Issue("7"), Issued("7"), Paid("7"))
    assert await recorded(aggregate) == 0


async def test_what_was_recorded_beside_a_kept_state_is_found_by_the_next_command(store: Any) -> None:
    # WM-37, WM-31
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7", 3))
    await aggregate.record(Issue("7"), Issued("7", 4))
    assert await aggregate.ask(Pay("7")) == 4
    with pytest.raises(Conflict):
        await store.events.append("invoice/7", [b"{}"], 2)
