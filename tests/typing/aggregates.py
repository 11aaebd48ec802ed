"""What users write of aggregates, and the types it has: both checkers must accept it, and it runs (test_typing.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

import msgspec

from modd import Bus, Value
from modd.aggregate import Aggregate, CommandRejected, Decider, Explanation, Instance, Mark, Rejected, on, only
from modd.cqrs import Actor, Command, Dispatched, Envelope, Event
from modd.stores import MemoryStore
from modd.testing import given


class Invoice(Value, frozen=True):
    amount: int = 0
    phase: str = "draft"


class Course(Value, frozen=True):
    seats: int = 0


class Issue(Command[None]):
    invoice_id: str
    amount: int = 10


class Pay(Command[int]):
    invoice_id: str


class Subscribe(Command[None]):
    course: int


class Issued(Event):
    amount: int


class Paid(Event):
    pass


class Raised(Event):  # with the fields of another event, for which mypy infers the type of a mapping in its own way
    amount: int


class Subscribed(Event):
    pass


class Rate:
    value = 19


def issue(invoice: Instance[Invoice], command: Issue, mark: Mark) -> None:
    if command.amount > 1000:
        return mark.as_rejected("Amount is too high.")
    assert_type(invoice.state, Invoice)
    invoice.publish(Issued(command.amount))
    return mark.as_done()


async def pay(invoice: Instance[Invoice], command: Pay, mark: Mark, rate: Rate) -> None:
    invoice.publish(Paid())
    mark.as_done(invoice.state.amount + rate.value)


def is_small(invoice: Instance[Invoice], command: Issue | Pay) -> Rejected | None:
    return Rejected("Too much.") if invoice.state.amount > 100 else None


def is_signed(invoice: Instance[Invoice], command: Command[Any], mark: Mark) -> None:
    mark.as_ready_for_next()


def only_if_amount_is_above(least: int) -> Callable[[Instance[Invoice], Issue], Rejected | None]:
    def check(invoice: Instance[Invoice], command: Issue) -> Rejected | None:
        return None if command.amount > least else Rejected("Too little.")

    return check


def settle(invoice: Instance[Invoice], command: Pay) -> list[Paid] | Rejected:
    return [Paid()]


def subscribe(course: Instance[Course], command: Subscribe) -> Subscribed:
    return Subscribed()


def issued(state: Invoice, event: Issued) -> Invoice:
    return Invoice(event.amount, "issued")


def paid(state: Invoice, event: Paid) -> Invoice:
    return msgspec.structs.replace(state, phase="paid")


def raised(state: Invoice, event: Raised) -> Invoice:
    return Invoice(state.amount + event.amount, state.phase)


def subscribed(state: Course, event: Subscribed) -> Course:
    return Course(state.seats + 1)


invoices = Aggregate(
    "invoice",
    state=Invoice,
    identity="invoice_id",
    commands=[
        on(Issue, only.if_not_exists(), is_small, is_signed, only_if_amount_is_above(0), issue),
        on(Pay, only.if_exists(), only.if_in_phase("issued"), only.if_validated_by(dict[str, Any]), is_small, pay),
    ],
    events=[issued, paid],
    resources={Rate: Rate()},
)
assert_type(invoices, Aggregate[Invoice])

by_mapping = Aggregate(
    "invoice",
    state=Invoice(),
    identity=lambda command: command.invoice_id,
    commands={Issue: [only.if_not_exists(), issue], Pay: settle},
    events={Issued: issued, Paid: paid},
)
assert_type(by_mapping, Aggregate[Invoice])

by_functions = Aggregate(
    "invoice",
    state=Invoice,
    identity="invoice_id",
    commands={Issue: issue},
    events={Issued: issued, Raised: raised},
)
assert_type(by_functions, Aggregate[Invoice])

courses = Aggregate(
    "course",
    state=Course,
    identity="course",
    commands=[on(Subscribe, only.if_aggregate_exists(invoices, "course", optional=True), subscribe)],
    events=[subscribed],
)
assert_type(courses, Aggregate[Course])


def decide(command: Issue | Pay, state: Invoice) -> list[Issued | Paid] | Rejected:
    return [Issued(command.amount)] if isinstance(command, Issue) else Rejected("No.")


def evolve(state: Invoice, event: Issued | Paid) -> Invoice:
    return Invoice(event.amount) if isinstance(event, Issued) else state


decided = Aggregate("invoice", decider=Decider(decide, evolve, Invoice()), identity="invoice_id")
assert_type(decided, Aggregate[Invoice])


class New:
    """The same aggregates, each in a store of its own."""

    def __init__(self) -> None:
        self.invoices, self.by_mapping = invoices.stored(MemoryStore()), by_mapping.stored(MemoryStore())
        self.courses, self.decided = courses.stored(MemoryStore()), decided.stored(MemoryStore())


async def use_aggregates() -> None:
    new = New()
    assert_type(await new.invoices.dispatch(Issue("7", 5)), Dispatched[None])
    assert_type(await new.invoices.ask(Pay("7"), Actor("ada")), int)
    assert_type(await new.by_mapping.dispatch(Envelope(Issue("7"))), Dispatched[None])
    assert_type((await Bus([new.decided]).dispatch(Issue("7"))).result, None)
    assert_type(await Bus([new.by_mapping]).ask(Pay("7")), int)
    assert_type(await new.invoices.get("7"), Instance[Invoice])
    assert_type((await new.invoices.get("7", revision=1)).state, Invoice)
    assert_type((await new.courses.read(Subscribe(7))).state, Course)
    assert_type(await new.invoices.explain(Pay("7")), Explanation)
    assert_type(new.invoices.stored(new.invoices.store, snapshots=0), Aggregate[Invoice])
    async for change in new.invoices.history("7"):
        assert_type(change.state, Invoice)
    try:
        await new.invoices.dispatch(Issue("7"))
    except CommandRejected as rejection:
        assert_type(rejection.reason, str)
        assert_type(rejection.rejected, Rejected)
    await given(invoices, Issued(5)).when(Pay("7"), Actor("ada")).then(Paid())
    await given(decided).when(Issue("7")).then_state(Invoice(10))
    await given(decided, by=Actor("ada")).when(Pay("7")).then_rejected("No.")
    assert_type(await given(decided).when(Pay("7")).then_raises(CommandRejected), CommandRejected)
