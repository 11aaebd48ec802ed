"""Functions that are annotated for other values than they get are refused when the aggregate is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar

import pytest

from modd import InvalidOption, Message, Value
from modd.aggregate import Aggregate, Instance, on, only
from modd.cqrs import Command, Event
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, issued, paid, pay

S = TypeVar("S")
E = TypeVar("E", bound=Event)
Other = TypeVar("Other", Paid, Issued)


class Receipt(Value, frozen=True):
    """Another state."""


class Overdue(Invoice, frozen=True):
    """A narrower state."""


class HasId(Protocol):
    """Any command or event of an invoice."""

    invoice_id: str


def of_a_receipt(state: Receipt, event: Paid) -> Any: ...


def of_the_event_first(event: Paid, state: Invoice) -> Any: ...


def of_a_narrower_event(state: Invoice, event: PaidLate) -> Any: ...


class PaidLate(Paid):
    """A narrower event: functions of `Paid` never get it."""


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (issued, "the second parameter of issued is annotated with Issued, and gets Paid"),
        (of_a_narrower_event, "the second parameter of of_a_narrower_event is annotated with PaidLate, and gets Paid"),
        (of_a_receipt, "the first parameter of of_a_receipt is annotated with Receipt, and gets Invoice"),
        (of_the_event_first, "is annotated with Invoice, and gets Paid"),
        (partial(issued), "the second parameter of issued is annotated with Issued, and gets Paid"),
    ],
)
def test_an_event_function_for_other_values_is_refused(function: Any, text: str) -> None:
    # WM-96
    with pytest.raises(InvalidOption, match=text) as caught:
        invoices(events={Issued: issued, Paid: function})
    assert caught.value.option == "events of Paid"


def test_an_event_function_of_a_list_is_refused_for_another_state() -> None:
    # WM-96
    with pytest.raises(InvalidOption, match="annotated with Receipt, and gets Invoice"):
        invoices(events=[issued, of_a_receipt])


def without_annotations(first, second): ...  # type: ignore[no-untyped-def]


def of_any(first: Any, second: object) -> Any: ...


def of_optional(first: None, second: Paid | None) -> Any: ...


def of_nowhere(first: Any, second: Nowhere) -> Any: ...  # type: ignore[name-defined]  # noqa: F821


def evolves_more(state: Invoice | Receipt, event: Issued | Paid) -> Any: ...


def evolves_narrower(state: Overdue, event: Annotated[Paid, "late"]) -> Any: ...


def evolves_bases(state: Value, event: Message) -> Any: ...


def evolves_a_protocol(state: HasId, event: HasId) -> Any: ...


def evolves_texts(state: "Invoice", event: "Paid") -> Any: ...  # noqa: UP037


def evolves_variables(state: S, event: E) -> S:
    return state


def evolves_one_of(state: S, event: Other) -> S:
    return state


def evolves_with_rest(*both: Invoice | Paid) -> Any: ...


@pytest.mark.parametrize(
    "function",
    [
        without_annotations,
        of_any,
        of_optional,
        of_nowhere,
        evolves_more,
        evolves_narrower,
        evolves_bases,
        evolves_a_protocol,
        evolves_texts,
        evolves_variables,
        evolves_one_of,
        evolves_with_rest,
        partial(paid),
        lambda state, event: state,
    ],
)
def test_an_event_function_that_may_be_for_its_values_is_taken(function: Any) -> None:
    # WM-96
    assert invoices(events={Issued: issued, Paid: function}).event_functions[Paid] is function


def takes_the_state(invoice: Invoice, command: Pay) -> None: ...


def takes_another_instance(invoice: Instance[Receipt], command: Pay) -> None: ...


def takes_other_instances(invoice: Instance[Receipt | Value] | Instance[Receipt], command: Issue) -> None: ...


def takes_instances_of_none(invoice: Instance[Receipt] | Instance[int] | None, command: Pay) -> None: ...


def takes_the_command_first(command: Pay, invoice: Instance[Invoice]) -> None: ...


def takes_other_commands(invoice: Instance[Invoice], command: Issue | Refund) -> None: ...


class Refund(Command[None]):
    invoice_id: str


IN_INSTANCE = r"and gets an Instance of Invoice; annotate it with Instance\[Invoice\]"
WRONG: list[tuple[Callable[..., Any], str]] = [
    (issue, "the second parameter of issue is annotated with Issue, and gets Pay"),
    (takes_other_commands, "is annotated with Issue or Refund, and gets Pay"),
    (takes_other_instances, "is annotated with Issue, and gets Pay"),
    (takes_the_state, f"the first parameter of takes_the_state is annotated with Invoice, {IN_INSTANCE}"),
    (takes_another_instance, rf"is annotated with Instance\[Receipt\], {IN_INSTANCE}"),
    (takes_instances_of_none, rf"is annotated with Instance\[Receipt\] or Instance\[int\], {IN_INSTANCE}"),
    (takes_the_command_first, f"is annotated with Pay, {IN_INSTANCE}"),
]


@pytest.mark.parametrize(("function", "text"), WRONG)
def test_a_function_of_a_chain_for_other_values_is_refused(function: Any, text: str) -> None:
    # WM-96
    for commands in ({Pay: function}, {Pay: [function, pay]}, [on(Pay, only.if_exists(), function)]):
        with pytest.raises(InvalidOption, match=text) as caught:
            invoices(commands=commands)
        assert caught.value.option == "commands of Pay"


def takes_any_instance(invoice: Instance[Any], command: HasId) -> None: ...


def takes_a_plain_instance(invoice: Instance, command: Command) -> None: ...  # type: ignore[type-arg]


def takes_a_wider_instance(invoice: Instance[Value], command: Issue | Pay) -> None: ...


def takes_a_narrower_instance(invoice: Instance[Overdue], command: PayLate) -> None: ...


def takes_one_of_two(invoice: Instance[Receipt] | Instance[Invoice], command: Pay) -> None: ...


def takes_a_variable(invoice: Instance[S], command: Pay) -> S:
    return invoice.state


def takes_texts(invoice: "Instance[Invoice]", command: "Pay") -> None: ...  # noqa: UP037


class PayLate(Pay):
    """A narrower command: the chain of `Pay` gets it, too."""


@pytest.mark.parametrize(
    "function",
    [
        without_annotations,
        of_any,
        takes_any_instance,
        takes_a_plain_instance,
        takes_a_wider_instance,
        takes_a_narrower_instance,
        takes_one_of_two,
        takes_a_variable,
        takes_texts,
        lambda invoice, command: None,
    ],
)
def test_a_function_of_a_chain_that_may_be_for_its_values_is_taken(function: Any) -> None:
    # WM-96
    assert invoices(commands={Pay: [function, pay]}).command_chains[Pay] == (function, pay)


def test_a_state_may_be_a_number_and_its_functions_take_any_number() -> None:
    # WM-96
    def add(total: float, event: Paid) -> int:
        return int(total) + 1

    def count(invoice: Instance[float], command: Pay) -> None: ...

    assert Aggregate("count", identity="invoice_id", state=0, commands={Pay: count}, events={Paid: add}).initial == 0


READY = {name: value for name, value in vars(only).items() if name.startswith("if_")}


@pytest.mark.parametrize("name", READY)
def test_a_ready_check_that_was_not_called_is_refused(name: str) -> None:
    # WM-97
    text = "()" if name in ("if_exists", "if_not_exists") else "(...)"
    for chain in (READY[name], [READY[name], pay]):
        with pytest.raises(InvalidOption) as caught:
            invoices(commands={Pay: chain})
        assert str(caught.value).endswith(f": call it: only.{name}{text}")
