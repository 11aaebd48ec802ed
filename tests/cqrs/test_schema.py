"""Pydantic, and so FastAPI, takes messages as models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from modd import Message, Sensitive
from modd.cqrs import Command, Event
from tests.cqrs.shop import Create

pytestmark = pytest.mark.anyio


class Size(msgspec.Struct):
    width: int
    height: int = 1


class Tree(msgspec.Struct):
    name: str
    inside: list[Tree] = msgspec.field(default_factory=list)


class Order(Command[int], tag="order-it"):
    sku: str
    price: Decimal
    sizes: list[Size] = msgspec.field(default_factory=list)
    prices: dict[int, int] = msgspec.field(default_factory=dict)
    card: Annotated[str, Sensitive] = ""
    required: bool = False
    renamed: int = msgspec.field(default=0, name="re-named")


class Planted(Event):
    tree: Tree


class Form(BaseModel):
    """A model of pydantic with messages in it."""

    order: Order
    more: list[Create] = msgspec.field(default_factory=list)


class Basket(BaseModel):
    order: Order


MODES: list[Literal["validation", "serialization"]] = ["validation", "serialization"]

ORDERS: TypeAdapter[Order] = TypeAdapter(Order)


def test_data_becomes_a_message_and_a_message_stays_one() -> None:
    # MO-28
    order = Order("yoyo", Decimal("1.50"), [Size(2)], renamed=4)
    data = {"sku": "yoyo", "price": "1.50", "sizes": [{"width": 2}], "re-named": 4}
    assert ORDERS.validate_python(data) == order == ORDERS.validate_json(msgspec.json.encode(data))
    assert ORDERS.validate_python(order) is order
    assert TypeAdapter(Message).validate_python(order) is order


def test_a_message_becomes_data_without_the_name_that_its_type_tells() -> None:
    # MO-28
    order = Order("yoyo", Decimal("1.50"), [Size(2)])
    data = ORDERS.dump_python(order)
    assert "$type" not in data and data["price"] == "1.50" and data["sizes"] == [{"width": 2, "height": 1}]
    assert TypeAdapter(Message).dump_python(order)["$type"] == "order-it"
    assert ORDERS.validate_json(ORDERS.dump_json(order)) == order


def test_keys_that_are_numbers() -> None:
    # MO-28
    order = Order("yoyo", Decimal(1), prices={1: 2})
    assert ORDERS.validate_json(ORDERS.dump_json(order)) == order


@pytest.mark.parametrize(
    "data", [{}, {"sku": 3, "price": 1}, {"sku": "x", "price": 1, "$type": "Create"}, None, [], "x"], ids=str
)
def test_data_that_does_not_fit_is_an_error_of_validation(data: Any) -> None:
    # MO-28
    with pytest.raises(ValidationError):
        ORDERS.validate_python(data)


def test_messages_inside_of_models() -> None:
    # MO-28
    form = Form.model_validate({"order": {"sku": "x", "price": 1}, "more": [{"name": "Ada"}]})
    assert form.order == Order("x", Decimal(1)) and form.more == [Create("Ada")]
    assert Form.model_validate_json(form.model_dump_json()) == form
    assert form.model_dump()["order"]["sku"] == "x"


def test_its_schema_is_named_and_leaves_the_name_out_of_what_is_needed() -> None:
    # MO-28
    for mode in MODES:
        schema = ORDERS.json_schema(mode=mode)
        assert schema["required"] == ["sku", "price"] and schema["title"] == "Order"
        assert schema["properties"]["sizes"]["items"] == {"$ref": "#/$defs/Size"}
        assert schema["$defs"]["Size"]["properties"]["width"] == {"type": "integer"}
        assert schema["properties"]["re-named"]["default"] == 0
        assert schema["properties"]["required"]["type"] == "boolean"
    assert Basket.model_json_schema()["properties"]["order"] == {"$ref": "#/$defs/Order"}


def test_a_type_within_itself_is_a_reference_to_it() -> None:
    # MO-28
    schema = TypeAdapter(Planted).json_schema()
    assert schema["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["properties"]["inside"]["items"] == {"$ref": "#/$defs/Tree"}


def app() -> FastAPI:
    served = FastAPI()

    @served.post("/orders")
    async def order(order: Annotated[Order, Body()]) -> list[Create]:
        return [Create(order.sku)]

    return served


async def post(served: Callable[..., Awaitable[None]], body: bytes) -> tuple[int, Any]:
    """One request, without a server."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(part: Any) -> None:
        sent.append(dict(part))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/orders",
        "raw_path": b"/orders",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": None,
        "server": None,
    }
    await served(scope, receive, send)
    return sent[0]["status"], msgspec.json.decode(sent[1]["body"])


async def test_fastapi_takes_and_gives_messages() -> None:
    # MO-28
    status, body = await post(app(), b'{"sku": "yoyo", "price": 1.5}')
    assert (status, body) == (200, [{"name": "yoyo"}])
    for wrong in (b"{}", b'{"sku": 3, "price": 1}', b"[]", b"nul"):
        status, _ = await post(app(), wrong)
        assert status == 422


def test_fastapi_documents_them() -> None:
    # MO-28
    document = app().openapi()
    body = document["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "sku" in str(body) + str(document["components"])
    assert TypeAdapter(list[Order]).json_schema()["items"]


def test_unknown_fields_are_an_error_of_validation() -> None:
    # MO-28
    with pytest.raises(ValidationError, match=r"for .*\[Order\(\)\]\ncolor\n  Extra inputs are not permitted"):
        ORDERS.validate_python({"sku": "x", "price": 1, "color": "red"})
