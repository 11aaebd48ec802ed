"""The examples of aggregates: run as programs, and their decisions without a loop of a bus, a store or a file."""

from __future__ import annotations

import pytest

from examples.enrolment import Open, Opened, Subscribe, Subscribed, enrolment
from examples.invoices import Invoice, Issued, Paid, Pay, invoices
from modd.cqrs import Event
from modd.testing import given
from tests.test_examples import printed

pytestmark = pytest.mark.anyio


@pytest.mark.costly
def test_the_invoices_are_issued_and_paid_once_and_every_check_says_why() -> None:
    # WM-75
    lines = printed("examples/invoices.py")
    assert [line.rpartition(": ")[2] for line in lines[:3]] == [
        "Amount must be above 0.",
        "Customer does not exist.",
        "Issued(invoice_id='7', amount=500)",
    ]
    assert lines[3:6] == [
        "Pay(invoice_id='7'): Paid(invoice_id='7')",
        "Pay(invoice_id='7'): Invalid phase.",
        "Invoice(phase='paid', amount=500)",
    ]
    assert "Invoice already exists.', 'Customer does not exist.', 'Amount must be above 0." in lines[6]


@pytest.mark.costly
def test_the_last_seat_goes_once() -> None:
    # WM-41
    lines = printed("examples/enrolment.py")
    assert sorted(line.partition(" ")[2] for line in lines) == ["Course is full.", "Course is full.", "has a seat"]


async def test_an_issued_invoice_is_paid_once() -> None:
    # WM-69
    await given(invoices, Issued("7", 500)).when(Pay("7")).then(Paid("7"))
    await given(invoices, Issued("7", 500), Paid("7")).when(Pay("7")).then_rejected("Invalid phase.")
    await given(invoices, Issued("7", 500)).when(Pay("7")).then_state(Invoice("paid", 500))


@pytest.mark.parametrize(
    ("past", "reason"),
    [
        ([], "Course is full."),
        ([Opened("logic", 1), Subscribed("logic", "bob")], "Course is full."),
        ([Opened("logic", 2), Subscribed("logic", "ada")], "Student has a seat already."),
        (
            [Opened("logic", 2), Subscribed("law", "ada"), Subscribed("art", "ada")],
            "Student takes 2 courses already.",
        ),
    ],
)
async def test_a_student_gets_no_seat(past: list[Event], reason: str) -> None:
    # WM-40
    await given(enrolment, *past).when(Subscribe("logic", "ada")).then_rejected(reason)


async def test_a_course_is_opened_once() -> None:
    # WM-40
    await given(enrolment).when(Open("logic", 1)).then(Opened("logic", 1))
    await given(enrolment, Opened("logic", 1)).when(Open("logic", 2)).then_rejected("Course exists already.")
