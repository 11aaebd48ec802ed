"""The mark: the word of a function about the command, and its misuse."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.aggregate import CommandRejected, Instance, Mark, MisusedMark
from modd.cqrs import InvalidHandler
from modd.middleware import Retryer
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, pay, recorded

pytestmark = pytest.mark.anyio

Misuse = Callable[[Instance[Invoice], Pay, Mark], Any]


def passes(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    mark.as_ready_for_next()


def forgets(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))


def passes_twice(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    mark.as_ready_for_next()
    mark.as_ready_for_next()


def passes_and_rejects(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    mark.as_ready_for_next()
    mark.as_rejected("No.")


def rejects_and_passes(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    mark.as_rejected("No.")
    mark.as_ready_for_next()


def is_done_twice(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_done(1)
    mark.as_done(2)


def is_done_and_rejects(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_done()
    mark.as_rejected("No.")


def is_done(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_done()


def returns_a_value(invoice: Instance[Invoice], command: Pay, mark: Mark) -> Any:
    if mark.is_last:
        mark.as_done()
    else:
        mark.as_ready_for_next()
    return 5


MIDDLEWARE = [
    (forgets, "returned without a mark: mark.as_ready_for_next() or mark.as_rejected(...)"),
    (passes_twice, "has marked it as ready for the next already; mark once"),
    (passes_and_rejects, "has marked it as ready for the next already; mark once"),
    (rejects_and_passes, "has marked it as rejected already; mark once"),
    (is_done, "is not the last one: mark.as_ready_for_next() or mark.as_rejected(...)"),
    (returns_a_value, "returned 5 (int); a function with a mark returns nothing"),
]

COMMANDS = [
    (forgets, "returned without a mark: mark.as_done() or mark.as_rejected(...)"),
    (is_done_twice, "has marked it as done already; mark once"),
    (is_done_and_rejects, "has marked it as done already; mark once"),
    (passes, "is the last one: mark.as_done() or mark.as_rejected(...)"),
    (returns_a_value, "returned 5 (int); a function with a mark returns nothing: a result goes into mark.as_done"),
]


def as_it_is(misuse: Misuse) -> Any:
    return misuse


def swallowed(misuse: Misuse) -> Any:
    def swallows(invoice: Instance[Invoice], command: Pay, mark: Mark) -> Any:
        returned = None
        with suppress(Exception):
            returned = misuse(invoice, command, mark)
        return returned

    return renamed(swallows, misuse)


def later(misuse: Misuse) -> Any:
    async def waits(invoice: Instance[Invoice], command: Pay, mark: Mark) -> Any:
        await checkpoint()
        return misuse(invoice, command, mark)

    return renamed(waits, misuse)


def renamed(function: Any, original: Any) -> Any:
    function.__name__ = function.__qualname__ = original.__name__
    return function


async def assert_misuse(chain: list[Any], name: str, text: str) -> None:
    aggregate = invoices(*chain)
    await aggregate.dispatch(Issue("7"))
    with anyio.fail_after(60):
        with pytest.raises(MisusedMark):
            await aggregate.dispatch(Pay("7"))
        with pytest.raises(MisusedMark) as caught:  # nothing is left behind that keeps the next command waiting
            await aggregate.dispatch(Pay("7"))
    error = caught.value
    assert (error.function, error.command) == (name, "Pay")
    assert name in str(error)
    assert f"for Pay it {text}" in str(error)
    assert isinstance(error, InvalidHandler)
    assert await recorded(aggregate) == 1
    assert (await aggregate.get("7")).state == Invoice(10, "issued")


@pytest.mark.parametrize("style", [as_it_is, swallowed, later])
@pytest.mark.parametrize(("misuse", "text"), MIDDLEWARE)
async def test_a_misused_mark_of_a_middleware_is_an_error_that_names_function_command_and_cure(
    misuse: Any, text: str, style: Any
) -> None:
    # WM-13, WK-3, WK-6, WK-7
    await assert_misuse([style(misuse), pay], misuse.__name__, text)


@pytest.mark.parametrize("style", [as_it_is, swallowed, later])
@pytest.mark.parametrize(("misuse", "text"), COMMANDS)
async def test_a_misused_mark_of_the_command_is_an_error_that_names_function_command_and_cure(
    misuse: Any, text: str, style: Any
) -> None:
    # WM-13, WK-3, WK-6, WK-7
    await assert_misuse([passes, style(misuse)], misuse.__name__, text)


async def test_a_function_without_a_mark_never_hangs() -> None:
    # WK-6
    await assert_misuse([passes, forgets], "forgets", "returned without a mark")


async def test_a_second_mark_is_an_error_and_the_process_goes_on() -> None:
    # WK-7
    await assert_misuse([passes_twice, pay], "passes_twice", "has marked it as ready for the next already")


async def test_a_misused_mark_is_not_retried() -> None:
    # WM-13
    calls = list[str]()

    def counted(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        calls.append(command.invoice_id)

    with pytest.raises(MisusedMark):
        await invoices(counted, middleware=[Retryer(attempts=3, backoff="none")]).dispatch(Pay("7"))
    assert calls == ["7"]


async def test_a_mark_after_the_command_is_over_is_misuse() -> None:
    # WM-13
    kept = list[Mark]()

    def keeps(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        kept.append(mark)
        mark.as_done()

    aggregate = invoices(keeps)
    await aggregate.dispatch(Pay("7"))
    for word in (kept[0].as_done, kept[0].as_rejected):
        with pytest.raises(
            MisusedMark, match=r"keeps.*for Pay it has ended, and so has its mark; mark before it returns"
        ):
            word()


@pytest.mark.parametrize("swallow", [False, True])
async def test_a_mark_of_an_earlier_function_while_the_chain_goes_on_is_misuse(swallow: bool) -> None:
    # WM-13
    kept = list[Mark]()

    def keeps(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        kept.append(mark)
        mark.as_ready_for_next()

    def marks_for_another(invoice: Instance[Invoice], command: Pay) -> Paid:
        with suppress(*[Exception] * swallow):
            kept[-1].as_rejected("Too late.")
        return Paid(command.invoice_id)

    await assert_misuse([renamed(keeps, passes), marks_for_another], "passes", "has ended, and so has its mark")


async def test_middleware_and_command_have_words_of_their_own() -> None:
    # WK-3
    aggregate = invoices(passes, later(passes), pay)
    await aggregate.dispatch(Issue("7"))
    dispatched = await aggregate.dispatch(Pay("7"))
    assert (dispatched.result, dispatched.events) == (10, (Paid("7"),))


async def test_the_result_of_the_mark_is_that_of_the_dispatch() -> None:
    # WM-14
    aggregate = invoices(pay)
    await aggregate.dispatch(Issue("7", 12))
    assert await aggregate.ask(Pay("7")) == 12
    assert (await aggregate.dispatch(Issue("8"))).result is None
    assert await aggregate.ask(Issue("9")) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(("given", "reason"), [(None, "Command rejected."), ("", "Command rejected."), ("No.", "No.")])
async def test_a_rejection_stops_the_chain_and_without_a_reason_says_that_the_command_is_rejected(
    given: str | None, reason: str
) -> None:
    # WM-14, WK-4
    calls = list[str]()

    def rejects(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        mark.as_rejected(given)

    def never(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        calls.append(command.invoice_id)

    for chain in ([rejects, never], [rejects]):
        with pytest.raises(CommandRejected) as caught:
            await invoices(*chain).dispatch(Pay("7"))
        assert caught.value.reason == str(caught.value) == reason
    assert calls == []


async def test_what_was_published_before_a_rejection_is_dropped() -> None:
    # WK-10
    def publishes_and_rejects(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
        invoice.publish(Issued(command.invoice_id), Paid(command.invoice_id))
        mark.as_rejected()

    aggregate = invoices(publishes_and_rejects)
    with pytest.raises(CommandRejected):
        await aggregate.dispatch(Pay("7"))
    assert await recorded(aggregate) == 0
    assert not (await aggregate.get("7")).exists()
