"""Bytes that are no envelope are one kind of error, whatever is wrong with them."""

from __future__ import annotations

from datetime import datetime
from traceback import format_exception
from typing import Annotated, Any, Literal

import msgspec
import pytest

from modd import Sensitive
from modd.cqrs import Command, CommandBus, Identity, InvalidIntent, UnknownStamp
from modd.cqrs.codec import Codec
from modd.cqrs.errors import Undecodable
from modd.cqrs.intents import create_intent
from modd.middleware import Validator
from tests.cqrs.shop import Create

CODEC = Codec([Create])
IDENTITY = {"$stamp": "Identity", "id": "1", "correlation_id": "1", "at": 1.0}


def encoded(*stamps: Any, **changed: Any) -> bytes:
    whole = {"identity": IDENTITY, "message": {"$type": "Create", "name": "Ada"}, "stamps": stamps}
    return msgspec.json.encode(whole | changed)


WRONG: list[bytes] = [
    b"",
    b"null",
    b"\xff",
    b"[" * 100_000,
    b'{"identity": ' + b"[" * 100_000,
    encoded(identity=None),
    encoded(identity=IDENTITY | {"id": 3}),
    encoded(identity=IDENTITY | {"id": ""}),
    encoded(message=None),
    encoded(message={"$type": "Charge"}),
    encoded(message={"$type": ["Create"]}),
    encoded(message={"$type": "Create", "name": 3}),
    encoded(3),
    encoded({"at": 1.0}),
    encoded({"$stamp": "Handled"}),
    encoded({"$stamp": "Handled", "result": "x"}),
    encoded({"$stamp": "Emitted", "event": 3}),
    encoded({"$stamp": "Delay", "seconds": -1}),
    encoded({"$stamp": "Redispatched", "stamps": [{"$stamp": "Handled", "result": "x"}], "at": 1.0}),
]


@pytest.mark.parametrize("data", WRONG, ids=[str(at) for at in range(len(WRONG))])
def test_what_is_no_envelope_is_undecodable(data: bytes) -> None:
    # MI-11
    with pytest.raises(Undecodable):
        CODEC.decode(data)


def test_an_unknown_stamp_is_kept_whatever_is_in_it() -> None:
    # MI-11
    data = {"$stamp": "Other", "at": "soon", "deep": [{"x": 1}]}
    envelope = CODEC.decode(encoded(data))
    unknown = envelope.first(UnknownStamp)
    assert unknown is not None and unknown.data == data and isinstance(unknown.at, float)
    assert data in msgspec.json.decode(CODEC.encode(envelope))["stamps"]


def test_one_envelope_has_one_identity() -> None:
    # MI-9 MI-11
    envelope = CODEC.decode(encoded(IDENTITY | {"id": "2"}))
    assert [stamp.id for stamp in envelope.stamps if isinstance(stamp, Identity)] == ["1"]


class Money(msgspec.Struct):
    amount: str

    def __post_init__(self) -> None:
        raise ValueError(f"{self.amount} is no amount")


class Pay(Command[None]):
    card: Annotated[str, Sensitive]
    at: datetime | None = None
    money: Money | None = None
    number: complex = 0
    currency: Literal["euro"] = "euro"


def refuse(kind: type, value: Any) -> Any:
    raise KeyError(value)


def refuse_version(fields: dict[str, Any]) -> dict[str, Any]:
    raise LookupError(f"no account {fields['card']}")


SECRET = "4111222233334444"


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"money": {"amount": SECRET}}, "*** is no amount - at `$.money`"),
        ({"number": SECRET}, "***"),
        ({"currency": SECRET}, "Invalid enum value - at `$.currency`"),
        ({"card": 4111222233334444}, "Expected `str`, got `int` - at `$.card`"),
        ({"$type": "Paid"}, "the upcaster of Paid from version 1 raised LookupError: no account ***"),
        ({"$type": "Other"}, "no type 'Other'"),
    ],
)
def test_the_error_repeats_no_values_of_the_bytes_and_neither_does_a_cause(
    fields: dict[str, Any], told: str, format: Any
) -> None:
    # DF-21
    codec = Codec([Pay], format=format, dec_hook=refuse, upcasters={"Paid": {1: refuse_version}})
    message = {"$type": "Pay", "card": SECRET} | fields
    data = {"identity": IDENTITY, "message": message, "stamps": []}
    with pytest.raises(Undecodable) as caught:
        codec.decode(msgspec.json.encode(data) if format == "json" else msgspec.msgpack.encode(data))
    assert told in str(caught.value)
    assert "4111" not in "".join(format_exception(caught.value)) + repr(caught.value.reason)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(("name", "fault"), [("Pay", "Expected `str`, got `int`"), ("Paid", "the upcaster of Paid")])
def test_the_error_names_type_and_version_of_a_message_whose_fields_do_not_fit(name: str, fault: str) -> None:
    # DF-33
    codec = Codec([Pay], dec_hook=refuse, upcasters={"Paid": {1: refuse_version}})
    data = {"identity": IDENTITY, "message": {"$type": name, "card": 4}, "stamps": []}
    with pytest.raises(
        Undecodable, match=f"^these bytes are no envelope of version 1 of {name}: {fault}.*an upcaster"
    ) as e:
        codec.decode(msgspec.json.encode(data))
    assert (e.value.name, e.value.version) == (name, 1)
    with pytest.raises(Undecodable, match=r"^these bytes are no envelope: ") as e:
        codec.decode(b"{}")
    assert (e.value.name, e.value.version) == ("", 0)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"money": {"amount": SECRET}}, ("$.money", "*** is no amount")),
        ({"currency": SECRET}, ("$.currency", "Invalid enum value")),
        ({"card": 4111222233334444}, ("$.card", "Expected `str`, got `int`")),
        ({"other": SECRET}, ("$.other", "unknown field")),
    ],
)
def test_an_intent_of_invalid_data_repeats_no_values(fields: dict[str, Any], told: tuple[str, str], raw: bool) -> None:
    # DF-21
    data: Any = {"card": SECRET} | fields
    with pytest.raises(InvalidIntent) as caught:
        create_intent(Pay, msgspec.json.encode(data) if raw else data)
    assert caught.value.errors == (told,)
    assert "4111" not in "".join(format_exception(caught.value))
    assert caught.value.__cause__ is caught.value.__context__ is None


async def no_account(command: Pay) -> bool:
    raise KeyError(command.card)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "check", [no_account, lambda command: {}[command.card], {"type": "object", "maxProperties": 0}]
)
async def test_the_checks_of_a_validator_repeat_no_values(check: Any) -> None:
    # DF-21
    def pay(command: Pay) -> None: ...

    commands = CommandBus([pay], middleware=[Validator({Pay: {"input": check}})])
    with pytest.raises(InvalidIntent) as caught:
        await commands.ask(Pay(SECRET))
    assert SECRET not in "".join(format_exception(caught.value))
    assert caught.value.__cause__ is caught.value.__context__ is None
