"""The actor of a request, the rules, and pages with cookies."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from starlette.requests import HTTPConnection

from modd.cqrs import Actor
from modd.gateway import EVERYBODY, Gateway, Request, accept, answer, forward
from modd.gateway.admission import Admission
from modd.gateway.calls import Calls
from modd.gateway.errors import RuleFailed
from modd.gateway.limits import Limits
from modd.gateway.problems import Problems
from modd.middleware.trace_context import TraceContext
from tests.gateway.shop import ADA, ORDER, OrderPlaced, Ping, PlaceOrder, Prices, Shop, client, who

pytestmark = pytest.mark.anyio

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def request_with(*headers: tuple[str, str], method: str = "POST") -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"a=1&a=2", "headers": raw}
    return Request(HTTPConnection(scope), "192.0.2.1")


async def raising(actor: Any, subject: Any) -> bool:
    raise KeyError("rule")


async def refusing(actor: Any, subject: Any) -> bool:
    await anyio.lowlevel.checkpoint()
    return False


@pytest.mark.parametrize(("allow", "status"), [(refusing, 403), (raising, 500), (None, 200)])
async def test_a_rule_is_asked_about_the_decoded_message_before_the_bus(allow: Any, status: int) -> None:
    # GW-4
    shop = Shop()
    async with client(Gateway(shop.bus, accept(PlaceOrder, allow=allow), who=who), **ADA) as ada:
        assert (await ada.post("/commands/place-order", json={"lines": 5})).status_code == 422
        assert (await ada.post("/commands/place-order", json=ORDER)).status_code == status
    assert len(shop.envelopes) == (status == 200)


async def test_a_rule_sees_the_actor_and_the_message() -> None:
    # GW-4
    async with client(Shop().gateway(), **ADA) as ada:
        assert (await ada.get("/queries/get-order?customer=ada")).status_code == 200
        assert (await ada.get("/queries/get-order?customer=bob")).status_code == 403


async def test_without_an_actor_a_request_is_refused_before_its_body_is_read() -> None:
    # GW-5
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/commands/ping", "headers": [], "query_string": b""}
    await Shop().gateway().asgi(scope, receive, send)
    assert sent[0]["status"] == 401
    assert (b"www-authenticate", b"Bearer") in sent[0]["headers"]


async def test_what_is_for_everybody_needs_no_actor_and_still_knows_one() -> None:
    # GW-5
    shop = Shop()
    async with client(Gateway(shop.bus, accept(PlaceOrder, allow=EVERYBODY), who=who)) as anyone:
        assert (await anyone.post("/commands/place-order", json=ORDER)).status_code == 200
        assert (await anyone.post("/commands/place-order", json=ORDER, headers=ADA)).status_code == 200
    assert [each.last(Actor) and each.last(Actor).id for each in shop.envelopes] == [None, "ada"]  # type: ignore[union-attr]


async def test_who_may_say_why_it_refuses_and_its_other_errors_are_a_500() -> None:
    # GW-5
    async with client(Shop().gateway()) as shop:
        refused = await shop.get("/queries/prices", headers={"Authorization": "Bearer old"})
        assert refused.json() | {"type": ""} == {
            "type": "",
            "title": "Unauthorized",
            "status": 401,
            "detail": "The token is too old.",
        }
    for broken in (lambda request: 1 / 0, lambda request: "ada"):
        async with client(Shop().gateway(who=broken)) as shop:
            assert (await shop.get("/queries/prices")).status_code == 500


async def test_without_who_no_client_has_an_actor() -> None:
    # GW-5
    async with client(Gateway(Shop().bus, answer(Prices, allow=EVERYBODY))) as shop:
        assert (await shop.get("/queries/prices", headers=ADA)).json() == [7]


async def test_the_actor_goes_along_and_a_client_sets_no_other_stamp() -> None:
    # GW-6
    shop = Shop()
    async with client(shop.gateway(), **ADA) as ada:
        headers = {"Idempotency-Key": "order 7", "traceparent": TRACE, "tenant": "x"}
        answered = await ada.post("/commands/place-order", json=ORDER, headers=headers)
    [envelope] = shop.envelopes
    assert envelope.last(Actor) == Actor("ada", roles=("customer",), at=envelope.last(Actor).at)  # type: ignore[union-attr]
    assert {type(stamp).__name__ for stamp in envelope.stamps} == {"Identity", "Actor", "TraceContext", "Handled"}
    assert envelope.last(TraceContext).traceparent == TRACE  # type: ignore[union-attr]
    assert envelope.id == answered.json()["id"] == "ada:order 7"


async def test_two_actors_never_share_an_idempotency_key() -> None:
    # GW-6
    shop = Shop()
    async with client(Gateway(shop.bus, accept(PlaceOrder), who=lambda request: Actor(request.bearer or ""))) as anyone:
        for token, key in (("a", "b:c"), ("a:b", "c"), ("a%3Ab", "c")):
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            assert (await anyone.post("/commands/place-order", json=ORDER, headers=headers)).status_code == 200
    assert len({each.id for each in shop.envelopes}) == 3


@pytest.mark.parametrize("key", ["", "a" * 129, "\xe9"])
async def test_an_idempotency_key_is_short_printable_and_of_an_actor(key: str) -> None:
    # GW-6
    async with client(Gateway(Shop().bus, accept(Ping, allow=EVERYBODY), who=who)) as anyone:
        headers: Any = [("Idempotency-Key", key.encode("latin-1")), *ADA.items()]
        assert (await anyone.post("/commands/ping", json={}, headers=headers)).status_code == 400
        refused = await anyone.post("/commands/ping", json={}, headers={"Idempotency-Key": "1"})
        assert refused.json()["detail"] == "An idempotency key needs an actor."
        twice: Any = [("Idempotency-Key", "1"), ("Idempotency-Key", "2"), *ADA.items()]
        assert (await anyone.post("/commands/ping", json={}, headers=twice)).status_code == 400


@pytest.mark.parametrize("trace", ["x", TRACE.replace("00-", "ff-", 1), TRACE.upper(), f"{TRACE}-1"])
async def test_a_traceparent_that_is_none_is_not_passed_on(trace: str) -> None:
    # GW-6
    shop = Shop()
    async with client(shop.gateway(), **ADA, traceparent=trace) as ada:
        assert (await ada.post("/commands/place-order", json=ORDER)).status_code == 200
    assert not shop.envelopes[0].has(TraceContext)


@pytest.mark.costly
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://shop.example"}, 200),
        ({"Origin": "http://shop"}, 200),
        ({"Origin": "http://shop:80"}, 200),
        ({"Referer": "https://shop.example/cart?x=1"}, 200),
        ({"Referer": "http://[::1/"}, 403),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "ftp://shop"}, 403),
        ({"Origin": "https://shop.example:8443"}, 403),
        ({"Origin": "https://shop.example.evil.example"}, 403),
        ({"Origin": "https://evil.example", "Referer": "https://shop.example/"}, 403),
    ],
)
async def test_a_change_with_cookies_has_to_come_from_a_page_of_an_allowed_origin(
    headers: dict[str, str], status: int
) -> None:
    # GW-17
    cookie = {"Cookie": "session=ada:customer"}
    async with client(Shop().gateway()) as shop:
        assert (await shop.post("/commands/ping", json={}, headers=headers | cookie)).status_code == status
        assert (await shop.get("/queries/get-order?customer=ada", headers=headers | cookie)).status_code == 200
        assert (await shop.post("/commands/ping", json={}, headers=headers | ADA)).status_code == 200


async def test_two_origins_are_of_no_page() -> None:
    # GW-17
    admission = Admission(who, ["https://shop.example"])
    origins = ("Origin", "https://shop.example"), ("Origin", "https://evil.example")
    request = request_with(*origins, ("Cookie", "session=ada"))
    assert request.cookie("other") is None
    admission.check_origin(request)  # without cookies, no origin is asked for
    assert request.cookie("session") == "ada"
    assert "cookie" not in request.headers
    with pytest.raises(Exception, match="allowed origin"):
        admission.check_origin(request)


def test_a_request_shows_who_needs() -> None:
    # GW-6
    request = request_with(("Authorization", "bearer  t "), ("Cookie", "a=b"))
    assert (request.bearer, request.cookie("a"), request.cookie("c")) == ("t", "b", None)
    assert (request.path, request.address, request.method) == ("/", "192.0.2.1", "POST")
    assert request.query.getlist("a") == ["1", "2"]
    assert request.with_token("other").bearer == "other"
    assert request_with(("Authorization", "Basic t")).bearer is None
    assert request_with(("Authorization", "Bearer ")).bearer is None
    assert request_with(("Authorization", "Bearer a"), ("Authorization", "Bearer b")).bearer is None


async def test_a_channel_is_allowed_by_the_rules_of_forwards() -> None:
    # GW-4
    own = forward(OrderPlaced, to=str, allow=lambda actor, channel: channel == f"orders/{actor.id}")
    known, public = forward(Ping, to=str), forward(Prices, to=str, allow=EVERYBODY)
    calls = Calls(Shop().bus, (), (own, known), Admission(who, ()), Problems({}), Limits())
    assert await calls.forwards_for(Actor("ada"), "orders/ada") == (own, known)
    assert await calls.forwards_for(Actor("ada"), "orders/bob") == (known,)
    assert own.names == {OrderPlaced: "order-placed"}
    with pytest.raises(RuleFailed):  # a rule that fails is never a yes, also for nobody
        await calls.allows_channel(None, "orders/ada")
    calls = Calls(Shop().bus, (), (known,), Admission(who, ()), Problems({}), Limits())
    assert not await calls.allows_channel(None, "x")
    assert public.is_public


async def test_an_error_of_a_rule_is_logged_with_its_cause(caplog: Any) -> None:
    # GW-4 GW-13
    with caplog.at_level(logging.ERROR, "modd.gateway"):
        async with client(Gateway(Shop().bus, accept(Ping, allow=raising), who=who), **ADA) as ada:
            refused = await ada.post("/commands/ping", json={})
    [record] = caplog.records
    assert refused.json()["id"] in record.getMessage()
    assert "KeyError: 'rule'" in caplog.text
