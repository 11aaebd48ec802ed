"""Flows on a store: instances hear of events and rejections, and their commands are handled."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from modd.aggregate import Rejected
from modd.cqrs import Actor, Envelope, Tenant
from modd.flow import Flow, Go, go
from modd.follower import Follower, flow_track
from tests.follower.shop import (
    Fulfilment,
    Pay,
    Place,
    Placed,
    Refill,
    Reserve,
    Reserved,
    Ship,
    Shipped,
    Shop,
    placed,
    running,
)

pytestmark = pytest.mark.anyio


async def headers_of(store: Any, kind: type) -> list[dict[str, str]]:
    """Return the headers of the events of a type."""
    name = f'"{kind.__name__}"'.encode()
    return [event.headers async for event in store.events.read_all() if name in event.body]


async def test_an_order_goes_through_the_flow(store: Any) -> None:  # WK-24, WM-53, WM-66
    shop = Shop(store)
    await shop.follow(Refill("tea", 2), Place("7"))
    assert await shop.seen("7") == ("Placed",)
    assert await shop.pieces() == 1
    await shop.follow(Pay("7"))
    assert await shop.seen("7") == ("Placed", "Paid", "Shipped")


async def test_an_event_is_for_the_instance_whose_command_has_caused_it(store: Any) -> None:  # WM-51
    shop = Shop(store)
    await shop.follow(Refill("tea", 9), *[Place(str(number)) for number in range(3)])
    await shop.follow(Pay("1"))
    assert [len(await shop.seen(str(number))) for number in range(3)] == [1, 3, 1]


async def test_an_event_without_identity_is_for_nobody(store: Any) -> None:  # WM-51
    heard: list[str] = []

    def note(flow: Fulfilment, event: Any) -> Go[Fulfilment]:
        heard.append(event.order)
        return go(flow)

    flow = Flow(
        "some",
        state=Fulfilment,
        identity=lambda event: event.order if event.order != "7" else None,
        begins={Placed: note},
    )
    await Shop(store, flow).follow(Place("7"), Place("8"))
    assert heard == ["8"]


async def test_a_rejection_of_its_command_comes_to_the_flow(store: Any) -> None:  # WM-52
    shop = Shop(store)
    await shop.follow(Place("7"))
    assert await shop.seen("7") == ("Placed", "Cancelled")
    assert await store.outbox.claim(10, 30) == []
    [rejected] = await headers_of(store, Rejected)
    [event] = await headers_of(store, Placed)
    assert rejected["causation"] == f"{event['id']}/fulfilment#1"
    assert rejected["correlation"] == event["correlation"]


async def test_a_rejection_without_a_function_is_a_warning(store: Any, caplog: Any) -> None:  # WM-52
    flow = Flow(
        "plain", state=Fulfilment, identity="order", begins={Placed: placed}, timeouts={"payment": lambda *_: None}
    )
    shop = Shop(store, flow)
    with caplog.at_level(logging.WARNING, "modd.follower"):
        await shop.follow(Place("7"))
    assert [each.getMessage() for each in caplog.records] == [
        "Reserve of the flow plain, instance '7', was rejected, and no function is for Rejected: out of stock"
    ]


async def test_a_rejection_of_a_command_that_no_flow_has_sent_goes_to_the_outbox(store: Any) -> None:  # WM-52
    shop = Shop(store)
    queue = store.queue("follower commands")
    await queue.put(shop.desk_codec.encode(Envelope(Reserve("tea"))))
    await shop.follower.catch_up()
    assert len(await store.outbox.claim(10, 30)) == 1
    assert await store.events.last() == 0


async def test_commands_have_ids_of_their_cause_and_inherit_its_stamps(store: Any) -> None:  # WM-53
    shop = Shop(store)
    await shop.send(Envelope(Refill("tea", 1), Tenant("left"), id="r"))
    await shop.follow(
        Envelope(Place("7"), Actor("ada"), Tenant("left"), id="p"), Envelope(Pay("7"), Tenant("left"), id="q")
    )
    [reservation], [shipment] = await headers_of(store, Reserved), await headers_of(store, Shipped)
    assert reservation["id"] == "p#1/fulfilment#1#1"
    assert (reservation["causation"], reservation["correlation"]) == ("p#1/fulfilment#1", "p")
    assert reservation["actor"] == "ada"
    assert '"InFlow"' in reservation["stamps"]
    assert shipment["correlation"] in ("p", "q")


async def test_instances_of_two_tenants_with_one_identity_never_meet(store: Any) -> None:  # WM-51
    shop = Shop(store)
    for tenant in ("left", "right"):
        await shop.send(Envelope(Refill("tea", 1), Tenant(tenant)), Envelope(Place("7"), Tenant(tenant)))
    await shop.follow(Envelope(Pay("7"), Tenant("left")))
    streams = [event.stream async for event in store.events.read_all() if b'"Shipped"' in event.body]
    assert streams == ["~left/order/7"]


async def test_events_for_an_instance_that_has_ended_or_not_begun_are_passed_over(store: Any) -> None:  # WM-56
    shop = Shop(store)
    await shop.follow(Pay("7"))
    await shop.follow(Refill("tea", 5), Place("7"), Pay("7"))
    assert await shop.seen("7") == ("Paid", "Placed", "Paid", "Shipped")
    await shop.follow(Pay("7"), Place("7"))
    assert await shop.seen("7") == ("Paid", "Placed", "Paid", "Shipped", "Paid", "Placed")
    assert await shop.pieces() == 4
    assert await shop.follower.stuck(shop.flow) == []


async def test_several_commands_of_one_event_are_handled_in_order(store: Any) -> None:
    def both(flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
        return go(flow, Ship(event.order), Pay(event.order), Ship(event.order))

    flow = Flow("both", state=Fulfilment, identity="order", begins={Placed: both})
    shop = Shop(store, flow)
    await shop.follow(Place("7"))
    assert await shop.seen("7") == ("Placed", "Shipped", "Paid", "Shipped")


async def test_two_flows_hear_of_one_event_each(store: Any) -> None:
    shop = Shop(store)
    other = Flow(
        "other", state=Fulfilment, identity="order", begins={Placed: lambda flow, event: go(flow, Ship(event.order))}
    )
    follower = Follower(store, [shop.flow, other], commands=shop.desk)
    await shop.send(Refill("tea", 1), Place("7"), Pay("7"))
    await follower.catch_up()
    assert sorted(await shop.seen("7")) == ["Paid", "Placed", "Shipped", "Shipped"]


@pytest.mark.costly
async def test_a_flow_begins_at_the_first_event_of_the_log(store: Any) -> None:
    shop = Shop(store)
    await shop.send(
        Refill("tea", 50), *[Place(str(number)) for number in range(40)], *[Pay(str(number)) for number in range(40)]
    )
    await shop.follower.catch_up()
    assert {await shop.seen(str(number)) for number in range(40)} == {("Placed", "Paid", "Shipped")}


async def test_the_events_of_another_program_in_the_log_are_passed_over(store: Any) -> None:
    shop = Shop(store)
    await store.events.append("odd", [b"no event", b"{}", b'{"$type":1}', b'{"$type":"Other"}'], 0)
    await shop.follow(Refill("tea", 1), Place("7"))
    assert await shop.pieces() == 0


async def test_a_rejection_keeps_the_actor_and_one_of_nobody_is_passed_over(store: Any) -> None:  # WM-52
    shop = Shop(store)
    await store.events.append("odd", [b'{"$type":"Rejected","reason":"no"}'], 0)
    await shop.follow(Envelope(Place("7"), Actor("ada")))
    [rejected] = [each for each in await headers_of(store, Rejected) if each]
    assert rejected["actor"] == "ada"
    plain = Flow("plain", state=Fulfilment, identity="order", begins={Placed: lambda flow, _: go(flow)})
    await Follower(store, [plain], commands=shop.desk).catch_up()


async def test_instances_that_are_not_in_memory_any_more_go_on(store: Any, monkeypatch: Any) -> None:  # WM-54
    monkeypatch.setattr(flow_track, "MOST_KEPT", 1)
    shop = Shop(store)
    orders = ["1", "2", "3"]
    async with running(shop.follower):
        await shop.follow(Refill("tea", 9), *map(Place, orders))
        await shop.follow(*map(Pay, orders))
    assert [len(await shop.seen(order)) for order in orders] == [3, 3, 3]


class Callable:
    """A function of a flow that is an object, whose code tells nothing."""

    def __call__(self, flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
        return go(flow, Ship(event.order))


async def test_a_function_of_a_flow_may_be_an_object(store: Any) -> None:
    shop = Shop(store, Flow("object", state=Fulfilment, identity="order", begins={Placed: Callable()}))
    await shop.follow(Place("7"))
    assert await shop.seen("7") == ("Placed", "Shipped")
