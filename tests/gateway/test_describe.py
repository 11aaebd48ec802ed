"""The documents that describe a gateway: OpenAPI and AsyncAPI."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from jsonschema_rs import validator_for
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.routing import Mount

from modd import Bus, InvalidOption, Sensitive
from modd.cqrs import Command, CommandBus, Event, Query, QueryBus
from modd.gateway import EVERYBODY, Gateway, GatewayMisuse, accept, answer, forward
from modd.stores import MemoryFeed
from tests.gateway.shop import ADA, ORDER, OrderPlaced, Shop, client

pytestmark = pytest.mark.anyio


def described(*more: Any, **options: Any) -> Gateway:
    return Shop().gateway(*more, describe=True, **options)


async def document(gateway: Any, path: str = "/openapi.json") -> Any:
    async with client(gateway) as anyone:
        answered = await anyone.get(path)
    assert (answered.status_code, answered.headers["Content-Type"]) == (200, "application/json")
    return answered.json()


async def test_commands_and_queries_are_described_in_openapi() -> None:
    # GW-19
    found = await document(described())
    OpenAPIV31SpecValidator(found).validate()
    assert found["openapi"].startswith("3.1") and found["info"]["title"] == "shop"
    assert {path: [*methods] for path, methods in found["paths"].items()} == {
        "/commands/place-order": ["post"],
        "/commands/ping": ["post"],
        "/commands/mail": ["post"],
        "/queries/get-order": ["post", "get"],
        "/queries/prices": ["post", "get"],
    }
    assert [*found["components"]["schemas"]] == [
        "PlaceOrder",
        "Line",
        "Ping",
        "SendMail",
        "GetOrder",
        "Color",
        "Prices",
        "Problem",
    ]
    get = found["paths"]["/queries/get-order"]["get"]
    assert [(each["name"], each["required"]) for each in get["parameters"]][:2] == [("customer", True), ("id", False)]
    assert get["security"] == [{"bearer": []}]
    assert found["paths"]["/queries/prices"]["get"]["security"] == []
    assert "servers" not in found


async def test_a_body_and_its_result_fit_their_schemas() -> None:
    # GW-19
    gateway = described()
    found = await document(gateway)
    operation = found["paths"]["/commands/place-order"]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["schema"]
    received = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {"components": found["components"]}
    async with client(gateway, **ADA) as ada:
        answered = (await ada.post("/commands/place-order", json=ORDER)).json()
    validator_for(whole | sent).validate(ORDER)
    assert not validator_for(whole | sent).is_valid({"lines": [{"sku": "yoyo", "count": 0}]})
    for unknown in ({"size": 3} | ORDER, {"lines": [{"sku": "yoyo", "size": 3}]}):  # GW-14
        assert not validator_for(whole | sent).is_valid(unknown)
    validator_for(whole | received).validate(answered)


class Node(msgspec.Struct):
    properties: int
    additionalProperties: str
    nodes: list[Node] | None = None
    by_name: dict[str, Node] = {}


class Grow(Command[None]):
    node: Node


def grow(command: Grow) -> None: ...


async def test_fields_with_the_names_of_schemas_are_described_as_fields() -> None:
    # GW-19
    gateway = Gateway(CommandBus([grow]), accept(Grow, allow=EVERYBODY), describe=True)
    found = await document(gateway)
    OpenAPIV31SpecValidator(found).validate()
    node = found["components"]["schemas"]["Node"]
    assert [*node["properties"]] == ["properties", "additionalProperties", "nodes", "by_name"]
    assert (node["additionalProperties"], node["properties"]["properties"]) == (False, {"type": "integer"})


async def test_events_are_described_in_asyncapi_with_a_channel_for_each_forward() -> None:
    # GW-19
    class Shipped(Event, tag="order.shipped"):
        id: int

    class Lost(Event):
        id: int

    def to(event: Any) -> str:
        return "orders"

    gateway = described(forward(OrderPlaced, Shipped, to=to), forward(Lost, to=to), feed=MemoryFeed())
    found = await document(gateway, "/asyncapi.json")
    assert (found["asyncapi"], found["info"]) == ("3.0.0", {"title": "shop", "version": "1"})
    assert {key: [*each["messages"]] for key, each in found["channels"].items()} == {
        "events-1": ["order-placed", "order-shipped"],
        "events-2": ["lost"],
    }
    assert found["operations"]["send-events-2"] == {"action": "send", "channel": {"$ref": "#/channels/events-2"}}
    placed = found["channels"]["events-1"]["messages"]["order-placed"]
    assert placed == {"name": "order-placed", "payload": {"$ref": "#/components/schemas/OrderPlaced"}}
    schema = found["components"]["schemas"]["OrderPlaced"]
    assert (schema["required"], [*schema["properties"]]) == (["customer"], ["customer"])
    assert [*found["components"]["schemas"]] == ["OrderPlaced", "Shipped", "Lost"]
    assert "Lost" not in (await document(gateway))["components"]["schemas"]


async def test_without_describe_nothing_is_described_and_with_it_only_reading_is_allowed() -> None:
    # GW-19
    async with client(Shop().gateway(), **ADA) as ada:
        unknown = await ada.get("/commands/unknown")
        for path in ("/openapi.json", "/asyncapi.json"):
            answered = await ada.get(path)
            assert (answered.status_code, answered.content) == (404, unknown.content)
    async with client(described()) as anyone:
        assert (await anyone.post("/openapi.json")).headers["Allow"] == "GET, HEAD"
        assert (await anyone.head("/asyncapi.json")).status_code == 200
    with pytest.raises(InvalidOption, match="describe"):
        Shop().gateway(describe="yes")


async def test_a_mounted_gateway_names_its_prefix() -> None:
    # GW-19
    class Mounted:
        asgi = Starlette(routes=[Mount("/api", app=described().asgi)])

    found = await document(Mounted, "/api/openapi.json")
    assert found["servers"] == [{"url": "/api"}]
    assert "servers" not in await document(Mounted, "/api/asyncapi.json")


def bus_of(*kinds: Any) -> Bus:
    """Return a bus that handles these types."""

    def handler_of(kind: Any) -> Any:
        def handle(message: Any) -> Any: ...

        handle.__name__ = kind.__qualname__
        handle.__annotations__ = {"message": kind}
        return handle

    commands = [handler_of(kind) for kind in kinds if issubclass(kind, Command)]
    queries = [handler_of(kind) for kind in kinds if issubclass(kind, Query)]
    return Bus([CommandBus(commands), QueryBus(queries)])


class Dog(msgspec.Struct, tag="dog"):
    name: str = "secret-name"


class Cat(msgspec.Struct, tag="cat"):
    name: str = ""


class Problem(msgspec.Struct):
    pin: Annotated[str, Sensitive] = "secret-pin"
    default: str = "secret-default"


class Adopt(Command[Problem]):
    """Take an animal home."""

    animal: Dog | Cat


class Find(Query[Any]):
    animal: Dog | Cat
    title: str = ""


class Search(Query[list[Problem]]):
    like: Problem | None = None
    words: list[str] = msgspec.field(default_factory=list)
    problems: list[Problem] = msgspec.field(default_factory=list)
    extra: Any = None


async def test_types_in_fields_have_names_without_modules_and_no_defaults() -> None:
    # GW-19
    class Twice(Command[Any]):
        animal: Cat

    class Other:
        class Cat(msgspec.Struct):
            lives: int = 9

    class Again(Command[Other.Cat]): ...

    kinds = (Adopt, Twice, Again)
    exposed = [accept(kind, allow=EVERYBODY) for kind in kinds]
    queries = [answer(kind, allow=EVERYBODY) for kind in (Find, Search)]
    found = await document(Gateway(bus_of(*kinds, Find, Search), *exposed, *queries, describe=True))
    OpenAPIV31SpecValidator(found).validate()
    schemas = found["components"]["schemas"]
    assert {"Adopt", "Cat", "Cat2", "Dog", "Problem", "Problem2"} <= {*schemas}
    assert not any("." in name for name in schemas)
    assert "secret" not in str(found) and "tests" not in str(found)
    assert [*schemas["Problem2"]["properties"]] == ["pin", "default"]
    assert schemas["Adopt"]["description"] == "Take an animal home."
    mapping = schemas["Adopt"]["properties"]["animal"]["discriminator"]["mapping"]
    assert all(each.removeprefix("#/components/schemas/") in schemas for each in mapping.values())
    assert [*found["paths"]["/queries/find"]] == ["post"]
    assert [each["name"] for each in found["paths"]["/queries/search"]["get"]["parameters"]] == ["words"]


def test_a_type_without_a_schema_is_misuse_when_the_gateway_is_made() -> None:
    # GW-19
    class Strange:
        pass

    class Ask(Query[Strange]): ...

    bus = bus_of(Ask)
    Gateway(bus, answer(Ask, allow=EVERYBODY))
    with pytest.raises(GatewayMisuse, match=r"answer\(.*Ask\): a type in its fields or its result has no JSON schema"):
        Gateway(bus, answer(Ask, allow=EVERYBODY), describe=True)
