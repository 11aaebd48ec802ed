"""Headers of responses: CORS, and those of all."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.gateway.shop import ADA, Shop, client

pytestmark = pytest.mark.anyio

PAGE = {"Origin": "https://shop.example"}
ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


def cors(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control")}


async def test_an_answer_that_may_be_stored_depends_on_who_asked_unless_it_is_for_everybody() -> None:
    # GW-18: a browser that has it shows it to nobody else
    async with client(Shop().gateway(), **ADA) as shop:
        own = await shop.get("/queries/get-order?customer=ada")
        prices = await shop.get("/queries/prices")
    assert own.headers["Cache-Control"] == "private, max-age=60"
    assert (own.headers["Vary"], prices.headers["Vary"]) == ("Origin, Authorization, Cookie", "Origin")


async def test_a_preflight_of_an_allowed_origin_lists_methods_and_headers() -> None:
    # GW-16
    async with client(Shop().gateway()) as shop:
        for path in ("/commands/ping", "/no/such"):
            asked = await shop.options(path, headers=PAGE | ASK)
            assert asked.status_code == 204
            assert asked.headers["Vary"] == "Origin"
            assert cors(asked) == {
                "access-control-allow-origin": "https://shop.example",
                "access-control-allow-credentials": "true",
                "access-control-allow-methods": "GET, POST",
                "access-control-allow-headers": (
                    "content-type, authorization, idempotency-key, prefer, last-event-id, traceparent"
                ),
                "access-control-expose-headers": "Retry-After",
                "access-control-max-age": "600",
            }


async def test_a_page_of_an_allowed_origin_may_read_all_responses() -> None:
    # GW-16
    async with client(Shop().gateway(), **PAGE) as shop:
        answers = [await shop.get("/queries/prices"), await shop.get("/x"), await shop.post("/commands/ping")]
    assert [each.status_code for each in answers] == [200, 404, 401]
    assert {each.headers["Access-Control-Allow-Origin"] for each in answers} == {"https://shop.example"}
    assert {each.headers["Access-Control-Expose-Headers"] for each in answers} == {"Retry-After"}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://shop.example:8443", "http://shop.example", "https://shop.example."]
)  # fmt: skip
async def test_another_origin_gets_no_header_of_cors(origin: str) -> None:
    # GW-16
    async with client(Shop().gateway(), Origin=origin) as shop:
        answers = [await shop.get("/queries/prices"), await shop.options("/queries/prices", headers=ASK)]
    assert [each.status_code for each in answers] == [200, 405]
    assert [cors(each) for each in answers] == [{}, {}]
    assert {each.headers["Vary"] for each in answers} == {"Origin"}


async def test_all_responses_have_the_headers_that_protect_clients() -> None:
    # GW-18
    async with client(Shop().gateway(), **ADA) as ada:
        answers = [await ada.get("/queries/prices"), await ada.get("/x"), await ada.post("/commands/ping", json={})]
        answers += [await ada.options("/queries/prices"), await ada.head("/queries/prices")]
    for each in answers:
        assert each.headers["X-Content-Type-Options"] == "nosniff"
        assert each.headers["Referrer-Policy"] == "no-referrer"
        assert each.headers["Cache-Control"] == "no-store"
        assert "server" not in each.headers


async def test_head_is_get_without_a_body() -> None:
    # GW-18
    async with client(Shop().gateway(), **ADA) as ada:
        got, head = await ada.get("/queries/prices"), await ada.head("/queries/prices")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == got.headers


async def test_another_method_is_a_405_that_names_those_that_there_are() -> None:
    # GW-18
    async with client(Shop().gateway(), **ADA) as ada:
        asked = [await ada.request(method, "/queries/prices") for method in ("OPTIONS", "PUT", "DELETE")]
        sent = await ada.get("/commands/ping")
    assert {(each.status_code, each.headers["Allow"]) for each in asked} == {(405, "GET, HEAD, POST")}
    assert (sent.status_code, sent.headers["Allow"]) == (405, "POST")


async def test_it_can_be_mounted_under_a_prefix() -> None:
    # GW-18
    gateway = Shop().gateway()
    mounted: Any = type("Mounted", (), {"asgi": Starlette(routes=[Mount("/api", gateway.asgi)])})
    async with client(mounted, **ADA) as ada:
        assert (await ada.get("/api/queries/prices")).text == "[7]"
        assert (await ada.get("/api/api/queries/prices")).status_code == 404
