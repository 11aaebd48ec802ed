"""First mistakes with a gateway: each is told when the gateway is made, with its cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd.cqrs import Codec, Event
from modd.errors import DuplicateName, InvalidOption, ModdError
from modd.gateway import EVERYBODY, Gateway, GatewayMisuse, accept, forward, role
from modd.gateway.admission import Admission
from modd.gateway.errors import RuleFailed
from modd.gateway.rendering import channels_of
from modd.stores import MemoryFeed
from tests.gateway.shop import GetOrder, OrderPlaced, Ping, Prices, Shop

pytestmark = pytest.mark.anyio


async def channel_later(event: OrderPlaced) -> str:
    return "orders"


def gateway(*exposures: Any, **options: Any) -> Gateway:
    known: dict[str, Any] = {"who": lambda request: None}
    return Gateway(Shop().bus, *exposures, **known | options)


ORDERS = forward(OrderPlaced, to=lambda event: "orders")

MISTAKES: dict[str, tuple[Callable[[], Any], type[ModdError], str]] = {
    "no exposure, or in place of the bus": (gateway, InvalidOption, "after the bus"),
    "a text for a type": (lambda: accept("Ping"), InvalidOption, "kind='Ping': give one type of message"),  # type: ignore[arg-type]
    "an instance for a type": (lambda: accept(Ping()), InvalidOption, "give one type of message"),  # type: ignore[arg-type]
    "a class that is no message": (lambda: accept(int), InvalidOption, "give one type of message"),  # type: ignore[arg-type]
    "a rule of one argument": (lambda: accept(Ping, allow=lambda actor: True), InvalidOption, "allow="),  # type: ignore[arg-type, misc]
    "role without roles": (lambda: accept(Ping, allow=role), InvalidOption, 'allow=role("customer")'),
    "who without an argument": (lambda: gateway(accept(Ping), who=lambda: None), InvalidOption, "who="),
    "to without an argument": (lambda: forward(OrderPlaced, to=lambda: "x"), InvalidOption, "to="),  # type: ignore[arg-type, misc]
    "to that is async": (lambda: forward(OrderPlaced, to=channel_later), InvalidOption, "not async"),  # type: ignore[arg-type]
    "all events": (lambda: forward(Event, to=lambda event: "x"), InvalidOption, "a base class forwards none"),
    "one command twice": (lambda: gateway(accept(Ping), accept(Ping)), DuplicateName, "twice; give each type once"),
    "two events of one name": (
        lambda: gateway(ORDERS, ORDERS, feed=MemoryFeed()),
        DuplicateName,
        "the gateway, among its events, was given",
    ),
    "nobody to know the actor": (
        lambda: gateway(accept(Ping), who=None),
        GatewayMisuse,
        "accept(Ping, allow=EVERYBODY)",
    ),
    "a codec without the events": (
        lambda: gateway(ORDERS, feed=MemoryFeed(), codec=Codec([GetOrder])),
        GatewayMisuse,
        "the codec does not know OrderPlaced",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_an_error_with_its_cure_when_it_is_made(mistake: str) -> None:
    # GW-67
    make, kind, cure = MISTAKES[mistake]
    with pytest.raises(kind, match=re.escape(cure)):
        make()


def test_a_function_without_a_signature_is_taken() -> None:
    # GW-67
    assert accept(Ping, allow=max).allow is max


async def test_a_rule_that_returns_a_function_is_no_yes() -> None:
    # GW-67
    exposure = accept(Prices, allow=lambda actor, query: role("clerk"))
    with pytest.raises(RuleFailed, match="it returned a function"):
        await Admission(None, []).allows(exposure, None, Prices())
    assert await Admission(None, []).allows(accept(Prices, allow=EVERYBODY), None, Prices())


@pytest.mark.parametrize("value", [7, [7], object()])
def test_what_is_no_channel_is_named(value: Any) -> None:
    # GW-67
    with pytest.raises(TypeError, match=f"`to` returned a {type(value).__name__}"):
        channels_of(value)


async def test_a_gateway_that_was_stopped_before_ends_at_once() -> None:
    # GW-68
    stopped = gateway(accept(Ping), listen="127.0.0.1:0")
    stopped.stop()
    with anyio.fail_after(30):
        await stopped.run()
    assert stopped.bound_port is None
