"""Exposures, their names, and all misuse of a gateway at once."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption, Message
from modd.cqrs import Actor, CommandBus
from modd.errors import DuplicateName
from modd.gateway import EVERYBODY, Gateway, GatewayMisuse, Limits, Refused, accept, answer, forward, role
from modd.gateway.exposures import kebab_case
from tests.gateway.shop import ADA, GetOrder, OrderPlaced, Ping, PlaceOrder, Prices, Shop, client, who

pytestmark = pytest.mark.anyio


class FeedLike:
    """An object with the methods of a feed."""

    put = follow = span = epoch = print


class Unhandled(Message):
    pass


async def test_a_type_that_is_not_exposed_is_as_unknown_as_a_name_of_no_type() -> None:
    # GW-1
    async with client(Shop().gateway(), **ADA) as shop:
        paths = ["/commands/secret", "/commands/no-such", "/commands/place-order/x", "/commands", "/", "/events", "/ws"]
        paths += [
            "/queries/place-order",
            "/commands/PlaceOrder",
            "/commands/..%2Fcommands%2Fping",
            "/commands/pin%2567",
        ]
        answers = [await shop.request(method, path) for path in paths for method in ("GET", "POST", "PUT", "OPTIONS")]
    assert {(each.status_code, each.text) for each in answers} == {
        (404, '{"type":"about:blank","title":"Not found","status":404}')
    }
    assert len({str(sorted(each.headers.items())) for each in answers}) == 1


@pytest.mark.parametrize(
    ("name", "path"),
    [("PlaceOrder", "place-order"), ("HTTPGet", "http-get"), ("billing.Paid", "billing-paid"), ("V2Order", "v2-order")],
)
def test_the_name_in_a_path_is_the_wire_name_in_kebab_case(name: str, path: str) -> None:
    # GW-2
    assert kebab_case(name) == path


def test_a_name_that_is_given_stands_for_the_wire_name() -> None:
    # GW-2
    assert accept(PlaceOrder, name="order").name == "order"
    assert accept(PlaceOrder).name == "place-order"


@pytest.mark.parametrize("name", ["", "Order", "a/b", "a" * 65, 5])
def test_a_name_that_cannot_be_in_a_path_is_refused(name: Any) -> None:
    # GW-2
    with pytest.raises(InvalidOption, match="1 to 64"):
        accept(PlaceOrder, name=name)


@pytest.mark.parametrize(
    "exposures",
    [
        (accept(PlaceOrder, allow=EVERYBODY), accept(Ping, allow=EVERYBODY, name="place-order")),
        (accept(Ping, allow=EVERYBODY), accept(Ping, allow=EVERYBODY)),
        (forward(OrderPlaced, to=str, allow=EVERYBODY), forward(OrderPlaced, to=str, allow=EVERYBODY)),
    ],
)
def test_two_exposures_of_one_name_are_refused(exposures: Any) -> None:
    # GW-2
    with pytest.raises(DuplicateName, match="the gateway, among its"):
        Gateway(Shop().bus, *exposures, feed=FeedLike())  # type: ignore[arg-type]


def test_a_command_and_a_query_may_have_one_name() -> None:
    # GW-2
    gateway = Gateway(
        Shop().bus, accept(Ping, allow=EVERYBODY, name="x"), answer(Prices, allow=EVERYBODY, name="x"), who=who
    )
    assert gateway.problem() is None


def test_all_misuse_is_told_at_once_when_the_gateway_is_made() -> None:
    # GW-3
    with pytest.raises(GatewayMisuse) as raised:
        Gateway(
            Shop().bus,
            accept(GetOrder, allow=EVERYBODY),
            answer(PlaceOrder, allow=EVERYBODY),
            accept(Unhandled, allow=EVERYBODY),
            accept(Ping),
            answer(Prices, allow=role("clerk")),
            forward(OrderPlaced, to=str),
            listen="0.0.0.0:0",
        )
    told = "\n".join(raised.value.faults)
    assert "accept(GetOrder): GetOrder is not a command" in told
    assert "answer(PlaceOrder): PlaceOrder is not a query" in told
    assert "accept(Unhandled): Unhandled is not a command" in told
    assert "accept(Ping): no client has an actor" in told
    assert "forward(OrderPlaced): no client has an actor" in told
    assert "forward(OrderPlaced): the gateway has no feed" in told
    assert "accept(Ping), answer(Prices), forward(OrderPlaced): not public, at 0.0.0.0, without who" in told


def test_a_type_without_a_handler_is_misuse_for_a_typed_bus_too() -> None:
    # GW-3
    with pytest.raises(GatewayMisuse, match=r"accept\(Ping\): commands has no handler"):
        Gateway(CommandBus(name="commands"), accept(Ping, allow=EVERYBODY))


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", None])
def test_a_private_gateway_without_actors_may_listen_at_a_loopback_address(listen: str | None) -> None:
    # GW-3
    gateway = Gateway(Shop().bus, accept(Ping, allow=lambda actor, ping: True), listen=listen)
    assert gateway.bound_port is None


@pytest.mark.parametrize("listen", ["8000", "shop:x", ":8000", "shop:1/x", "u@shop:1", "[::1", 5])
def test_a_place_to_listen_at_has_host_and_port(listen: Any) -> None:
    # GW-3
    with pytest.raises(InvalidOption, match="listen="):
        Gateway(Shop().bus, accept(Ping, allow=EVERYBODY), listen=listen)
    assert Gateway(Shop().bus, accept(Ping, allow=EVERYBODY), listen="shop.example:80").bound_port is None


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: Gateway("shop", accept(Ping)), "bus"),  # type: ignore[arg-type]
        (lambda: Gateway(Shop().bus), "exposures"),
        (lambda: Gateway(Shop().bus, Ping), "exposures"),  # type: ignore[arg-type]
        (lambda: Shop().gateway(who="ada"), "who"),
        (lambda: Shop().gateway(limits=5), "limits"),
        (lambda: Shop().gateway(errors={str: 409}), "errors"),
        (lambda: Shop().gateway(origins=["*"]), "origins"),
        (lambda: Shop().gateway(origins=["https://shop.example/"]), "origins"),
        (lambda: Shop().gateway(origins="https://shop.example"), "origins"),
        (lambda: Shop().gateway(trusted_proxies="10.0.0.0/8"), "trusted_proxies"),
        (lambda: Shop().gateway(trusted_proxies=["10.0.0.0/99"]), "trusted_proxies"),
        (lambda: accept(Ping, allow="ada"), "allow"),  # type: ignore[arg-type]
        (lambda: accept(int), "kind"),  # type: ignore[arg-type]
        (lambda: answer(Prices, cache="a\r\nb"), "cache"),
        (lambda: answer(Prices, cache=""), "cache"),
        (lambda: forward(to=str), "types"),
        (lambda: forward(OrderPlaced, to=5), "to"),  # type: ignore[arg-type]
        (role, "role"),
        (lambda: Limits(body=0), "body"),
        (lambda: Limits(timeout=0), "timeout"),
        (lambda: Limits(lifetime=-1.0), "lifetime"),
        (lambda: Refused(200), "status"),
    ],
)
def test_an_option_that_cannot_work_is_refused(make: Any, option: str) -> None:
    # GW-3 GW-16 GW-40
    with pytest.raises(InvalidOption) as raised:
        make()
    assert raised.value.option == option


def test_a_role_is_one_of_those_of_the_actor() -> None:
    # GW-4
    rule = role("customer", "clerk")
    assert rule(Actor("ada", roles=("clerk",)), None)
    assert not rule(Actor("ada", roles=("guest",)), None)
    assert not rule(None, None)
    assert repr(EVERYBODY) == "EVERYBODY"
    assert EVERYBODY(None, None)
