"""Errors become responses."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from modd.cqrs import (
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    Forbidden,
    InvalidIntent,
    LockTimeout,
    NoHandler,
    RateLimited,
    RetryLater,
    Undecodable,
)
from modd.fastapi import STATUSES, install
from modd.http_errors import OUTAGES, retry_after
from modd.nats import LinkLost, NoAnswer
from modd.ports import Conflict
from modd.remote import NotServed
from modd.stores import StoreBusy, UnknownOutcome
from tests.fastapi.shop import ORDER, GetOrder, OutOfStock, PlaceOrder, SendMail, Shop, client

pytestmark = pytest.mark.anyio

ERRORS: list[tuple[Exception, int, str | None]] = [
    (Undecodable(ValueError("x"), ()), 400, None),
    (Forbidden(PlaceOrder, "ada", "no"), 403, None),
    (NoHandler(PlaceOrder, "shop", ()), 404, None),
    (Conflict("orders", 1, 2), 409, None),
    (InvalidIntent(PlaceOrder, [("$", "no")]), 422, None),
    (RateLimited(PlaceOrder, 0.2), 429, "1"),
    (CircuitOpen(PlaceOrder, 2.5), 503, "3"),
    (RetryLater(7), 503, "7"),
    (FeatureDisabled(PlaceOrder), 503, None),
    (LockTimeout("x", 5), 503, None),
    (DispatchTimeout(PlaceOrder, 5), 504, None),
    (LinkLost("shop", "10.0.0.7 is away"), 503, None),
    (NotServed("stock at 10.0.0.7"), 503, None),
    (StoreBusy("/srv/10.0.0.7.db"), 503, None),
    (OutOfStock("sold"), 409, None),
]


class Unshown(OutOfStock):
    """An error without a text, with a time that is none."""

    def __init__(self, retry_after: Any) -> None:
        self.retry_after = retry_after

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.unmeasured
@pytest.mark.costly
@pytest.mark.parametrize(("error", "status", "seconds"), ERRORS, ids=lambda each: type(each).__name__)
async def test_each_error_has_its_status_and_its_time(error: Exception, status: int, seconds: str | None) -> None:
    # FA-4
    shop = Shop()
    shop.error = error
    async with client(shop.app) as http:
        answer = await http.post("/orders", json=ORDER)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, seconds)
    assert answer.json()["error"] == type(error).__name__


def test_each_error_of_the_table_is_tried() -> None:
    assert {type(error) for error, _, _ in ERRORS} == STATUSES.keys() | OUTAGES.keys() | {OutOfStock}


@pytest.mark.parametrize(
    "error", [error for error, _, _ in ERRORS if type(error) in OUTAGES], ids=lambda each: type(each).__name__
)
async def test_what_is_away_is_named_in_the_log_alone(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    # FA-4
    shop = Shop()
    shop.error = error
    async with client(shop.app) as http:
        answer = await http.post("/orders", json=ORDER)
    assert answer.json() == {"error": type(error).__name__, "detail": "Unavailable"}
    assert "answered with 503" in caplog.text and "10.0.0.7" in caplog.text


class Full(StoreBusy):
    """An error of a user who derives from one of modd's."""


@pytest.mark.parametrize(
    ("error", "statuses", "expected"),
    [
        (UnknownOutcome("/srv/shop.db"), {}, (503, "Unavailable")),
        (NoAnswer("shop", "modd.stock.ask", 5), {}, (503, "Unavailable")),
        (StoreBusy("/srv/shop.db"), {StoreBusy: 507}, (507, "Unavailable")),
        (Full("shop", "", "it is full", "wait"), {Full: 409}, (409, "shop: it is full (); wait")),
        (
            NotServed("stock"),
            {LookupError: 404},
            (404, str(NotServed("stock"))),
        ),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_an_outage_has_the_status_that_the_app_gives_it_or_its_base(
    error: Exception, statuses: dict[type[Exception], int], expected: tuple[int, str]
) -> None:
    # FA-4
    shop = Shop(statuses)
    shop.error = error
    async with client(shop.app) as http:
        answer = await http.post("/orders", json=ORDER)
    assert (answer.status_code, answer.json()["detail"]) == expected


async def test_an_outage_whose_base_has_a_handler_of_the_app_goes_to_it() -> None:
    # FA-4
    app, shop = FastAPI(), Shop()

    @app.exception_handler(OSError)
    async def handle(request: Request, error: OSError) -> JSONResponse:
        return JSONResponse({"own": type(error).__name__}, 502)

    @app.get("/")
    async def lost() -> None:
        raise LinkLost("shop", "10.0.0.7 is away")

    install(app, shop.bus, lifespan=False)
    async with client(app) as http:
        answer = await http.get("/")
    assert (answer.status_code, answer.json()) == (502, {"own": "LinkLost"})


async def test_other_errors_are_not_told() -> None:
    # FA-4
    shop = Shop()
    shop.error = LookupError("secret")
    async with client(shop.app) as http:
        answer = await http.post("/orders", json=ORDER)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


async def test_statuses_of_users_take_precedence_and_hold_for_derived_errors() -> None:
    # FA-4
    shop = Shop({Forbidden: 404, OutOfStock: 410})
    async with client(shop.app) as http:
        shop.error = Forbidden(PlaceOrder, None, "no")
        assert (await http.post("/orders", json=ORDER)).status_code == 404
        shop.error = Unshown(retry_after="soon")
        answer = await http.post("/orders", json=ORDER)
    assert answer.status_code == 410 and answer.json()["error"] == "Unshown" and "retry-after" not in answer.headers


async def test_a_refusal_tells_no_rule_and_is_a_401_without_an_actor() -> None:
    # DF-34
    shop = Shop()
    async with client(shop.app) as http:
        shop.error = Forbidden(PlaceOrder, None, "its rule has_role('admin') returned False")
        nobody = await http.post("/orders", json=ORDER)
        shop.error = Forbidden(PlaceOrder, "ada", "its rule has_role('admin') returned False")
        ada = await http.post("/orders", json=ORDER)
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "PlaceOrder needs an actor: sign in")
    assert (ada.status_code, ada.json()["detail"]) == (403, "ada may not PlaceOrder")


@pytest.mark.parametrize(("seconds", "header"), [(nan, None), (inf, None), (True, None), (None, None), (-1, 0), (1, 1)])
def test_a_time_that_is_none_is_no_header(seconds: Any, header: int | None) -> None:
    # FA-4
    assert retry_after(Unshown(seconds)) == header


async def test_a_text_has_no_sensitive_content_of_the_messages_of_the_request() -> None:
    # FA-4
    shop = Shop()
    shop.error = OutOfStock("the card 4111 was refused \ud800")
    async with client(shop.app) as http:
        answer = await http.post("/orders", json=ORDER)
    assert answer.json() == {"error": "OutOfStock", "detail": "the card *** was refused \\ud800"}


async def test_misfits_that_the_bus_finds_have_the_place_that_they_came_from() -> None:
    # FA-5
    shop = Shop()
    async with client(shop.app) as http:
        path = await http.get("/orders/0")
        query = await http.get("/orders?id=0")
        shop.error = InvalidIntent(PlaceOrder, [("$.lines[0].sku", "sold out"), ("$", "no")])
        body = await http.post("/orders", json=ORDER)
    assert [path.status_code, query.status_code, body.status_code] == [422] * 3
    assert path.json()["detail"] == [{"type": "invalid", "loc": ["path", "id"], "msg": "Expected `int` >= 1"}]
    assert query.json()["detail"][0]["loc"] == ["query", "id"]
    assert [each["loc"] for each in body.json()["detail"]] == [["body", "lines", 0, "sku"], ["body"]]


@pytest.mark.parametrize(
    "error", [InvalidIntent(SendMail, [("$.to", "no")]), InvalidIntent(PlaceOrder, [("result", "no")])], ids=str
)
async def test_misfits_of_results_and_of_intents_that_the_client_did_not_send_are_faults_of_the_server(
    error: Exception,
) -> None:
    # FA-5
    shop = Shop()
    shop.error = error
    async with client(shop.app) as http:
        answer = await http.post("/orders", json=ORDER)
    assert answer.status_code == 500


async def test_routes_that_use_the_bus_itself_have_the_same_responses() -> None:
    # FA-5
    shop = Shop()

    @shop.app.get("/direct")
    async def direct() -> PlaceOrder:
        return await shop.bus.ask(GetOrder(0))

    async with client(shop.app) as http:
        answer = await http.get("/direct")
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", "id"]


async def test_handlers_that_the_app_has_stay() -> None:
    # FA-4
    async def own(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse("own", 418)

    app, bus = FastAPI(), Shop().bus
    for kind in (Forbidden, NoHandler, RequestValidationError):
        app.add_exception_handler(kind, own)
    install(app, bus, {NoHandler: 501})

    @app.get("/{name}")
    async def fail(name: str, page: int = 0) -> None:
        raise {"forbidden": Forbidden(PlaceOrder, None, "no"), "nobody": NoHandler(PlaceOrder, "shop", ())}[name]

    async with client(app) as http:
        assert (await http.get("/forbidden")).status_code == 418
        assert (await http.get("/nobody")).status_code == 501
        assert (await http.get("/nobody?page=x")).status_code == 418
