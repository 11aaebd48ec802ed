"""Errors as clients see them."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from modd.aggregate import CommandRejected
from modd.cqrs import (
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    Forbidden,
    GiveUp,
    InvalidIntent,
    LockTimeout,
    NoHandler,
    RateLimited,
    RetryLater,
    Undecodable,
)
from modd.gateway import EVERYBODY, Gateway, accept
from modd.gateway.problems import GATEWAY_STATUSES, Problem
from modd.nats import LinkLost
from modd.ports import Conflict
from modd.remote import NotServed
from modd.stores import StoreBusy
from tests.gateway.shop import ADA, EmailTaken, GetOrder, PlaceOrder, Shop, client

pytestmark = pytest.mark.anyio

ERRORS: list[tuple[Exception, int, str | None]] = [
    (Undecodable(ValueError("x"), ()), 422, None),
    (InvalidIntent(PlaceOrder, [("$.lines", "No")]), 422, None),
    (Forbidden(PlaceOrder, "ada", "no"), 403, None),
    (Forbidden(PlaceOrder, None, "no"), 401, None),
    (NoHandler(PlaceOrder, "shop", ()), 404, None),
    (Conflict("orders"), 409, None),
    (CommandRejected("Sold out."), 409, None),
    (EmailTaken("taken"), 409, None),
    (RateLimited(PlaceOrder, 0.2), 429, "1"),
    (CircuitOpen(PlaceOrder, 2.5), 503, "3"),
    (RetryLater(7), 503, "7"),
    (LockTimeout("x", 5), 503, "1"),
    (StoreBusy("/var/shop.db"), 503, "1"),
    (NotServed("orders"), 503, "1"),
    (LinkLost("shop", "the connection was lost"), 503, "1"),
    (FeatureDisabled(PlaceOrder), 503, "1"),
    (DispatchTimeout(PlaceOrder, 5), 504, None),
    (InvalidIntent(GetOrder, [("$.id", "No")]), 500, None),
    (InvalidIntent(PlaceOrder, [("result.id", "No")]), 500, None),
    (KeyError("x"), 500, None),
    (ExceptionGroup("x", [KeyError("x")]), 500, None),
]


@pytest.mark.parametrize(("error", "status", "seconds"), ERRORS, ids=lambda each: type(each).__name__)
async def test_each_error_is_a_problem_with_its_status(error: Exception, status: int, seconds: str | None) -> None:
    # GW-12
    shop = Shop()
    shop.handle = raise_error(error)
    async with client(shop.gateway(errors={EmailTaken: 409}), **ADA) as ada:
        answered = await ada.post("/commands/place-order", json={"lines": [], "card": "4111-1111"})
    body = answered.json()
    assert (answered.status_code, answered.headers["Content-Type"]) == (status, "application/problem+json")
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert answered.headers.get("Retry-After") == seconds
    assert not [name for name in ("modd", "Order", "/var", "4111-1111", "Error") if name in answered.text]


def raise_error(error: Exception) -> Any:
    def handle(message: Any) -> int:
        raise error

    return handle


def test_each_status_of_the_table_is_tested() -> None:
    # GW-12
    assert GATEWAY_STATUSES.keys() <= {type(error) for error, _, _ in ERRORS}


async def test_an_outage_is_logged_in_one_line_that_names_the_cure(caplog: pytest.LogCaptureFixture) -> None:
    # GW-12
    shop = Shop()
    shop.handle = raise_error(NotServed("orders"))
    async with client(shop.gateway(), **ADA) as ada:
        await ada.post("/commands/place-order", json={"lines": []})
    [record] = [each for each in caplog.records if each.name == "modd.gateway"]
    assert record.levelno == logging.WARNING and not record.exc_info
    assert "503: NotServed: no process serves 'orders'; start one" in record.getMessage()


async def test_a_misfit_that_a_handler_finds_has_its_path() -> None:
    # GW-12
    shop = Shop()
    shop.handle = raise_error(InvalidIntent(PlaceOrder, [("$.lines[0].sku", "No such thing")]))
    async with client(shop.gateway(), **ADA) as ada:
        answered = await ada.post("/commands/place-order", json={"lines": []})
    assert answered.json()["errors"] == [{"path": "lines[0].sku", "message": "No such thing"}]


@pytest.mark.parametrize("kind", [EmailTaken, CommandRejected])
async def test_the_text_of_an_error_of_the_application_has_no_value_of_the_request(kind: type[Exception]) -> None:
    # GW-12 GW-13
    shop = Shop()
    shop.handle = raise_error(kind("4111-1111 is taken by ada"))
    async with client(shop.gateway(errors={EmailTaken: 409}), **ADA) as ada:
        answered = await ada.post("/commands/place-order", json={"lines": [{"sku": "taken by"}], "card": "4111-1111"})
    assert answered.json()["detail"] == "*** is *** ada"


async def test_the_text_of_an_error_of_the_system_has_paths_and_stays_here() -> None:
    # GW-13
    shop = Shop()
    shop.handle = raise_error(FileNotFoundError(2, "No such file", "/var/shop"))
    async with client(shop.gateway(errors={OSError: 404}), **ADA) as ada:
        answered = await ada.post("/commands/place-order", json={"lines": []})
    assert answered.json() == {"type": "about:blank", "title": "Not found", "status": 404}


@pytest.mark.parametrize(
    ("error", "detail"),
    [(RateLimited(PlaceOrder, 1), None), (GiveUp("Never."), "Never."), (RetryLater(5, "Soon."), "Soon.")],
)
async def test_the_text_of_an_error_of_modd_has_names_of_classes_and_stays_here(error: Exception, detail: Any) -> None:
    # GW-13
    shop = Shop()
    shop.handle = raise_error(error)
    async with client(shop.gateway(errors={RateLimited: 400, GiveUp: 400, RetryLater: 503}), **ADA) as ada:
        answered = await ada.post("/commands/place-order", json={"lines": []})
    assert answered.json().get("detail") == detail


async def test_a_small_body_has_no_long_problem() -> None:
    # GW-13
    async with client(Shop().gateway(), **ADA) as ada:
        answered = await ada.post("/commands/place-order", json={"lines": [1] * 20_000})
    assert (answered.status_code, len(answered.json()["errors"])) == (422, 100)


async def test_an_internal_error_has_an_id_that_the_log_has_with_the_traceback(caplog: Any) -> None:
    # GW-13
    shop = Shop()
    shop.handle = raise_error(KeyError("4111-1111"))
    with caplog.at_level(logging.ERROR, "modd.gateway"):
        async with client(shop.gateway(), **ADA) as ada:
            answered = await ada.post("/commands/place-order", json={"lines": [], "card": "4111-1111"})
    [record] = caplog.records
    body = answered.json()
    assert body == {"type": "about:blank", "title": "Internal error", "status": 500, "id": body["id"]}
    assert (record.name, record.levelname) == ("modd.gateway", "ERROR")
    assert body["id"] in caplog.text
    assert "Traceback" in caplog.text
    assert "4111-1111" not in caplog.text


async def test_a_result_that_json_does_not_have_is_an_internal_error() -> None:
    # GW-13
    shop = Shop()
    shop.handle = lambda message: object()
    async with client(Gateway(shop.bus, accept(PlaceOrder, allow=EVERYBODY))) as anyone:
        assert (await anyone.post("/commands/place-order", json={"lines": []})).status_code == 500


def test_a_problem_of_an_unusual_status_has_a_title() -> None:
    # GW-12
    assert msgspec.json.decode(Problem(418).encode())["title"] == "Error"
