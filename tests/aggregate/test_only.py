"""The ready-made checks."""

from __future__ import annotations

import sys
from typing import Any, Literal

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from modd import InvalidOption, Value
from modd.aggregate import Aggregate, CommandRejected, Instance, only
from modd.cqrs import Command, Event, Tenant
from modd.errors import MissingExtra
from tests.aggregate.billing import Issue, Pay, invoices, pay

pytestmark = pytest.mark.anyio


class Pet(Value, frozen=True):
    name: str


class Group(Value, frozen=True):
    """A state, and the data of a command."""

    age: int = 0
    phase: str = "open"
    status: str = "new"
    pets: tuple[Pet, ...] = ()


class Join(Command[None]):
    group: str | int | None
    age: Any = 20
    pets: Any = ()


class Joined(Event):
    group: str
    age: int = 0
    phase: str = "open"
    status: str = "new"


def join(group: Instance[Group], command: Join) -> Joined:
    return Joined(group.id)


def joined(state: Group, event: Joined) -> Group:
    return Group(event.age, event.phase, event.status)


def groups(*checks: Any, name: str = "peerGroup", **options: Any) -> Aggregate[Group]:
    usual: dict[str, Any] = {"state": Group, "identity": "group", "events": {Joined: joined}}
    return Aggregate(name, commands={Join: [*checks, join]}, **{**usual, **options})


async def reason_of(aggregate: Aggregate[Any], command: Any, *stamps: Any) -> str:
    """Return the reason for which a command is rejected; empty if it is not."""
    try:
        await aggregate.dispatch(command, *stamps)
    except CommandRejected as rejection:
        return rejection.reason
    return ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("peerGroup", "Peer group"),
        ("peer-group", "Peer group"),
        ("peer_group", "Peer group"),
        ("PeerGroup", "Peer group"),
        ("group2Peer", "Group2 peer"),
        ("invoice", "Invoice"),
        ("_", ""),
    ],
)
async def test_existence_is_checked_with_a_humanised_name(name: str, text: str) -> None:
    # WM-17, WK-12
    old = groups(only.if_exists(), name=name)
    assert await reason_of(old, Join("7")) == f"{text} does not exist."
    new = groups(only.if_not_exists(), name=name)
    assert await reason_of(new, Join("7")) == ""
    assert await reason_of(new, Join("7")) == f"{text} already exists."
    assert await reason_of(old.stored(new.store), Join("7")) == ""


SCHEMA = {
    "type": "object",
    "properties": {
        "age": {"type": "integer"},
        "pets": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
}


class Data(msgspec.Struct):
    age: int
    pets: list[Pet]


VALIDITY = [
    (SCHEMA, Join("7", "old"), "Age is invalid."),
    (SCHEMA, Join("7", 20, [{"name": "a"}, {}]), "Pets/1 is invalid."),
    (SCHEMA, Join("7", "old", [{}]), "Age is invalid."),
    ({"type": "array"}, Join("7"), "Data is invalid."),
    (Data, Join("7", "old"), "Age is invalid."),
    (Data, Join("7", 20, [{"name": "a"}, {}]), "Pets/1 is invalid."),
    (Data, Join("7", 20, [{"name": 5}]), "Pets/0/name is invalid."),
    (list[int], Join("7"), "Data is invalid."),
    (lambda command: command.age > 20, Join("7"), "Data is invalid."),
    (lambda command: command.age > 20, Join("7", "old"), "Data is invalid."),
]


@pytest.mark.parametrize(("schema", "command", "reason"), VALIDITY)
async def test_data_that_does_not_fit_is_named_by_its_first_part(schema: Any, command: Any, reason: str) -> None:
    # WM-17, WK-13
    assert await reason_of(groups(only.if_validated_by(schema)), command) == reason


async def is_of_age(command: Join) -> bool:
    await checkpoint()
    return bool(command.age >= 18)


@pytest.mark.parametrize("schema", [SCHEMA, Data, dict[str, Any], is_of_age, lambda command: True])
async def test_data_that_fits_passes(schema: Any) -> None:
    # WM-17, WK-13
    assert await reason_of(groups(only.if_validated_by(schema)), Join("7", 20, [{"name": "a"}])) == ""


async def test_an_async_predicate_rejects() -> None:
    # WM-17
    assert await reason_of(groups(only.if_validated_by(is_of_age)), Join("7", 17)) == "Data is invalid."


@pytest.mark.parametrize("make", [only.if_validated_by, only.if_state_validated_by])
@pytest.mark.parametrize("schema", [None, 5, "age", [SCHEMA], {"type": "nothing"}])
def test_a_missing_or_impossible_schema_is_an_error_at_set_up(make: Any, schema: Any) -> None:
    # WM-17, WK-13
    with pytest.raises(InvalidOption, match=rf"{make.__name__}="):
        make(schema)


def test_a_schema_without_its_extra_is_an_error_at_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-17
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(MissingExtra, match=r"only\.if_validated_by"):
        only.if_validated_by(SCHEMA)


class OpenGroup(msgspec.Struct):
    age: int
    phase: Literal["open"]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (OpenGroup, "Phase is invalid."),
        ({"properties": {"phase": {"const": "open"}}}, "Phase is invalid."),
        (lambda state: state.phase == "open", "Data is invalid."),
    ],
)
async def test_the_state_is_checked_as_data_is(schema: Any, reason: str) -> None:
    # WM-17, WK-14
    aggregate = groups(only.if_state_validated_by(schema))
    await aggregate.record(Join("7"), Joined("7", phase="closed"))
    assert await reason_of(aggregate, Join("7")) == reason
    assert await reason_of(aggregate, Join("8")) == ""


async def test_the_phase_is_one_of_those_that_are_named() -> None:
    # WM-17, WK-14
    for phases in ("open", ["open", "full"], {"open"}, ("open",)):
        aggregate = groups(only.if_in_phase(phases))
        await aggregate.record(Join("7"), Joined("7", phase="closed"))
        assert await reason_of(aggregate, Join("7")) == "Invalid phase."
        assert await reason_of(aggregate, Join("8")) == ""
    by_status = groups(only.if_in_phase("closed", property="status"))
    assert await reason_of(by_status, Join("7")) == "Invalid phase."
    await by_status.record(Join("7"), Joined("7", status="closed"))
    assert await reason_of(by_status, Join("7")) == ""


@pytest.mark.parametrize("phases", [None, 5, [], ["open", 5], {}])
def test_phases_that_are_no_texts_are_an_error_at_set_up(phases: Any) -> None:
    # WM-17
    with pytest.raises(InvalidOption, match="phases="):
        only.if_in_phase(phases)


def test_a_property_that_is_no_text_is_an_error_at_set_up() -> None:
    # WM-17
    with pytest.raises(InvalidOption, match="property=5"):
        only.if_in_phase("open", property=5)  # type: ignore[arg-type]


async def test_another_aggregate_is_looked_up_by_a_field_or_a_function() -> None:
    # WM-17, WK-14
    others = groups(name="peer-group")
    await others.dispatch(Join("7"))
    for identity in ("invoice_id", lambda command: command.invoice_id):
        aggregate = invoices(only.if_aggregate_exists(others, identity), pay)
        assert await reason_of(aggregate, Pay("8")) == "Peer group does not exist."
        assert await reason_of(aggregate, Pay("7")) == ""


async def test_a_missing_identity_passes_only_if_the_other_aggregate_is_optional() -> None:
    # WM-17, WK-14
    others = groups(name="peer-group")
    for optional, reason in ((True, ""), (False, "Peer group does not exist.")):
        check: Any = only.if_aggregate_exists(others, lambda command: None, optional=optional)
        assert await reason_of(invoices(check, pay), Pay("7")) == reason


async def test_another_aggregate_is_looked_up_for_the_same_tenant() -> None:
    # WM-17
    others = groups()
    await others.dispatch(Join("7"), Tenant("acme"))
    aggregate = invoices(only.if_aggregate_exists(others, "invoice_id"), pay)
    assert await reason_of(aggregate, Pay("7"), Tenant("acme")) == ""
    assert await reason_of(aggregate, Pay("7"), Tenant("other")) == "Peer group does not exist."
    assert await reason_of(aggregate, Pay("7")) == "Peer group does not exist."
    assert await aggregate.explain(Pay("7"), Tenant("acme"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((5, "invoice_id"), "aggregate=5: "),
        ((groups(), 5), "identity=5: "),
        ((groups(), "invoice_id", "yes"), "optional='yes': "),
    ],
)
def test_a_wrong_look_up_is_an_error_at_set_up(arguments: Any, text: str) -> None:
    # WM-17
    with pytest.raises(InvalidOption) as caught:
        only.if_aggregate_exists(*arguments)
    assert text in str(caught.value)


async def test_checks_have_names_in_errors() -> None:
    # WM-17
    with pytest.raises(AttributeError) as caught:
        await invoices(only.if_in_phase("open", property="colour"), pay).dispatch(Pay("7"))
    assert caught.value.__notes__ == ["raised by if_in_phase when given Pay for invoice/7"]


async def test_ready_made_checks_fit_before_each_other() -> None:
    # WM-17, WK-12
    aggregate = invoices(only.if_exists(), only.if_in_phase("issued"), only.if_validated_by(lambda _: True), pay)
    assert await reason_of(aggregate, Pay("7")) == "Invoice does not exist."
    await aggregate.dispatch(Issue("7"))
    assert await reason_of(aggregate, Pay("7")) == ""
    assert await reason_of(aggregate, Pay("7")) == "Invalid phase."
