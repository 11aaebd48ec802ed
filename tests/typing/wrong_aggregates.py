# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse of aggregates; it does not run (see wrong.py)."""

from __future__ import annotations

from typing import assert_type

from modd.aggregate import Aggregate, Decider, Instance, Mark, on, only
from modd.aggregate.chain import On
from modd.testing import given
from tests.typing.aggregates import (
    Course,
    Invoice,
    Issue,
    Pay,
    Subscribe,
    courses,
    decide,
    evolve,
    invoices,
    is_small,
    issue,
    issued,
    paid,
    pay,
    subscribe,
    subscribed,
)


def course_is_open(course: Instance[Course], command: Pay) -> None: ...


def takes_no_command(invoice: Instance[Invoice]) -> None: ...


# A function of another command.
on(Pay, issue)  # type: ignore[arg-type]
on(Pay, only.if_exists(), is_small, issue, pay)  # type: ignore[arg-type]
on(Subscribe, is_small)  # type: ignore[arg-type]

# A function of another state, and two states in one chain.
assert_type(on(Pay, course_is_open), On[Invoice])  # type: ignore[assert-type]
on(Pay, is_small, course_is_open)  # type: ignore[misc]
on(Pay, course_is_open, only.if_exists(), pay)  # type: ignore[misc]

# An aggregate of another state.
Aggregate("invoice", state=Invoice, identity="course", commands=[on(Subscribe, subscribe)], events=[issued])  # type: ignore[misc]
Aggregate("invoice", state=Invoice(), identity="course", commands=[on(Subscribe, subscribe)], events=[issued])  # type: ignore[misc]
Aggregate("invoice", state=Invoice, identity="invoice_id", commands=[on(Pay, pay)], events=[subscribed])  # type: ignore[list-item]
Aggregate("a", state=Invoice, identity="id", commands=[on(Pay, pay), on(Subscribe, subscribe)], events=[paid])  # type: ignore[arg-type]

# Further wrong uses.
on(Pay, takes_no_command)  # type: ignore[arg-type]
on("Pay", pay)  # type: ignore[arg-type]
on(Pay, 5)  # type: ignore[arg-type]
on(Invoice, pay)  # type: ignore[arg-type, type-var]
Aggregate("invoice", state=Invoice, identity="invoice_id", commands=[pay], events=[paid])  # type: ignore[list-item]
Aggregate("invoice", state=Invoice, commands=[on(Pay, pay)], events=[paid], identiy="invoice_id")  # type: ignore[call-overload]
Aggregate("invoice", decider=decide, identity="invoice_id")  # type: ignore[call-overload]
Aggregate("invoice", decider=Decider(decide, evolve, Invoice()), state=Invoice, identity="invoice_id")  # type: ignore[call-overload]
Decider(decide, evolve, Course())  # type: ignore[arg-type]
Decider(decide, subscribed, Invoice())  # type: ignore[arg-type]
only.if_in_phase(5)  # type: ignore[arg-type]
only.if_aggregate_exists(invoices, 5)  # type: ignore[arg-type]
Mark("pay", Pay, True).as_rejected(5)  # type: ignore[arg-type]


async def use() -> None:
    assert_type(await invoices.ask(Pay("7")), str)  # type: ignore[assert-type]
    assert_type((await invoices.dispatch(Issue("7"))).result, int)  # type: ignore[assert-type]
    assert_type(await invoices.get("7"), Instance[Course])  # type: ignore[assert-type]
    await invoices.get("7", revision="1")  # type: ignore[arg-type]
    await invoices.dispatch(Issue)  # type: ignore[call-overload]
    await invoices.dispatch(Issue("7"), "ada")  # type: ignore[call-overload]
    await given(invoices, "issued").when(Pay("7")).then_nothing()  # type: ignore[call-overload]
    await given(invoices).when("Pay").then_nothing()  # type: ignore[arg-type]
    await given(invoices).when(Pay("7")).then_state(Course())  # type: ignore[arg-type]
    (await courses.get("7")).publish(5)  # type: ignore[arg-type]
    print((await invoices.get("7")).state.seats)  # type: ignore[attr-defined]
