"""The instance that an event is for: the one whose command has caused it, else by the identity."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption, Message
from modd.aggregate import Rejected
from modd.cqrs import Codec, Event, Undecodable, UnknownType
from modd.flow import Flow, go
from tests.flow.orders import OrderPlaced, PaymentConfirmed, StockReserved, Unheard, fulfilment, placed, reserved


class OrderRenamed(Event):
    order: Any


@pytest.mark.parametrize(
    ("event", "in_flow", "instance"),
    [
        (PaymentConfirmed("7"), None, "7"),
        (PaymentConfirmed("7"), "9", "9"),  # a command of instance 9 has caused it
        (StockReserved("tea"), "9", "9"),
        (StockReserved("tea"), None, None),  # an event of another context need not name the order
        (Rejected("sold out"), "9", "9"),
        (Rejected("sold out", id="7"), None, None),
        (OrderPlaced("7"), "9", "7"),  # it begins an instance of its own, whatever has caused it
    ],
)
def test_an_event_is_for_the_instance_whose_command_has_caused_it_else_by_identity(
    event: Message, in_flow: str | None, instance: str | None
) -> None:
    # WM-51
    assert fulfilment.instance_of(event, in_flow) == instance


def test_an_event_that_begins_and_is_heard_is_for_the_instance_that_has_caused_it() -> None:
    # WM-51
    flow = Flow("both", state=0, identity="order", begins={OrderPlaced: stay}, reacts={OrderPlaced: stay})
    assert flow.instance_of(OrderPlaced("7"), "9") == "9"
    assert flow.instance_of(OrderPlaced("7")) == "7"


def stay(count: int, event: Any) -> Any:
    return go(count + 1)


@pytest.mark.parametrize(("value", "instance"), [(None, None), (5, "5"), ("a/b", "a/b")])
def test_the_identity_may_be_a_function_and_none_is_for_nobody(value: Any, instance: str | None) -> None:
    # WM-51
    flow = Flow("renaming", state=0, identity=lambda event: event.order, begins={OrderRenamed: stay})
    assert flow.instance_of(OrderRenamed(value)) == instance


@pytest.mark.parametrize("value", ["", 1.5, True, ["7"]])
def test_an_identity_that_is_no_text_is_an_error_that_names_the_event(value: Any) -> None:
    # WM-51
    flow = Flow("renaming", state=0, identity="order", begins={OrderRenamed: stay})
    with pytest.raises(InvalidOption, match="the identity in OrderRenamed must be a text"):
        flow.instance_of(OrderRenamed(value))


def test_a_flow_knows_the_names_of_its_events_also_former_ones() -> None:
    # WM-51
    codec = Codec([OrderPlaced, Unheard], upcasters={"OrderMade": {1: lambda old: old | {"$type": "OrderPlaced"}}})
    flow = Flow("renamed", state=0, identity="order", begins={OrderPlaced: stay}, reacts={Rejected: stay}, codec=codec)
    assert flow.event_names == {"OrderPlaced", "Rejected", "OrderMade"}
    assert flow.decode(b'{"$type": "OrderMade", "order": "7"}') == OrderPlaced("7")


def test_a_flow_decodes_rejections_also_with_a_codec_that_does_not_have_them() -> None:
    # WM-51
    body = fulfilment.codec.encode_message(Rejected("sold out"))
    flow = Flow(
        "own",
        state=0,
        identity="order",
        begins={OrderPlaced: stay},
        reacts={Rejected: stay},
        codec=Codec([OrderPlaced]),
    )
    assert flow.decode(body) == fulfilment.decode(body) == Rejected("sold out")
    with pytest.raises(UnknownType):
        flow.decode(b'{"$type": "Unheard", "order": "7"}')
    with pytest.raises(Undecodable):
        flow.decode(b'{"$type": "OrderPlaced"}')


def test_a_flow_shows_its_name() -> None:
    assert repr(fulfilment) == "<Flow fulfilment>"
    assert fulfilment.begins == {OrderPlaced: placed} and fulfilment.reacts[StockReserved] is reserved
