"""Aggregates that cannot work are refused when they are made; commands without an identity when they are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from modd import InvalidOption, Message, NoHandler, Value
from modd.aggregate import Aggregate, Decider, Rejected, on
from modd.cqrs import Codec, Command, Query, WrongBus
from modd.errors import DuplicateName
from modd.ports import Tagged
from modd.stores import MemoryQueue
from tests.aggregate.billing import (
    Invoice,
    Issue,
    Issued,
    Paid,
    Pay,
    Unknown,
    invoices,
    issue,
    issued,
    paid,
    pay,
    recorded,
)

pytestmark = pytest.mark.anyio


class Needy(Value, frozen=True):
    """A state without a default."""

    amount: int


class Refusing:
    """A state that cannot be made."""

    def __init__(self) -> None:
        raise ValueError("no")


class Numbered(Command[None]):
    invoice_id: Any


class Other(Command[None]):
    number: int


class Price(Query[int]):
    invoice_id: str


class Settled(Message, tag="Paid"):
    """Another type of the same name on the wire."""


def decide(command: Pay, state: Invoice) -> list[Paid]:
    return []


def evolve(state: Invoice, event: Paid) -> Invoice:
    return state


def settled(state: Invoice, event: Settled) -> Invoice:
    return state


def paid_again(state: Invoice, event: Paid) -> Invoice:
    return state


def unnamed(state, event):  # type: ignore[no-untyped-def]
    ...


async def evolve_later(state: Invoice, event: Paid) -> Invoice:
    return state


def evolve_by_steps(state: Invoice, event: Paid) -> Iterator[Invoice]:
    yield state


class Evolving:
    """An object whose call is async."""

    async def __call__(self, state: Invoice, event: Paid) -> Invoice:
        return state


def bare(**options: Any) -> Aggregate[Any]:
    """Return an aggregate whose functions have no annotations."""
    return invoices(commands={Pay: lambda invoice, command: None}, events={Paid: lambda state, event: state}, **options)


DECIDER = Decider(decide, evolve, Invoice())


class Unnamed:
    """An inline part without a name."""

    async def apply(self, store: Any, stream: str, events: Any) -> None: ...


class Named(Unnamed):
    """An inline part with a name."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"commands": {Pay: []}}, "commands of Pay=[]: give a function, or a list of functions"),
        ({"commands": {Pay: ()}}, "commands of Pay=()"),
        ({"commands": {Pay: None}}, "commands of Pay=None"),
        ({"commands": {Pay: "pay"}}, "commands of Pay='pay'"),
        ({"commands": {Pay: [pay, 5]}}, "commands of Pay=5: give functions (instance, command, mark)"),
        ({"commands": {Pay: [Rejected, pay]}}, "commands of Pay"),
        ({"commands": [on(Pay)]}, "commands of Pay=()"),
        ({"commands": {}}, "commands={}: give a chain for at least one type of command"),
        ({"commands": []}, "commands=[]"),
        ({"commands": None}, "commands=None: give state, commands and events, or a decider"),
        ({"commands": "Pay"}, "commands='Pay'"),
        ({"commands": pay}, "commands="),
        ({"commands": [pay]}, "give a mapping from type to chain, or a list of on(Type, *functions)"),
        ({"commands": {"Pay": pay}}, "commands='Pay': give a chain for each type of command"),
        ({"commands": [on(Pay, pay), on(Issue, issue), on(Pay, pay)]}, "it has a chain already"),
        ({"events": {}}, "events={}: give a function (state, event) -> state for each type of event"),
        ({"events": []}, "events=[]"),
        ({"events": None}, "events=None: give state, commands and events, or a decider"),
        ({"events": "Paid"}, "events='Paid': give a mapping from type to function, or a list of functions"),
        ({"events": paid}, "give a mapping from type to function, or a list of functions"),
        ({"events": 5}, "events=5"),
        ({"events": {"Paid": paid}}, "events='Paid': give a function for each type of event"),
        ({"events": {Paid: None}}, "events=None: give a function (state, event) -> state for Paid"),
        ({"events": [paid, issued, paid_again]}, "it has a function already: paid"),
        ({"events": [unnamed]}, "annotate its second parameter with the type of event"),
        ({"events": [5]}, "annotate its second parameter with the type of event"),
        ({"events": [lambda state: state]}, "annotate its second parameter with the type of event"),
        ({"events": {Paid: lambda state: state}}, "for Paid (too many positional arguments)"),
        ({"events": {Paid: lambda state, event, more: state}}, "for Paid (missing a required argument: 'more')"),
        ({"events": {Paid: evolve_later}}, "give a function (state, event) -> state for Paid, neither async nor a gen"),
        ({"events": {Paid: Evolving()}}, "give a function (state, event) -> state for Paid, neither async nor a gen"),
        ({"events": [evolve_by_steps]}, "give a function (state, event) -> state for Paid, neither async nor a gen"),
        ({"codec": 5}, "codec=5: give a modd.cqrs.Codec of the events"),
        ({"codec": Codec([Issued])}, "give one that has the types of all events; it has no Paid"),
        ({"version": "1"}, "version='1': give a whole number, 0 or more"),
        ({"state": None}, "state=None: give state, commands and events, or a decider"),
        ({"state": Needy}, "give a class whose fields have defaults, or an initial value (Missing required"),
        ({"state": Refusing}, "give a class whose fields have defaults, or an initial value (no)"),
        ({"identity": None}, "identity=None: give either an identity or a boundary"),
        ({"boundary": lambda command: Tagged("a")}, "identity='invoice_id': give either an identity or a boundary"),
        ({"identity": "number"}, "identity='number': Issue has no such field; name one that each command has"),
        ({"commands": {Pay: pay, Other: pay}}, "identity='invoice_id': Other has no such field"),
        ({"identity": 5}, "identity=5: give the name of a field, or a function of the command"),
        ({"decider": DECIDER}, "give either a decider, or state, commands and events"),
        ({"decider": pay}, "give a modd.aggregate.Decider"),
        ({"store": MemoryQueue()}, "store="),
        ({"store": 5}, "store=5: "),
        ({"tags": 5}, "tags=5: "),
        ({"snapshots": -1}, "snapshots=-1: give a whole number, 0 or more"),
        ({"states": 1.5}, "states=1.5: give a whole number, 0 or more"),
        ({"attempts": 0}, "attempts=0: "),
        ({"resources": 5}, "resources=5: "),
        ({"inline": [5]}, "inline=5: "),
        ({"inline": [Named("sales"), Unnamed(), Unnamed(), Named("sales")]}, "two parts have the name 'sales'"),
    ],
)
def test_options_that_cannot_work_are_refused_by_their_name_when_the_aggregate_is_made(
    options: dict[str, Any], text: str
) -> None:
    # WM-18
    with pytest.raises(InvalidOption) as caught:
        invoices(**options)
    assert text in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "a.b", "~a", "a\n", None, 5])
def test_a_name_has_letters_digits_and_dashes_alone(name: Any) -> None:
    # WM-18
    with pytest.raises(InvalidOption, match=r"name=.*give a name of letters, digits, - and _"):
        Aggregate(name, decider=DECIDER, identity="invoice_id")


def test_letters_digits_and_dashes_are_a_name() -> None:
    # WM-18
    assert Aggregate("peer-Group_7", decider=DECIDER, identity="invoice_id").name == "peer-Group_7"


def test_a_boundary_needs_tags() -> None:
    # WM-18
    with pytest.raises(InvalidOption, match="tags=None: give a function of an event that returns its tags"):
        invoices(identity=None, boundary=lambda command: Tagged("a"))
    with pytest.raises(InvalidOption, match="boundary='a': give a function of the command that returns a Tagged"):
        invoices(identity=None, boundary="a", tags=lambda event: [])


def test_a_type_that_is_no_command_is_refused() -> None:
    # WM-18
    with pytest.raises(WrongBus, match="Price in invoice"):
        invoices(commands={Price: pay})


def test_two_types_of_one_name_on_the_wire_are_refused() -> None:
    # WM-18
    with pytest.raises(DuplicateName):
        invoices(events={Paid: paid, Settled: settled})


async def test_an_unknown_command_is_an_error_and_an_empty_list_one_when_it_is_defined() -> None:
    # WK-8
    aggregate = invoices()
    for call in (aggregate.dispatch, aggregate.ask, aggregate.explain):
        with pytest.raises(NoHandler, match="Other"):
            await call(Other(7))
    with pytest.raises(InvalidOption, match=r"commands of Pay=\[\]"):
        invoices(commands={Pay: []})


@pytest.mark.parametrize("identity", ["", None, True, 1.5, b"7", ["7"], Unknown()])
async def test_an_identity_that_is_no_text_is_an_error_that_names_the_command(identity: Any) -> None:
    # WM-19
    aggregate = invoices(commands={Numbered: lambda invoice, command: Paid("7")})
    for call in (aggregate.dispatch, aggregate.explain, aggregate.read):
        with pytest.raises(
            InvalidOption, match=r"identity=.*the identity in Numbered must be a text that is not empty"
        ):
            await call(Numbered(identity))
    assert await recorded(aggregate) == 0


async def test_a_whole_number_is_an_identity_as_its_text() -> None:
    # WM-19
    aggregate = invoices(commands={Numbered: lambda invoice, command: Paid(invoice.id)})
    for identity in (7, "7", 0):
        await aggregate.dispatch(Numbered(identity))
    assert (await aggregate.get("7")).revision == (await aggregate.get(7)).revision == 2
    assert (await aggregate.get("0")).exists()


async def test_the_identity_may_be_a_function_of_the_command() -> None:
    # WM-19
    aggregate = invoices(identity=lambda command: command.invoice_id.upper())
    await aggregate.dispatch(Issue("a"))
    assert (await aggregate.get("A")).state == Invoice(10, "issued")


async def test_a_codec_with_all_events_encodes_them() -> None:
    # WM-18
    aggregate = invoices(codec=Codec([Issued, Paid, Unknown], format="msgpack"))
    await aggregate.dispatch(Issue("7"))
    assert (await aggregate.stored(aggregate.store).get("7")).state == Invoice(10, "issued")


def test_a_builtin_whose_parameters_cannot_be_read_is_an_event_function() -> None:
    # WM-18
    assert invoices(state=0, commands={Pay: lambda invoice, command: None}, events={Paid: max})


def test_an_initial_value_is_a_state_too() -> None:
    # WM-18
    assert invoices(state=Invoice(5)).stored(invoices().store).name == "invoice"
    assert bare(state=0)


async def test_events_may_be_a_list_of_annotated_functions() -> None:
    # WM-20
    def changed(state: Invoice, event: Issued | Paid) -> Invoice:
        return Invoice(event.amount if isinstance(event, Issued) else state.amount, type(event).__name__)

    aggregate = invoices(commands=[on(Issue, issue), on(Pay, pay)], events=[changed])
    await aggregate.dispatch(Issue("7", 12))
    assert await aggregate.ask(Pay("7")) == 12
    assert (await aggregate.get("7")).state == Invoice(12, "Paid")


class Basket(msgspec.Struct):
    """A state that can be changed in place."""

    items: int = 0


@dataclass
class Account:
    """A state that can be changed in place."""

    balance: int = 0


@pytest.mark.parametrize("state", [Basket, Basket(), Account, {}, []], ids=repr)
def test_a_state_that_can_be_changed_in_place_is_refused_because_all_instances_begin_with_it(state: Any) -> None:
    # WM-18
    with pytest.raises(InvalidOption, match="must not change in place"):
        invoices(state=state)


@dataclass(frozen=True)
class Balance:
    """A state that cannot be changed in place."""

    amount: int = 0


@pytest.mark.parametrize("state", [Balance, Balance(3), 0, "draft"], ids=repr)
def test_a_state_that_cannot_be_changed_in_place_is_taken(state: Any) -> None:
    # WM-18
    assert bare(state=state)
