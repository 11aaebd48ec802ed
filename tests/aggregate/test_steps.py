"""The functions of a chain: their arguments, and the values that they return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from modd.aggregate import Aggregate, CommandRejected, Instance, Mark, MisusedMark, Rejected
from modd.cqrs import Ask, Emit, Envelope, InvalidHandler
from modd.middleware import Transactional
from modd.ports import Transaction
from modd.stores import MemoryStore
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, pay, recorded

pytestmark = pytest.mark.anyio


class Rate:
    """A resource."""

    value = 19


def nothing(invoice: Instance[Invoice], command: Pay) -> None: ...


async def nothing_later(invoice: Instance[Invoice], command: Pay) -> None:
    await checkpoint()


def one(invoice: Instance[Invoice], command: Pay) -> Paid:
    return Paid(command.invoice_id)


async def one_later(invoice: Instance[Invoice], command: Pay) -> Paid:
    await checkpoint()
    return Paid(command.invoice_id)


def several(invoice: Instance[Invoice], command: Pay) -> list[Any]:
    return [Issued(command.invoice_id), Paid(command.invoice_id)]


def several_in_a_tuple(invoice: Instance[Invoice], command: Pay) -> tuple[Any, ...]:
    return (Issued(command.invoice_id), Paid(command.invoice_id))


def none_in_a_list(invoice: Instance[Invoice], command: Pay) -> list[Any]:
    return []


@pytest.mark.parametrize(
    ("command", "events"),
    [
        (nothing, ()),
        (nothing_later, ()),
        (none_in_a_list, ()),
        (one, (Paid("7"),)),
        (one_later, (Paid("7"),)),
        (several, (Issued("7"), Paid("7"))),
        (several_in_a_tuple, (Issued("7"), Paid("7"))),
    ],
)
async def test_without_a_mark_to_return_passes_and_returned_events_are_published(
    command: Callable[..., Any], events: tuple[Any, ...]
) -> None:
    # WM-12
    aggregate = invoices(nothing, nothing_later, command)
    assert (await aggregate.dispatch(Pay("7"))).events == events
    assert await recorded(aggregate) == len(events)


def rejects_by_value(invoice: Instance[Invoice], command: Pay) -> Rejected:
    return Rejected("No.")


def rejects_in_a_list(invoice: Instance[Invoice], command: Pay) -> list[Any]:
    return [Paid(command.invoice_id), Rejected("No.")]


def refuse() -> None:
    raise CommandRejected("No.")


def rejects_deep_inside(invoice: Instance[Invoice], command: Pay) -> None:
    invoice.publish(Paid(command.invoice_id))
    refuse()


async def rejects_later(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    await checkpoint()
    refuse()


@pytest.mark.parametrize("chain", [[rejects_by_value, pay], [rejects_by_value], [rejects_in_a_list]])
async def test_a_returned_rejection_rejects(chain: list[Any]) -> None:
    # WM-12
    await assert_rejected(*chain)


@pytest.mark.parametrize("function", [rejects_deep_inside, rejects_later])
async def test_a_rejection_raised_at_any_depth_rejects(function: Any) -> None:
    # WM-12
    await assert_rejected(function)
    await assert_rejected(nothing, function, pay)


async def assert_rejected(*chain: Any) -> None:
    aggregate = invoices(*chain)
    with pytest.raises(CommandRejected, match=r"^No\.$"):
        await aggregate.dispatch(Pay("7"))
    assert await recorded(aggregate) == 0


def returns(value: Any) -> Any:
    def returning(invoice: Instance[Invoice], command: Pay) -> Any:
        return value

    returning.__qualname__ = "returning"
    return returning


@pytest.mark.parametrize("value", [False, 5, "No.", Paid("7"), [Paid("7")], [], Rejected])
async def test_a_middleware_that_returns_something_else_is_an_error_with_the_cure(value: Any) -> None:
    # WM-12
    aggregate = invoices(returns(value), pay)
    with pytest.raises(MisusedMark, match=r"returning .*for Pay it returned .*; return nothing, or Rejected") as caught:
        await aggregate.dispatch(Pay("7"))
    assert (caught.value.function, caught.value.command) == ("returning", "Pay")
    assert await recorded(aggregate) == 0


@pytest.mark.parametrize("value", [True, 5, "7", [Paid("7"), 5], Paid, {"paid": Paid("7")}])
async def test_a_command_that_returns_no_events_is_an_error_with_the_cure(value: Any) -> None:
    # WM-12
    cure = r"return nothing, events or Rejected\(...\); a result goes into mark.as_done"
    aggregate = invoices(returns(value))
    with pytest.raises(MisusedMark, match=rf"returning .*for Pay it returned .*; {cure}"):
        await aggregate.dispatch(Pay("7"))
    assert await recorded(aggregate) == 0


async def test_a_reason_that_is_no_text_is_an_error_that_names_it() -> None:
    # WM-12
    def marks(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        mark.as_rejected(404)  # type: ignore[arg-type]

    def raises(invoice: Instance[Invoice], command: Pay) -> None:
        raise CommandRejected(ValueError("no"))  # type: ignore[arg-type]

    for function in (marks, raises, returns(Rejected(404))):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"reason.*give a text") as caught:
            await invoices(function).dispatch(Pay("7"))
        assert "when given Pay for invoice/7" in caught.value.__notes__[0]


async def test_further_parameters_are_filled_by_annotation() -> None:
    # WM-11, WK-2
    seen = dict[str, Any]()

    def looks(
        invoice: Instance[Invoice], command: Pay, envelope: Envelope[Pay], rate: Rate, emit: Emit, mark: Mark
    ) -> None:
        seen.update(id=envelope.id, rate=rate.value, emit=emit)
        mark.as_ready_for_next()

    async def looks_later(
        invoice: Instance[Invoice], command: Pay, rate: Rate | None, *, ask: Ask, more: int = 3
    ) -> None:
        await checkpoint()
        seen.update(later=rate, ask=ask, more=more)

    rate = Rate()
    aggregate = invoices(looks, looks_later, pay, resources={Rate: rate})
    dispatched = await aggregate.dispatch(Pay("7"))
    assert seen.pop("id") == dispatched.envelope.id
    assert callable(seen.pop("emit"))
    assert callable(seen.pop("ask"))
    assert seen == {"rate": 19, "later": rate, "more": 3}


async def test_a_resource_is_made_for_each_call_and_left_after_it() -> None:
    # WM-11
    log = list[str]()

    @asynccontextmanager
    async def rate() -> AsyncIterator[Rate]:
        log.append("enter")
        try:
            yield Rate()
        finally:
            log.append("leave")

    async def looks(invoice: Instance[Invoice], command: Pay, mark: Mark, rate: Rate) -> None:
        await checkpoint()
        log.append(f"look at {rate.value}")
        mark.as_ready_for_next()

    def looks_and_rejects(invoice: Instance[Invoice], command: Pay, rate: Rate) -> Rejected:
        log.append("reject")
        return Rejected("No.")

    with pytest.raises(CommandRejected):
        await invoices(looks, looks_and_rejects, pay, resources={Rate: rate}).dispatch(Pay("7"))
    assert log == ["enter", "look at 19", "leave", "enter", "reject", "leave"]


async def test_the_open_transaction_is_an_argument() -> None:
    # WM-11
    store, seen = MemoryStore(), list[Transaction]()

    def looks(invoice: Instance[Invoice], command: Pay, transaction: Transaction) -> None:
        seen.append(transaction)

    async with store:
        aggregate = invoices(looks, pay, store=store, middleware=[Transactional(store)])
        await aggregate.dispatch(Pay("7"))
    assert len(seen) == 1


async def test_the_mark_is_known_by_its_bare_name_and_by_its_annotation() -> None:
    # WM-11
    def by_name(invoice, command, mark):  # type: ignore[no-untyped-def]
        mark.as_ready_for_next()

    def by_annotation(invoice: Instance[Invoice], command: Pay, word: Mark | None = None) -> None:
        assert word is not None
        word.as_ready_for_next()

    def by_keyword(invoice: Instance[Invoice], command: Pay, *, mark: Any = None, word: Mark, rate: Rate) -> None:
        assert mark is None
        word.as_done(rate.value)

    aggregate = invoices(by_name, by_annotation, by_keyword, resources={Rate: Rate()})
    assert await aggregate.ask(Pay("7")) == 19


class Limit:
    """A check that is an object, and a method."""

    def __call__(self, invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        mark.as_ready_for_next()

    async def pay(self, invoice: Instance[Invoice], command: Pay, fee: int, mark: Mark) -> None:
        await checkpoint()
        mark.as_done(fee)


async def test_objects_methods_and_partials_are_functions_too() -> None:
    # WM-11
    limit = Limit()
    assert await invoices(limit, partial(limit.pay, fee=3)).ask(Pay("7")) == 3


async def test_a_command_is_one_function_or_a_list_whose_last_function_is_the_command() -> None:
    # WK-1
    order = list[str]()

    def first(invoice: Instance[Invoice], command: Pay) -> None:
        order.append("first")

    def second(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        order.append("second")
        mark.as_ready_for_next()

    def last(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        order.append("last")
        mark.as_done(1)

    for chain in (last, [last], (last,), [first, second, last]):
        commands = {Pay: chain}
        assert await invoices(commands=commands).ask(Pay("7")) == 1
    assert order == ["last", "last", "last", "first", "second", "last"]


async def test_a_function_gets_instance_command_and_mark_and_services_on_request() -> None:
    # WK-2
    seen = list[Any]()

    def looks(invoice: Instance[Invoice], command: Pay, mark: Mark, rate: Rate) -> None:
        seen.extend([invoice, command, mark, rate])
        mark.as_done()

    await invoices(looks, resources={Rate: Rate()}).dispatch(Pay("7"))
    assert [type(each) for each in seen] == [Instance, Pay, Mark, Rate]


def no_parameters() -> None: ...


def no_command(invoice: Any) -> None: ...


def mark_for_command(invoice, mark):  # type: ignore[no-untyped-def]
    ...


def mark_first(mark: Mark, invoice: Any, command: Any) -> None: ...


def any_arguments(*arguments: Any) -> None: ...


def command_by_keyword(invoice: Any, *, command: Any) -> None: ...


def unknown_parameter(invoice: Any, command: Any, mark: Mark, rate: Rate) -> None: ...


def no_annotation(invoice, command, marks):  # type: ignore[no-untyped-def]
    ...


def positional_mark(invoice: Any, command: Any, mark: Mark, /) -> None: ...


def generator(invoice: Any, command: Any) -> Iterator[Paid]:
    yield Paid("7")


async def async_generator(invoice: Any, command: Any) -> AsyncIterator[Paid]:
    yield Paid("7")


@pytest.mark.costly
@pytest.mark.parametrize(
    ("function", "text"),
    [
        (no_parameters, "first parameter"),
        (no_command, "takes (instance, command), and a mark"),
        (any_arguments, "takes (instance, command), and a mark"),
        (mark_for_command, "takes (instance, command), and a mark"),
        (mark_first, "takes (instance, command), and a mark"),
        (command_by_keyword, "takes (instance, command), and a mark"),
        (unknown_parameter, "'rate' has the annotation Rate"),
        (no_annotation, "'marks' has no annotation"),
        (positional_mark, "'mark' must take its argument by name, too; remove the /"),
        (generator, "it yields; return a list of events"),
        (async_generator, "it yields; return a list of events"),
    ],
)
def test_a_function_that_cannot_be_filled_is_refused_when_the_aggregate_is_made(
    function: Callable[..., Any], text: str
) -> None:
    # WM-11
    for chain in ([function], [nothing, function], [function, pay]):
        with pytest.raises(InvalidHandler) as caught:
            invoices(*chain)
        assert function.__name__ in str(caught.value)
        assert text in str(caught.value)


async def test_emitted_events_are_released_and_dropped_with_the_decision() -> None:
    # WM-11
    def emits(invoice: Instance[Invoice], command: Issue, emit: Emit) -> Issued:
        emit(Paid(f"emitted at {invoice.revision}"))
        return Issued(command.invoice_id)

    store = MemoryStore()
    one, other = (invoices(commands={Issue: emits}, store=store) for _ in range(2))

    async def events(aggregate: Aggregate[Invoice]) -> tuple[Any, ...]:
        return (await aggregate.dispatch(Issue("7"))).events

    assert await events(one) == (Paid("emitted at 0"), Issued("7"))
    await events(other)
    assert await events(one) == (Paid("emitted at 2"), Issued("7"))  # decided anew: the events of the first are dropped


async def test_a_mark_behind_another_parameter_and_one_that_is_given_by_name_alone_are_found() -> None:
    # WM-11
    def behind(invoice: Instance[Invoice], command: Pay, fee: int = 5, *, mark: Mark) -> None:
        assert fee == 5
        mark.as_ready_for_next()

    def by_name(invoice: Instance[Invoice], command: Pay, *, mark: Mark) -> None:
        mark.as_ready_for_next()

    aggregate = invoices(behind, by_name, pay)
    assert await aggregate.ask(Pay("7")) == 0
    assert (await aggregate.explain(Pay("7"))).allowed
