"""Followers that cannot work are refused when they are made, with the name of the option."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.cqrs import QueryBus
from modd.flow import Flow, end, go
from modd.follower import Follower
from modd.stores import MemoryStore
from tests.follower.shop import Order, Placed, Ship, fulfilment, orders, stocks

STORE = MemoryStore()
DESK = Bus([orders.stored(STORE), stocks.stored(STORE)], name="desk")


def flow_of(answer: Any, name: str = "other") -> Flow[Order]:
    return Flow(name, state=Order, identity="order", begins={Placed: answer})


def ships(state: Order, event: Placed) -> Any:
    return end(Ship(event.order))


def does_nothing(state: Order, event: Placed) -> Any:
    return go(state)


def ships_inside(state: Order, event: Placed) -> Any:
    return end(*(Ship(each) for each in [event.order]))


@pytest.mark.parametrize(
    ("parts", "options", "option", "text"),
    [
        ([fulfilment], {}, "commands", "flows send commands; give the typed bus that handles them"),
        ([fulfilment], {"commands": stocks}, "commands", "fulfilment sends Ship, which stock does not handle"),
        ([flow_of(ships)], {"commands": stocks}, "commands", "other sends Ship, which stock does not handle"),
        ([flow_of(ships_inside)], {"commands": stocks}, "commands", "other sends Ship, which stock does not handle"),
        (
            [fulfilment],
            {"commands": [orders, stocks]},
            "commands",
            r"or a Bus around several: Bus\(\[orders, stock\]\)",
        ),
        ([fulfilment], {"commands": Bus([QueryBus()])}, "commands", "give the typed bus that handles"),
        ([], {}, "parts", "at least one flow or projection"),
        (fulfilment, {"commands": DESK}, "parts", "give a list"),
        ([fulfilment, orders], {"commands": DESK}, "parts", "give flows and projections"),
        ([fulfilment, fulfilment], {"commands": DESK}, "parts", "two parts have the name 'fulfilment'"),
        (
            [flow_of(ships, "fulfilment"), fulfilment],
            {"commands": DESK},
            "parts",
            "two parts have the name 'fulfilment'",
        ),
        ([fulfilment], {"commands": DESK, "name": ""}, "name", "not empty"),
        ([fulfilment], {"commands": DESK, "batch": 0}, "batch", "at least 1"),
        ([fulfilment], {"commands": DESK, "attempts": 0}, "attempts", "at least 1"),
        ([fulfilment], {"commands": DESK, "backoff": "sometimes"}, "backoff", "exponential"),
        ([fulfilment], {"commands": DESK, "lease": 0}, "lease", "more than 0"),
        ([fulfilment], {"commands": DESK, "poll": 0}, "poll", "more than 0"),
        ([fulfilment], {"commands": DESK, "drain": -1}, "drain", "0 or more"),
    ],
)
def test_options_that_cannot_work_are_refused_by_their_name_when_the_follower_is_made(
    parts: Any, options: Any, option: str, text: str
) -> None:
    # WM-67
    with pytest.raises(InvalidOption, match=text) as caught:
        Follower(STORE, parts, **options)
    assert caught.value.option == option


@pytest.mark.parametrize("store", [MemoryStore, MemoryStore().events, None])
def test_a_store_without_all_its_ports_is_refused(store: Any) -> None:
    # WM-67
    with pytest.raises(InvalidOption, match="give a store"):
        Follower(store, [fulfilment], commands=DESK)


def test_a_flow_whose_commands_are_handled_is_taken() -> None:
    # WM-67
    parts = [fulfilment, flow_of(does_nothing)]
    assert Follower(STORE, parts, commands=DESK).parts == tuple(parts)
    assert Follower(STORE, [flow_of(does_nothing)], commands=stocks.stored(STORE)).name == "follower"


def test_an_aggregate_that_records_in_another_store_is_refused_with_the_cure() -> None:
    # WM-67
    with pytest.raises(InvalidOption, match=r"stock records in .*; give stock.stored\(store\)"):
        Follower(STORE, [fulfilment], commands=Bus([orders.stored(STORE), stocks]))
