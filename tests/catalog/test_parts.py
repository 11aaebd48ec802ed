"""The description of parts as plain data."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd import Bus
from modd.aggregate import Aggregate, Decider
from modd.catalog import Catalog, describe_parts
from modd.catalog.entries import EventEntry, FieldEntry, FunctionEntry, MessageEntry
from modd.cqrs import CommandBus
from modd.errors import InvalidOption
from tests.aggregate.billing import Invoice, Issue, Issued, issued
from tests.catalog.store import Ship, cancel, keyed, orders, seats, ship, store


def only_context(*parts: Any) -> Any:
    """Return the only context of a catalog."""
    [context] = describe_parts(*parts).contexts
    return context


def test_an_aggregate_is_described_with_its_commands_chains_and_events() -> None:
    # WM-74
    [order] = only_context(orders).aggregates
    assert (order.name, order.identity) == ("order", "order")
    assert (order.state.type, order.state.doc) == ("Order", "The state of an order.")
    assert [each.message.name for each in order.commands] == ["PlaceOrder", "Cancel"]
    place, cancelling = order.commands
    assert place.chain == [
        FunctionEntry("if_not_exists", "Reject a command for an instance that exists."),
        FunctionEntry("place", "Place it, if there is enough."),
    ]
    assert cancelling.chain[1] == FunctionEntry("if_in_phase", "Reject a command unless the phase is open.")
    assert (place.records, cancelling.records) == (["order-placed"], ["Cancelled"])
    assert [each.name for each in order.middleware] == ["Retryer"]


def test_events_have_their_fields_their_versions_and_the_function_that_applies_them() -> None:
    # WM-74
    [order] = only_context(orders).aggregates
    fields = [FieldEntry("order", "str"), FieldEntry("sku", "str")]
    path = "tests.catalog.messages.OrderPlaced"
    message = MessageEntry("order-placed", "event", path, 2, "An order was placed.", fields)
    assert order.events[0] == EventEntry(message, FunctionEntry("placed", "Note the article."), [1, 2])


def test_fields_tell_their_types_if_they_have_a_default_and_if_they_are_sensitive() -> None:
    # WM-74
    [order] = only_context(orders).aggregates
    place, cancelling = (each.message for each in order.commands)
    assert place.fields == [
        FieldEntry("order", "str"),
        FieldEntry("sku", "str"),
        FieldEntry("pieces", "int", required=False),
        FieldEntry("iban", "str", required=False, sensitive=True),
    ]
    assert cancelling.fields[1] == FieldEntry("note", "str | None", required=False)
    assert (place.result, cancelling.result) == ("int", None)
    assert [(each.name, each.sensitive) for each in order.state.fields] == [
        ("sku", False),
        ("phase", False),
        ("iban", True),
    ]


def test_defaults_are_not_told_as_they_may_be_secrets() -> None:
    assert b"DE02-1203" not in msgspec.json.encode(describe_parts(orders))


def test_an_aggregate_with_a_boundary_and_one_with_a_function_are_described_by_it() -> None:
    seat, other = only_context(seats, [keyed]).aggregates
    assert (seat.identity, seat.state.type, seat.state.fields, seat.state.doc) == (None, "int", [], "")
    assert other.identity == "<lambda>"


def test_the_function_of_a_decider_is_its_chain() -> None:
    def decide(command: Issue, state: Invoice) -> Issued:
        """Decide."""
        return Issued(command.invoice_id)

    aggregate = Aggregate("invoice", decider=Decider(decide, issued, Invoice()), identity="invoice_id")
    [invoice] = only_context(aggregate).aggregates
    [command] = invoice.commands
    [step] = command.chain
    assert step.doc == "Decide." and step.name.endswith("decide") and command.records == ["Issued"]


def test_a_bus_is_described_context_by_context() -> None:
    # WM-74
    shop, ordering, shipping = describe_parts(store()).contexts
    assert [each.name for each in (shop, ordering, shipping)] == ["shop", "shop.ordering", "shop.shipping"]
    assert ordering.lets_out == ["order-placed"] and ordering.takes == ["PlaceOrder", "Cancel"]
    assert [each.name for each in ordering.aggregates] == ["order"]
    assert shipping.takes == ["order-placed", "Ship", "Track"]
    [everything] = shop.components
    assert (everything.function.name, everything.everything) == ("everything", True)


def test_typed_buses_are_described_with_the_handlers_of_each_message() -> None:
    # WM-74
    *_, shipping = describe_parts(store()).contexts
    commands, queries, events = shipping.buses
    assert [each.kind for each in shipping.buses] == ["command", "query", "event"]
    assert [each.message.name for each in commands.messages] == ["Ship"] and commands.emits == ["Shipped"]
    assert commands.messages[0].handlers == [FunctionEntry("ship", "Ship it.")]
    assert queries.messages[0].message.result == "list[str]"
    assert events.messages[0].handlers[0].doc == "Prepare a parcel."


def test_a_handler_that_was_given_a_name_is_described_by_it() -> None:
    bus = CommandBus()
    bus.add_handler(Ship, ship, "courier")
    [described] = only_context(bus).buses
    assert described.messages[0].handlers == [FunctionEntry("courier")]


def test_other_components_are_described_by_what_they_take_and_return() -> None:
    *_, shipping = describe_parts(store()).contexts
    courier, counting = shipping.components
    assert (courier.function, courier.accepts) == (FunctionEntry("courier"), ["Shipped"])
    assert (counting.function, counting.returns) == (FunctionEntry("count", "Count parcels."), ["Report"])


def test_a_part_in_two_places_is_described_at_the_first() -> None:
    bus = Bus([orders], name="first")
    first, second = describe_parts(bus, Bus([orders], name="second"), orders).contexts
    assert (len(first.aggregates), len(second.aggregates)) == (1, 0)


def test_the_description_is_plain_data_that_comes_back_from_json() -> None:
    # WM-74
    described = describe_parts(store(), [seats])
    assert described.contexts[0].name == "" and len(described.contexts) == 4
    assert msgspec.json.decode(msgspec.json.encode(described), type=Catalog) == described


@pytest.mark.parametrize("parts", [(), ([],), (cancel,), (Invoice,), ([orders, 3],), ("orders",)])
def test_anything_but_parts_is_refused(parts: Any) -> None:
    with pytest.raises(InvalidOption, match="parts"):
        describe_parts(*parts)
