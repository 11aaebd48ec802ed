"""Rejected commands, and commands that fail."""

from __future__ import annotations

from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from modd import ModdError
from modd.aggregate import Aggregate, CommandRejected, Instance, Mark, Rejected
from modd.cqrs import Event, GiveUp, RetryLater
from modd.middleware import CircuitBreaker, Retryer
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, issued, paid, pay, recorded

pytestmark = pytest.mark.anyio


def refuses(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_rejected("Not now.")


async def test_a_rejection_is_raised_with_reason_command_aggregate_and_id() -> None:
    # WM-22
    aggregate = invoices(refuses)
    for call in (aggregate.dispatch, aggregate.ask):
        with pytest.raises(CommandRejected) as caught:
            await call(Pay("7"))
        error = caught.value
        assert (error.reason, error.command, error.aggregate, error.id) == ("Not now.", "Pay", "invoice", "7")
        assert error.rejected == Rejected("Not now.", "Pay", "invoice", "7")
        assert str(error) == "Not now."
        assert isinstance(error, ModdError)
        assert isinstance(error.rejected, Event)


async def test_what_was_published_before_a_rejection_is_dropped() -> None:
    # WM-22
    def publishes(invoice: Instance[Invoice], command: Pay) -> None:
        invoice.publish(Issued(command.invoice_id, 99))

    aggregate = invoices(publishes, refuses)
    await aggregate.dispatch(Issue("7"))
    with pytest.raises(CommandRejected):
        await aggregate.dispatch(Pay("7"))
    assert await recorded(aggregate) == 1
    assert (await aggregate.get("7")).state == Invoice(10, "issued")
    assert (await aggregate.explain(Issue("7"))).events == (Issued("7", 10),)


async def test_a_rejection_by_another_aggregate_becomes_one_of_this_aggregate() -> None:
    # WM-22
    other = Aggregate(
        "customer",
        state=Invoice,
        identity="invoice_id",
        commands={Pay: refuses, Issue: issue},
        events={Issued: issued, Paid: paid},
    )

    async def asks(invoice: Instance[Invoice], command: Pay) -> None:
        await other.ask(Pay("8"))

    with pytest.raises(CommandRejected) as caught:
        await invoices(asks, pay).dispatch(Pay("7"))
    assert caught.value.rejected == Rejected("Not now.", "Pay", "invoice", "7")
    assert isinstance(caught.value.__cause__, CommandRejected)
    assert caught.value.__cause__.rejected == Rejected("Not now.", "Pay", "customer", "8")


async def test_a_rejection_is_neither_retried_nor_counted_as_a_failure_of_a_service() -> None:
    # WM-22
    calls = list[str]()

    def counted(invoice: Instance[Invoice], command: Pay) -> Rejected:
        calls.append(command.invoice_id)
        return Rejected("No.")

    middleware = [CircuitBreaker(failures=1, reset_after=60), Retryer(attempts=3, backoff="none")]
    aggregate = invoices(counted, middleware=middleware)
    for _ in range(3):
        with pytest.raises(CommandRejected):
            await aggregate.dispatch(Pay("7"))
    assert calls == ["7"] * 3


class Odd(Exception):
    """An error of a user."""


def odd(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_done()
    raise Odd("boom")


async def odd_later(invoice: Instance[Invoice], command: Pay) -> None:
    invoice.publish(Paid(command.invoice_id))
    await checkpoint()
    raise Odd("boom")


@pytest.mark.parametrize("function", [odd, odd_later])
async def test_an_error_comes_out_as_it_is_with_a_note_of_its_place(function: Any) -> None:
    # WM-24, WK-5
    aggregate = invoices(function)
    for call in (aggregate.dispatch, aggregate.ask):
        with pytest.raises(Odd, match=r"^boom") as caught:
            await call(Pay("7"))
        assert caught.value.__notes__ == [f"raised by {function.__name__} when given Pay for invoice/7"]
        assert caught.value.__cause__ is None
    assert await recorded(aggregate) == 0


async def test_the_note_names_the_function_of_the_chain_that_raised() -> None:
    # WM-24
    def passes(invoice: Instance[Invoice], command: Pay) -> None: ...

    with pytest.raises(Odd) as caught:
        await invoices(passes, odd_later, pay).dispatch(Pay("7"))
    assert caught.value.__notes__ == ["raised by odd_later when given Pay for invoice/7"]


async def test_an_error_that_is_raised_again_has_one_note() -> None:
    # WM-24
    boom = Odd("boom")

    def raises(invoice: Instance[Invoice], command: Pay) -> None:
        raise boom

    with pytest.raises(Odd) as caught:
        await invoices(raises, middleware=[Retryer(attempts=3, backoff="none")]).dispatch(Pay("7\x1b[2J"))
    assert caught.value is boom
    assert len(boom.__notes__) == 1
    assert boom.__notes__[0].endswith(r"for invoice/7\x1b[2J")


async def test_errors_of_handlers_do_what_they_say() -> None:
    # WM-24
    calls = list[str]()

    def gives_up(invoice: Instance[Invoice], command: Issue) -> None:
        calls.append("give up")
        raise GiveUp("never")

    def retries(invoice: Instance[Invoice], command: Pay) -> Paid:
        calls.append("retry")
        if len(calls) < 4:
            raise RetryLater(0)
        return Paid(command.invoice_id)

    aggregate = invoices(commands={Issue: gives_up, Pay: retries}, middleware=[Retryer(attempts=9, retry_on=())])
    with pytest.raises(GiveUp, match=r"^never"):
        await aggregate.dispatch(Issue("7"))
    await aggregate.dispatch(Pay("7"))
    assert calls == ["give up", "retry", "retry", "retry"]
    assert await recorded(aggregate) == 1


async def test_a_command_after_one_that_failed_goes_on() -> None:
    # WM-24
    aggregate = invoices(odd)
    with pytest.raises(Odd):
        await aggregate.dispatch(Pay("7"))
    assert (await aggregate.dispatch(Issue("7"))).events == (Issued("7"),)
    assert (await aggregate.get("7")).revision == 1
