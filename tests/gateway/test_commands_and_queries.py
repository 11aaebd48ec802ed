"""Commands and queries over HTTP: bodies, query texts and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modd.cqrs import CommandBus, InvalidIntent, Query
from modd.gateway import EVERYBODY, Gateway, accept
from modd.gateway.json_body import read_json
from modd.gateway.query_text import read_query
from tests.gateway.shop import ADA, ORDER, Ping, Shop, client

pytestmark = pytest.mark.anyio


async def test_a_command_has_its_id_and_its_result() -> None:
    # GW-10
    shop = Shop()
    async with client(shop.gateway(), **ADA) as ada:
        placed = await ada.post("/commands/place-order", json=ORDER)
        pinged = await ada.post("/commands/ping", json={})
        mailed = await ada.post("/commands/mail", json={"to": "bob"})
    assert (placed.status_code, placed.json()) == (200, {"id": shop.envelopes[0].id, "result": 7})
    assert (pinged.status_code, pinged.json() | {"id": ""}) == (200, {"id": "", "result": None})
    assert (mailed.status_code, [*mailed.json()]) == (202, ["id"])
    [claim] = await shop.queue.claim(1, lease=60)
    assert claim.id == f"commands:{mailed.json()['id']}" or mailed.json()["id"] in str(claim)


async def test_a_command_that_a_middleware_stops_is_no_success() -> None:
    # GW-10
    async def stop(envelope: Any, call_next: Any) -> None:
        return None

    bus = CommandBus([Shop().ping], middleware=[stop])
    async with client(Gateway(bus, accept(Ping, allow=EVERYBODY))) as anyone:
        assert (await anyone.post("/commands/ping", json={})).status_code == 500


async def test_the_fields_of_a_query_come_from_text() -> None:
    # GW-11
    async with client(Shop().gateway(), **ADA) as ada:
        text = "customer=ada&id=7&whole=true&price=1.5&color=red&tags=a&tags=b&ids=1&ids=2"
        asked = await ada.get(f"/queries/get-order?{text}")
        fields = {"customer": "ada", "id": 7, "whole": True, "price": 1.5, "color": "red", "ids": [1, 2]}
        assert asked.json() == fields | {"$type": "GetOrder", "tags": ["a", "b"]}
        assert asked.headers["Cache-Control"] == "private, max-age=60"
        posted = await ada.post("/queries/get-order", json={"customer": "ada", "id": 7})
        assert (posted.status_code, posted.json()["id"]) == (200, 7)
        nothing = await ada.get("/queries/get-order?customer=ada&color=null&ids=1")
        assert (nothing.json()["color"], nothing.json()["ids"]) == (None, [1])
        public = await ada.get("/queries/prices")
        assert (public.text, public.headers["Cache-Control"]) == ("[7]", "no-store")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("customer=ada&id=x", ["id"]),
        ("customer=ada&id=1&id=2", ["id"]),
        ("customer=ada&price=nan", ["price"]),
        ("customer=ada&whole=maybe&color=blue&ids=x&zz=1", ["whole", "color", "ids[0]", "zz"]),
        ("id=1", ["customer"]),
        ("customer=ada&%24type=GetOrder", ["$type"]),
    ],
)
async def test_all_fields_that_do_not_fit_are_told(text: str, paths: list[str]) -> None:
    # GW-11
    async with client(Shop().gateway(), **ADA) as ada:
        asked = await ada.get(f"/queries/get-order?{text}")
    assert asked.status_code == 422
    assert [each["path"] for each in asked.json()["errors"]] == paths


class Range(Query[int]):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"{self.low} is above {self.high}")


def test_a_rule_of_the_whole_message_is_told_without_values() -> None:
    # GW-11 GW-13
    assert read_query(Range, [("low", "1"), ("high", "20")]) == Range(1, 20)
    reads: list[tuple[Any, Any]] = [(read_query, [("low", "300"), ("high", "20")])]
    for read, content in (*reads, (read_json, b'{"low": 300, "high": 20}')):
        with pytest.raises(InvalidIntent) as raised:
            read(Range, content)
        assert raised.value.errors == (("$", "*** is above ***"),)


@pytest.mark.parametrize(
    ("body", "status", "paths"),
    [
        (b"", 400, None),
        (b'{"lines"', 400, None),
        (b"\xff", 400, None),
        (b'{"card": "\\ud800", "lines": []}', 400, None),
        (b'"' + b'\\"' * 30_000, 400, None),
        (b'{"lines": [], "price": ' + b"9" * 5000 + b"}", 400, None),
        (b"[]", 422, [""]),
        (b'{"lines": [], "lines": []}', 422, ["lines"]),
        (b'{"lines": [{"sku": "a", "count": NaN}, {"sku": "b", "sku": "c"}]}', 422, ["lines[0].count", "lines[1].sku"]),
        (b'{"lines": [], "price": 1e999}', 422, ["price"]),
        (b'{"lines": [], "price": Infinity}', 422, ["price"]),
        (b'{"lines": [{"sku": 5, "count": 0, "x": 1}]}', 422, ["lines[0].sku", "lines[0].count", "lines[0].x"]),
        (b'{"lines": [], "zz": 1}', 422, ["zz"]),
        (b'{"lines": ' + b"[" * 64 + b"]" * 64 + b"}", 422, [""]),
        (b"[" * 10_000, 422, [""]),
        (b'{"lines": [], "card": "[[{{"}', 200, None),
        (b'{"lines": [], "$type": "PlaceOrder"}', 200, None),
        (b'{"lines": [], "$type": "Ping"}', 422, ["$type"]),
        (b'{"lines": [], "' + b"k" * 1000 + b'": 1}', 422, ["k" * 200]),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
async def test_json_is_strict(body: bytes, status: int, paths: list[str] | None) -> None:
    # GW-14
    async with client(Shop().gateway(), **ADA, **{"Content-Type": "application/json"}) as ada:
        answered = await ada.post("/commands/place-order", content=body)
    assert answered.status_code == status, answered.text
    assert paths is None or [each["path"] for each in answered.json()["errors"]] == paths


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json;charset="utf-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("application/json; a=b", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
async def test_other_media_types_are_refused(media_type: str, status: int) -> None:
    # GW-14
    async with client(Shop().gateway(), **ADA) as ada:
        answered = await ada.post("/commands/ping", content=b"{}", headers={"Content-Type": media_type})
    assert answered.status_code == status


async def test_a_cloud_event_has_its_fields_as_data_and_its_id_as_key() -> None:
    # GW-14
    event = {"specversion": "1.0", "type": "place-order", "id": "e1", "source": "/x", "data": ORDER}
    shop = Shop()
    async with client(shop.gateway(), **ADA, **{"Content-Type": "application/cloudevents+json"}) as ada:

        async def post(headers: dict[str, str] | None = None, **parts: Any) -> Any:
            return await ada.post("/commands/place-order", content=json.dumps(event | parts), headers=headers)

        assert (await post()).json() == {"id": "ada:e1", "result": 7}
        assert (await post({"Idempotency-Key": "own"})).json()["id"] == "ada:own"
        wrong = [await post(type="ping"), await post(data={"lines": 5}), await post(id=5)]
        broken = await ada.post("/commands/place-order", content=b"{")
    assert [each.json()["errors"][0]["path"] for each in wrong] == ["type", "lines", "id"]
    assert broken.status_code == 400
