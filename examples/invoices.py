"""Invoices: an aggregate with checks in front of its commands. Run it: ``python examples/invoices.py``."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import msgspec

from modd import Value
from modd.aggregate import Aggregate, CommandRejected, Instance, Mark, Rejected, on, only
from modd.cqrs import Command, Event


class Customer(Value, frozen=True):
    """The state of a customer."""

    name: str = ""


class Register(Command[None]):
    customer_id: str
    name: str


class Registered(Event):
    customer_id: str
    name: str


def register(customer: Instance[Customer], command: Register) -> Registered:
    return Registered(command.customer_id, command.name)


def registered(state: Customer, event: Registered) -> Customer:
    return Customer(event.name)


customers = Aggregate(
    "customer",
    state=Customer,
    identity="customer_id",
    commands=[on(Register, only.if_not_exists(), register)],
    events=[registered],
)


class Invoice(Value, frozen=True):
    """The state of an invoice. phase: "draft", "issued" or "paid". amount: in cents."""

    phase: str = "draft"
    amount: int = 0


class Issue(Command[None]):
    invoice_id: str
    customer_id: str
    amount: int


class Pay(Command[int]):
    """Pay an invoice; the result is the amount, in cents."""

    invoice_id: str


class Issued(Event):
    invoice_id: str
    amount: int


class Paid(Event):
    invoice_id: str


def only_if_amount_is_above(least: int) -> Callable[[Instance[Invoice], Issue], Rejected | None]:
    """A check of your own with a parameter: a function that returns the check."""

    def check(invoice: Instance[Invoice], command: Issue) -> Rejected | None:
        return None if command.amount > least else Rejected(f"Amount must be above {least}.")

    return check


def is_plausible(command: Issue) -> bool:
    return command.amount < 1_000_000


def is_payable(state: Invoice) -> bool:
    return state.amount > 0


def issue(invoice: Instance[Invoice], command: Issue, mark: Mark) -> None:
    if command.amount > 100_000:
        return mark.as_rejected("Amount is too high.")
    invoice.publish(Issued(command.invoice_id, command.amount))
    return mark.as_done()


def pay(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_done(invoice.state.amount)


def issued(state: Invoice, event: Issued) -> Invoice:
    return Invoice("issued", event.amount)


def paid(state: Invoice, event: Paid) -> Invoice:
    return msgspec.structs.replace(state, phase="paid")


invoices = Aggregate(
    "invoice",
    state=Invoice,
    identity="invoice_id",
    commands=[
        on(
            Issue,
            only.if_not_exists(),
            only.if_validated_by(is_plausible),
            only.if_aggregate_exists(customers, "customer_id"),
            only_if_amount_is_above(0),
            issue,
        ),
        on(Pay, only.if_exists(), only.if_in_phase("issued"), only.if_state_validated_by(is_payable), pay),
    ],
    events=[issued, paid],
)


async def main() -> None:
    await customers.dispatch(Register("ada", "Ada"))
    for command in (Issue("7", "ada", 0), Issue("7", "bob", 500), Issue("7", "ada", 500), Pay("7"), Pay("7")):
        try:
            dispatched = await invoices.dispatch(command)
        except CommandRejected as rejection:
            print(f"{command}: {rejection.reason}")
        else:
            print(f"{command}: {', '.join(map(str, dispatched.events))}")
    print((await invoices.get("7")).state)
    print(await invoices.explain(Issue("7", "bob", 0)))


if __name__ == "__main__":
    anyio.run(main)
