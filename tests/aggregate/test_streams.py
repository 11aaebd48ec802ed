"""The streams of instances: their names, the headers of their events, and events of older versions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd.aggregate import UnknownEvent
from modd.cqrs import Actor, Codec, Envelope, Event, InvalidUpcasters, Stamp, Tenant
from modd.ports import Item
from modd.stores import MemoryStore
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, Unknown, invoices, paid

pytestmark = pytest.mark.anyio

EVENTS = Codec([Issued, Paid])


class Origin(Stamp):
    """A stamp that events inherit."""

    inherited = True

    country: str


class Priority(Stamp):
    """A stamp that events do not inherit."""

    level: int


async def streams_in(store: Any) -> list[str]:
    return [event.stream async for event in store.events.read_all()]


async def test_the_stream_of_an_instance_has_its_name_and_its_identity(store: Any) -> None:
    # WM-27
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7"))
    await aggregate.dispatch(Issue("8/9"))
    assert await streams_in(store) == ["invoice/7", "invoice/8/9"]


async def test_instances_of_tenants_with_the_same_identity_never_meet(store: Any) -> None:
    # WM-27
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7", 1))
    for tenant, amount in (("a/b", 2), ("a", 3)):
        await aggregate.dispatch(Issue("7", amount), Tenant(tenant))
    assert await streams_in(store) == ["invoice/7", "~a%2Fb/invoice/7", "~a/invoice/7"]
    assert [(await aggregate.get("7", tenant=tenant)).state.amount for tenant in (None, "a/b", "a")] == [1, 2, 3]
    assert [change.event async for change in aggregate.history("7", tenant="a")] == [Issued("7", 3)]
    assert await aggregate.ask(Pay("7"), Tenant("a/b")) == 2
    assert (await aggregate.read(Pay("7"), Tenant("a/b"))).state.phase == "paid"
    assert (await aggregate.get("7")).state.phase == "issued"


async def test_events_have_the_ids_of_their_cause_and_the_inherited_stamps_as_headers(store: Any) -> None:
    # WM-28, WK-18
    def pays(invoice: Any, command: Pay) -> list[Event]:
        return [Issued(command.invoice_id), Paid(command.invoice_id)]

    aggregate = invoices(pays, store=store)
    await aggregate.dispatch(Envelope(Pay("7"), Actor("ada"), Origin("fr"), Priority(3), id="c-1"))
    first, second = [event async for event in store.events.read("invoice/7")]
    assert (first.headers["id"], second.headers["id"]) == ("c-1#1", "c-1#2")
    for headers in (first.headers, second.headers):
        assert (headers["causation"], headers["correlation"], headers["actor"]) == ("c-1", "c-1", "ada")
        stamps = msgspec.json.decode(headers["stamps"])
        assert sorted(stamp["$stamp"] for stamp in stamps) == ["Actor", "Origin"]
    assert [EVENTS.decode_message(event.body) for event in (first, second)] == [Issued("7"), Paid("7")]


async def test_events_of_a_command_without_stamps_have_the_ids_alone_as_headers(store: Any) -> None:
    # WM-28
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7"))
    await aggregate.dispatch(Pay("7"), Origin("fr"))
    plain, stamped = [event.headers async for event in store.events.read("invoice/7")]
    assert [*plain] == ["id", "causation", "correlation"]
    assert [*stamped] == ["id", "causation", "correlation", "stamps"]


async def test_a_command_has_an_id_a_time_and_an_actor_and_begins_its_line(store: Any) -> None:
    # WK-17
    envelopes = list[Envelope[Any]]()

    def looks(invoice: Any, command: Pay, envelope: Envelope[Any]) -> Paid:
        envelopes.append(envelope)
        return Paid(command.invoice_id)

    aggregate = invoices(looks, store=store, clock=lambda: 5.0, new_id=iter(["c-1"]).__next__)
    await aggregate.dispatch(Pay("7"), Actor("ada"))
    [envelope] = envelopes
    [change] = [change async for change in aggregate.history("7")]
    assert (envelope.id, envelope.correlation_id, envelope.at) == ("c-1", "c-1", 5.0)
    assert (change.causation_id, change.correlation_id, change.actor) == ("c-1", "c-1", "ada")


def in_pence(fields: Any) -> Any:
    return fields | {"amount": fields["amount"] * 100}


class NewIssued(Event, tag="Issued"):
    """`Issued` after its fields changed."""

    schema_version = 2

    invoice_id: str
    amount: int = 10


async def test_events_of_an_older_version_are_brought_up_by_the_codec(store: Any) -> None:
    # WM-36
    await invoices(store=store).dispatch(Issue("7", 3))
    codec = Codec([NewIssued, Paid], upcasters={NewIssued: {1: in_pence}})
    newer = invoices(store=store, codec=codec, events={NewIssued: issued_anew, Paid: paid}, commands={Pay: pays_anew})
    assert (await newer.get("7")).state == Invoice(300, "issued")
    await newer.dispatch(Pay("7"))
    assert [change.event async for change in newer.history("7")] == [NewIssued("7", 300), Paid("7")]


def issued_anew(state: Invoice, event: NewIssued) -> Invoice:
    return Invoice(event.amount, "issued")


def pays_anew(invoice: Any, command: Pay) -> Paid:
    return Paid(command.invoice_id)


async def test_a_gap_in_the_upcasters_is_found_when_the_aggregate_is_made() -> None:
    # WM-36
    with pytest.raises(InvalidUpcasters, match="Issued"):
        invoices(events={NewIssued: issued_anew, Paid: paid})
    with pytest.raises(InvalidUpcasters, match="Issued"):
        Codec([NewIssued, Paid])


@pytest.mark.parametrize("codec", [EVENTS, Codec([Issued, Paid, Unknown])])
async def test_a_stored_event_of_an_unknown_type_names_stream_revision_and_type(codec: Codec, store: Any) -> None:
    # WM-36
    aggregate = invoices(store=store, codec=codec)
    await aggregate.dispatch(Issue("7"))
    await store.events.append("invoice/7", [Item(Codec([Unknown]).encode_message(Unknown()))], 1)
    fresh = invoices(store=store, codec=codec)
    with pytest.raises(UnknownEvent, match="Unknown") as caught:
        await fresh.dispatch(Pay("7"))
    assert (caught.value.event, caught.value.place) == ("Unknown", "invoice/7, revision 2")
    assert caught.value.known == ("Issued", "Paid")


@pytest.mark.parametrize("states", [10, 0])
async def test_an_error_of_an_event_function_comes_out_when_the_stream_is_read(states: int, store: Any) -> None:
    # WM-36
    await invoices(store=store).dispatch(Issue("7"))

    def fails(state: Invoice, event: Issued) -> Invoice:
        raise KeyError("amount")

    aggregate = invoices(store=store, events={Issued: fails, Paid: paid}, states=states)
    with pytest.raises(KeyError, match="amount"):
        await aggregate.get("7")
    with pytest.raises(KeyError, match="amount"):
        await aggregate.dispatch(Pay("7"))


async def test_events_of_derived_types_and_states_of_derived_classes_are_folded() -> None:
    # WM-36
    class Special(Invoice, frozen=True):
        """A state of a type below."""

    def special(state: Invoice, event: Issued) -> Invoice:
        return Special(event.amount, "issued")

    aggregate = invoices(events={Issued: special, Paid: paid}, states=0, store=MemoryStore())
    await aggregate.dispatch(Issue("7"))
    assert (await aggregate.get("7")).state == Special(10, "issued")
