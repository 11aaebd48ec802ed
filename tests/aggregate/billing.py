"""Invoices: the aggregate that most tests of chains give commands to."""

from __future__ import annotations

from typing import Any

import msgspec

from modd import Value
from modd.aggregate import Aggregate, Instance, Mark
from modd.cqrs import Command, Event


class Invoice(Value, frozen=True):
    """The state of an invoice."""

    amount: int = 0
    phase: str = "draft"


class Issue(Command[None]):
    invoice_id: str
    amount: int = 10


class Pay(Command[int]):
    invoice_id: str


class Issued(Event):
    invoice_id: str
    amount: int = 10


class Paid(Event):
    invoice_id: str


class Unknown(Event):
    """An event that no invoice has a function for."""


def issue(invoice: Instance[Invoice], command: Issue, mark: Mark) -> None:
    invoice.publish(Issued(command.invoice_id, command.amount))
    mark.as_done()


def pay(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_done(invoice.state.amount)


def issued(state: Invoice, event: Issued) -> Invoice:
    return msgspec.structs.replace(state, amount=event.amount, phase="issued")


def paid(state: Invoice, event: Paid) -> Invoice:
    return msgspec.structs.replace(state, phase="paid")


def invoices(*chain: Any, **options: Any) -> Aggregate[Invoice]:
    """Return an aggregate whose `Pay` is decided by a chain: by `pay` alone without one.

    options: those of the aggregate, in place of the usual ones.
    """
    usual: dict[str, Any] = {
        "state": Invoice,
        "identity": "invoice_id",
        "commands": {Issue: issue, Pay: list(chain) or pay},
        "events": {Issued: issued, Paid: paid},
    }
    return Aggregate("invoice", **{**usual, **options})


async def recorded(aggregate: Aggregate[Any]) -> int:
    """Return the number of events in the store of an aggregate."""
    return await aggregate.store.events.last()  # type: ignore[no-any-return]
