"""Bodies of requests and responses are messages."""

from __future__ import annotations

from typing import Annotated, Any

import fastapi
import msgspec
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from pydantic import BaseModel, field_validator

from modd import Message, Sensitive
from modd.fastapi import Body, install
from tests.fastapi.shop import ORDER, Cash, OrderPlaced, PlaceOrder, SendMail, Shop, client

pytestmark = pytest.mark.anyio

WRONG = {
    "lines": [{"sku": 3}, {"sku": "x", "count": 0, "colour": "red"}, "yoyo"],
    "pay": {"$type": "Card", "number": "5500-0000"},
    "address": {"color": "blue"},
    "tree": {"name": "oak", "inside": [{"name": 4}]},
    "note": "5500-0001",
}


class Form(BaseModel):
    """A model of pydantic, with a check whose text has the value."""

    order: PlaceOrder
    code: Annotated[str, Sensitive] = ""

    @field_validator("code")
    @classmethod
    def check(cls, code: str) -> str:
        raise ValueError(f"{code} is not valid")


async def test_all_misfits_of_a_body_are_told_with_their_paths_and_without_values() -> None:
    # FA-1
    async with client(Shop().app) as http:
        answer = await http.post("/orders", json=WRONG)
    assert answer.status_code == 422 and answer.json()["error"] == "RequestValidationError"
    assert {(tuple(each["loc"]), each["type"]) for each in answer.json()["detail"]} == {
        (("body", "lines", 0, "sku"), "invalid"),
        (("body", "lines", 1, "sku"), "invalid"),
        (("body", "lines", 1, "count"), "invalid"),
        (("body", "lines", 1, "colour"), "extra_forbidden"),
        (("body", "lines", 2), "invalid"),
        (("body", "pay", "number"), "invalid"),
        (("body", "address", "street"), "missing"),
        (("body", "address", "color"), "invalid"),
        (("body", "tree", "inside", 0, "name"), "invalid"),
        (("body", "note"), "extra_forbidden"),
    }
    assert "5500" not in answer.text
    assert all(each.keys() == {"type", "loc", "msg"} for each in answer.json()["detail"])


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b'{"lines": 1}', b'{"\\ud800": 1}'])
async def test_every_body_that_is_no_message_is_refused(body: bytes) -> None:
    # FA-1
    async with client(Shop().app) as http:
        answer = await http.post("/orders", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"][0] == "body"


async def test_without_install_the_answer_of_fastapi_has_no_values_of_a_message() -> None:
    # FA-1
    app = FastAPI()

    @app.post("/")
    async def place(order: Annotated[PlaceOrder, fastapi.Body()]) -> None: ...

    async with client(app) as http:
        answer = await http.post("/", json=WRONG)
    assert answer.status_code == 422 and len(answer.json()["detail"]) == 10 and "5500" not in answer.text


async def test_errors_of_models_and_parameters_have_no_values() -> None:
    # FA-1
    app = FastAPI()

    @app.post("/")
    async def place(form: Form, page: int, token: Annotated[str, fastapi.Query(max_length=3)]) -> None: ...

    install(app, Shop().bus)
    async with client(app) as http:
        answer = await http.post("/?page=page-5500&token=5500-0000", json={"order": WRONG, "code": "5500-0002"})
    places = {tuple(each["loc"]) for each in answer.json()["detail"]}
    assert {("query", "page"), ("query", "token"), ("body", "code"), ("body", "order", "lines", 0, "sku")} <= places
    assert "5500" not in answer.text and "*** is not valid" in answer.text


async def test_json_has_the_names_of_types_in_unions_alone() -> None:
    # FA-2
    async with client(Shop().app) as http:
        found = await http.get("/orders/1")
        page = await http.get("/orders?id=1")
        paid = await http.post("/payments", json={"$type": "Cash"})
    order = {
        "lines": [{"sku": "yoyo", "count": 1}],
        "pay": {"$type": "Card", "number": "4111"},
        "address": None,
        "tree": None,
    }
    assert found.json() == order
    assert page.json() == {"items": [order]}
    assert paid.json() == {"$type": "Cash"}


@pytest.mark.parametrize(
    ("hint", "value", "json"),
    [
        (SendMail, SendMail("ada"), {"to": "ada"}),
        (list[SendMail], [SendMail("ada")], [{"to": "ada"}]),
        (SendMail | None, SendMail("ada"), {"to": "ada"}),
        (SendMail | OrderPlaced, OrderPlaced(1), {"$type": "OrderPlaced", "id": 1}),
        (SendMail | OrderPlaced | None, SendMail("ada"), {"$type": "SendMail", "to": "ada"}),
        (dict[str, SendMail | int], {"a": SendMail("ada"), "b": 1}, {"a": {"$type": "SendMail", "to": "ada"}, "b": 1}),
    ],
)
async def test_routes_without_install_leave_out_names_alike(hint: Any, value: Any, json: Any) -> None:
    # FA-2
    app = FastAPI()
    app.add_api_route("/", lambda: value, response_model=hint)
    async with client(app) as http:
        answer = await http.get("/")
    assert answer.json() == json


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"number": "4111"}, ["body"]),
        ({"$type": "Coin"}, ["body", "$type"]),
        ({"$type": "Card"}, ["body", "number"]),
        ([], ["body"]),
    ],
)
async def test_a_body_of_several_types_is_told_apart_by_its_name(body: Any, place: list[str]) -> None:
    # FA-2
    async with client(Shop().app) as http:
        answer = await http.post("/payments", json=body)
    assert answer.status_code == 422 and [each["loc"] for each in answer.json()["detail"]] == [place]


def test_bodies_are_named_components_of_a_valid_document() -> None:
    # FA-3
    document = Shop().app.openapi()
    validate(document)  # type: ignore[arg-type, unused-ignore]
    paths, schemas = document["paths"], document["components"]["schemas"]
    body = paths["/orders"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    found = paths["/orders/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert body["$ref"].startswith("#/components/schemas/PlaceOrder")
    assert found["$ref"].startswith("#/components/schemas/PlaceOrder")
    order = schemas[body["$ref"].rpartition("/")[2]]
    assert order["required"] == ["lines", "pay"] and order["properties"]["lines"]["items"]["$ref"].endswith("/Line")
    assert {"Line", "Card", "Cash", "Address", "Color", "SendMail", "Accepted"} <= schemas.keys()
    payment = paths["/payments"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert payment["anyOf"] == [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Cash"}]


def test_types_of_one_name_are_components_apart() -> None:
    # FA-3
    def line(**fields: Any) -> Any:
        return msgspec.defstruct("Line", [*fields.items()], module="tests.fastapi")

    app = FastAPI()
    for at, kind in enumerate((line(sku=str), line(count=int))):
        order = msgspec.defstruct(f"Order{at}", [("line", kind)], bases=(Message,), frozen=True, tag=f"Order{at}")
        app.add_api_route(f"/{at}", lambda: None, response_model=order)

    validate(app.openapi())  # type: ignore[arg-type, unused-ignore]
    schemas = app.openapi()["components"]["schemas"]
    lines = [schema["properties"] for name, schema in schemas.items() if "Line" in name]
    assert sorted([*line] for line in lines) == [["count"], ["sku"]]


def test_a_body_that_is_no_message_is_left_to_pydantic() -> None:
    # FA-1
    app = FastAPI()

    @app.post("/")
    async def place(numbers: Body[list[int]], either: Body[int | Cash]) -> None: ...

    document = app.openapi()
    assert document["components"]["schemas"]["Body_place__post"]["properties"]["numbers"]["type"] == "array"
    assert ORDER
