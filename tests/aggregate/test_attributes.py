"""The public attributes of an aggregate, from which tools describe it."""

from __future__ import annotations

from typing import Any

from modd.aggregate import Aggregate, Decider, only
from modd.ports import Tagged
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, issued, paid, pay


def test_an_aggregate_tells_its_identity_its_initial_state_and_its_functions() -> None:
    check: Any = only.if_exists()
    aggregate = invoices(check, pay)
    assert (aggregate.identity, aggregate.initial) == ("invoice_id", Invoice())
    assert aggregate.event_functions == {Issued: issued, Paid: paid}
    assert aggregate.command_chains == {Issue: (issue,), Pay: (check, pay)}
    assert aggregate.event_codec.versions == {"Issued": range(1, 2), "Paid": range(1, 2)}
    assert invoices(identity=None, boundary=lambda _: Tagged("a"), tags=lambda _: ()).identity is None


def test_the_chain_of_a_decider_has_the_docstring_of_its_function() -> None:
    def decide(command: Issue, state: Invoice) -> Issued:
        """Issue it."""
        return Issued(command.invoice_id)

    aggregate = Aggregate("invoice", decider=Decider(decide, issued, Invoice()), identity="invoice_id")
    [[function]] = aggregate.command_chains.values()
    assert function.__doc__ == "Issue it."
