"""Validator refuses messages and results that are not valid."""

from __future__ import annotations

import sys
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType, TypedDict

import anyio
import pytest
from msgspec import Meta, Struct

from modd import Bus, Sensitive, TurnFailed, Value
from modd.cqrs import (
    Command,
    CommandBus,
    Envelope,
    Event,
    EventBus,
    Handled,
    InvalidIntent,
    Next,
    NoHandler,
    Query,
    QueryBus,
)
from modd.errors import InvalidOption, MissingExtra
from modd.middleware.validator import Validator

pytestmark = pytest.mark.anyio


class Stranger(Command[None]):
    pass


class Item(Value, frozen=True):
    sku: str
    count: Annotated[int, Meta(ge=1)] = 1


class Gift(Item, frozen=True):
    note: str = ""


class Colour(Enum):
    RED = "red"


class Opaque:
    pass


class Other:
    pass


class Options(TypedDict):
    depth: int


UserId = NewType("UserId", int)


class Order(Command[Any]):
    items: tuple[Item, ...] = ()
    price: Decimal = Decimal(1)
    to: str | None = None


class Gifts(Order):
    pass


class Pay(Command[None]):
    card: Annotated[Literal["visa", "amex"], Sensitive] = "visa"
    card_id: Annotated[str, Sensitive] = "1"


class Get(Query[Any]):
    id: int = 1


class Placed(Event):
    id: int = 1


def bus_of(result: Any = None, **options: Any) -> CommandBus:
    validator = Validator({Order: options} if options else {})  # type: ignore[dict-item]  # pyright: ignore
    return CommandBus({Order: lambda order: result}, middleware=[validator])


async def errors_of(bus: CommandBus, message: Any = Order()) -> tuple[tuple[str, str], ...]:  # noqa: B008
    try:
        await bus.dispatch(message)
    except InvalidIntent as error:
        return error.errors
    return ()


async def is_sold(message: Any) -> bool:
    await anyio.lowlevel.checkpoint()
    return bool(message.to)


async def test_without_options_the_fields_have_to_fit_their_types() -> None:
    # MI-53
    bus = bus_of()
    assert await errors_of(bus, Order((Item("a"), Gift("b", 2, "hi")), Decimal("1.5"), "ada")) == ()
    wrong: Any = Order(items=(Item("a"), Item(3, 0)), price="1.5", to=3)  # type: ignore[arg-type]  # pyright: ignore
    assert await errors_of(bus, wrong) == (
        ("$.items[1].sku", "Expected `str`, got `int`"),
        ("$.items[1].count", "Expected `int` >= 1"),
        ("$.price", "Expected `Decimal`, got `str`"),
        ("$.to", "Expected `str`, got `int`"),
    )


async def test_what_is_not_valid_is_not_handled() -> None:
    # MI-53
    handled: list[Any] = []
    bus = CommandBus({Order: handled.append}, middleware=[Validator()])
    with pytest.raises(InvalidIntent, match=r"Order is not valid: \$.to: Expected `str`, got `int`"):
        await bus.dispatch(Order(to=3))  # type: ignore[arg-type]  # pyright: ignore
    assert handled == []


async def test_content_that_is_sensitive_is_in_no_error() -> None:
    # MI-53
    schema = {"properties": {"card_id": {"type": "integer"}, "card": {"enum": ["x"]}}}
    options: list[Any] = [{}, {Pay: {"input": schema}}, {Pay: {"input": StrictPay}}]
    for intents in options:
        bus = CommandBus({Pay: lambda pay: None}, middleware=[Validator(intents)])
        with pytest.raises(InvalidIntent) as info:
            await bus.dispatch(Pay(card="hidden", card_id="hidden"))  # type: ignore[arg-type]  # pyright: ignore
        assert "hidden" not in str(info.value)
        assert info.value.intent is Pay
        assert info.value.__cause__ is None and info.value.__context__ is None


class StrictPay(Struct):
    card: Literal["visa"]


@pytest.mark.parametrize("predicate", [lambda order: order.to is not None, is_sold])
async def test_a_predicate_sync_or_async_says_what_gets_in(predicate: Any) -> None:
    # MI-53
    bus = bus_of(input=predicate)
    assert await errors_of(bus, Order(to="ada")) == ()
    assert await errors_of(bus, Order()) == (("$", "it is not valid"),)


@pytest.mark.parametrize("option", ["input", "output"])
async def test_a_predicate_that_raises_says_why(option: str) -> None:
    # MI-53
    async def broken(given: Any) -> bool:
        raise LookupError("not in stock")

    path = {"input": "$", "output": "result"}[option]
    with pytest.raises(InvalidIntent) as info:
        await bus_of(**{option: broken}).dispatch(Order())
    assert info.value.errors == ((path, "LookupError: not in stock"),)


@pytest.mark.parametrize("predicate", [lambda result: result > 0, "async"])
async def test_every_result_is_checked(predicate: Any) -> None:
    # MI-53
    async def positive(result: int) -> bool:
        await anyio.lowlevel.checkpoint()
        return result > 0

    intents: Any = {Placed: {"output": positive if predicate == "async" else predicate}}
    bus = EventBus(middleware=[Validator(intents)])
    for number in (1, -1, -2):
        bus.register(Placed, lambda event, number=number: number)
    with pytest.raises(InvalidIntent) as info:
        await bus.dispatch(Placed())
    assert info.value.errors == (("results[1]", "it is not valid"), ("results[2]", "it is not valid"))


async def test_what_stands_in_for_a_handler_is_checked_too_and_where_there_is_no_result_there_is_no_check() -> None:
    # MI-53
    bus = bus_of(output=int)
    with pytest.raises(InvalidIntent, match="result: Expected `int`, got `str`"):
        await bus.dispatch(Order(), Handled("mocked", "test"))

    async def stop(envelope: Envelope[Any], call_next: Next) -> None:
        """Put it aside, as for a queue."""

    stopped = CommandBus({Order: lambda order: 1}, middleware=[Validator({Order: {"output": int}}), stop])
    assert (await stopped.dispatch(Order())).results == ()


async def test_events_of_a_command_with_an_invalid_result_are_dropped() -> None:
    # MI-53 MI-15
    heard: list[Placed] = []

    def place(order: Order, envelope: Envelope[Order]) -> Any:
        envelope.emit(Placed())
        return order.to

    def hear(event: Placed) -> None:
        heard.append(event)

    bus = Bus([CommandBus([place], middleware=[Validator({Order: {"output": str}})]), hear])
    with pytest.raises(TurnFailed) as info:
        await bus(Order())
    assert isinstance(info.value.exceptions[0], InvalidIntent) and heard == []
    await bus(Order(to="ada"))
    assert heard == [Placed()]


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "error"),
    [
        (Annotated[int, Meta(ge=0)], 0, -1, ("result", "Expected `int` >= 0")),
        (list[Item], [Item("a")], [Item("a", 0)], ("result[0].count", "Expected `int` >= 1")),
        (Options, {"depth": 1}, {"depth": "1"}, ("result.depth", "Expected `int`, got `str`")),
        (int | None, None, "1", ("result", "Expected `int | null`, got `str`")),
        (Decimal, Decimal(1), "1", ("result", "Expected `decimal`, got `str`")),
        (UserId, 1, "1", ("result", "Expected `int`, got `str`")),
        (Literal["a"], "a", "b", ("result", "Invalid enum value")),
        (Colour, Colour.RED, "blue", ("result", "Invalid enum value")),
        (str, "a", Opaque(), ("result", "Encoding objects of type Opaque is unsupported")),
    ],
)
async def test_a_type_for_msgspec(kind: Any, right: Any, wrong: Any, error: tuple[str, str]) -> None:
    # MI-53
    assert await errors_of(bus_of(right, output=kind)) == ()
    assert await errors_of(bus_of(wrong, output=kind)) == (error,)


class Small(Struct, forbid_unknown_fields=True):
    items: tuple[Any, ...]
    price: Annotated[Decimal, Meta(description="at most a few")]
    to: Annotated[str, Meta(max_length=3)] | None


async def test_a_message_is_held_to_a_type_by_its_content() -> None:
    # MI-53
    bus = bus_of(input=Small)
    assert await errors_of(bus, Order(to="ada")) == ()
    assert await errors_of(bus, Order(to="adalbert")) == (("$.to", "Expected `str` of length <= 3"),)
    same = CommandBus({Order: lambda order: None}, middleware=[Validator({Order: {"input": Order}})])
    assert await errors_of(same, Order(to="ada")) == ()
    assert await errors_of(same, Order(to=3)) == (("$.to", "Expected `str | null`, got `int`"),)  # type: ignore[arg-type]  # pyright: ignore


SCHEMA = {
    "type": "object",
    "properties": {
        "to": {"type": ["string", "null"]},
        "items": {"type": "array", "items": {"properties": {"count": {"maximum": 5}}}},
        "price": {"type": "string"},
    },
    "required": ["to"],
    "additionalProperties": False,
}


async def test_a_json_schema() -> None:
    # MI-53
    bus = bus_of({"to": None}, input=SCHEMA, output=SCHEMA)
    assert await errors_of(bus, Order((Item("a", 5),))) == ()
    wrong: Any = Order((Item("a"), Item("b", 6)), to=3)  # type: ignore[arg-type]  # pyright: ignore
    assert sorted(await errors_of(bus, wrong)) == [
        ("$.items[1].count", "value is greater than the maximum of 5"),
        ("$.to", 'value is not of types "null", "string"'),
    ]
    assert await errors_of(bus_of({1: 2}, output=SCHEMA)) == (
        ("result", "Additional properties are not allowed ('1' was unexpected)"),
        ("result", '"to" is a required property'),
    )
    ((path, text),) = await errors_of(bus_of(Opaque(), output=SCHEMA))
    assert (path, text) == ("result", "Encoding objects of type Opaque is unsupported")


@pytest.mark.parametrize(
    "schema", [{"type": 3}, {"$ref": "#/nowhere"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "file:///etc/x"}]
)
async def test_a_schema_that_does_not_work_or_refers_elsewhere_fails_when_it_is_made(schema: Any) -> None:
    # MI-53
    with pytest.raises(InvalidOption, match="give a valid JSON schema"):
        Validator({Order: {"input": schema}})


async def test_without_the_extra_a_schema_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # MI-53
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(MissingExtra, match=r"pip install modd\[jsonschema\]"):
        Validator({Order: {"input": SCHEMA}})


async def test_none_is_no_check_and_the_nearest_base_counts() -> None:
    # MI-53 MI-13
    validator = Validator({Order: {"output": int}, Gifts: {"input": None}})
    bus = CommandBus({Order: lambda order: 1, Gifts: lambda order: "1"}, middleware=[validator])
    wrong: Any = {"to": 3}
    assert await errors_of(bus, Order(**wrong)) == (("$.to", "Expected `str`, got `int`"),)
    assert await errors_of(bus, Gifts(**wrong)) == (("result", "Expected `int`, got `str`"),)
    assert await errors_of(bus_of(input=None, output=None), Order(**wrong)) == ()


async def test_one_validator_serves_buses_of_all_kinds() -> None:
    # MI-14 MI-60
    validator = Validator({Get: {"output": int}, Placed: {"input": lambda event: event.id > 0}})
    queries = QueryBus({Get: lambda query: query.id}, middleware=[validator])
    events = EventBus({Placed: lambda event: None}, middleware=[validator])
    assert await queries.ask(Get(2)) == 2
    with pytest.raises(InvalidIntent):
        await events.dispatch(Placed(0))


@pytest.mark.parametrize("option", ["input", "output"])
async def test_cancelled_in_a_predicate_nothing_comes_back(option: str) -> None:
    # MI-53
    async def forever(given: Any) -> bool:
        await anyio.sleep_forever()
        return True

    envelope = Envelope(Order())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await bus_of(**{option: forever}).dispatch(envelope)
    assert scope.cancelled_caught
    assert envelope.has(Handled) is (option == "output")


async def test_options_that_cannot_work_fail_when_it_is_made() -> None:
    # MI-13
    with pytest.raises(InvalidOption, match="input=3: give a predicate"):
        Validator({Order: {"input": 3}})
    with pytest.raises(InvalidOption, match=r"output=.*give a type that msgspec can convert to"):
        Validator({Order: {"output": Opaque | Other}})
    with pytest.raises(InvalidOption, match="no such option"):
        Validator({Order: {"inputs": int}})  # type: ignore[typeddict-unknown-key]  # pyright: ignore
    with pytest.raises(NoHandler, match="Stranger"):
        CommandBus({Order: lambda order: None}, middleware=[Validator({Stranger: {"input": None}})]).check()


async def test_fields_whose_types_cannot_be_found_are_an_error_when_the_bus_is_checked() -> None:
    # MI-53
    class Local:
        pass

    class Lost(Command[None]):
        at: Local | None = None

    handlers: Any = {Lost: lambda lost: None}
    with pytest.raises(InvalidOption, match=r"Lost'.*name 'Local' is not defined"):
        CommandBus(handlers, middleware=[Validator()]).check()
    await CommandBus(handlers, middleware=[Validator({Lost: {"input": None}})]).dispatch(Lost())
