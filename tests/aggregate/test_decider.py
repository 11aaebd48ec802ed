"""Deciders: two pure functions in place of chains."""

from __future__ import annotations

from typing import Any, Union

import pytest
from anyio.lowlevel import checkpoint

from modd import InvalidOption
from modd.aggregate import Aggregate, CommandRejected, Decider, MisusedMark, Rejected
from modd.testing import given
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay

pytestmark = pytest.mark.anyio


def decide(command: Issue | Pay, state: Invoice) -> list[Issued | Paid] | Rejected:
    if isinstance(command, Issue):
        return [Issued(command.invoice_id, command.amount)]
    return [Paid(command.invoice_id)] if state.phase == "issued" else Rejected("Invoice is not issued.")


def evolve(state: Invoice, event: Issued | Paid) -> Invoice:
    return Invoice(event.amount, "issued") if isinstance(event, Issued) else Invoice(state.amount, "paid")


def aggregate_of(decide: Any, evolve: Any = evolve) -> Aggregate[Invoice]:
    return Aggregate("invoice", decider=Decider(decide, evolve, Invoice()), identity="invoice_id")


async def test_a_decider_is_wired_as_chains_are() -> None:
    # WM-21
    aggregate = aggregate_of(decide)
    with pytest.raises(CommandRejected) as caught:
        await aggregate.dispatch(Pay("7"))
    assert (caught.value.reason, caught.value.command, caught.value.id) == ("Invoice is not issued.", "Pay", "7")
    assert (await aggregate.dispatch(Issue("7", 12))).events == (Issued("7", 12),)
    assert (await aggregate.dispatch(Pay("7"))).events == (Paid("7"),)
    assert (await aggregate.get("7")).state == Invoice(12, "paid")
    assert (await aggregate.explain(Pay("7"))).functions == ("decide",)
    await given(aggregate, Issued("7", 3)).when(Pay("7")).then(Paid("7"))


async def test_types_come_from_the_annotations() -> None:
    # WM-21
    def decide_old(command: "Union[Issue, Pay]", state: Invoice) -> Any: ...  # noqa: UP007, UP037

    def evolve_one(state: Invoice, event: Paid) -> Invoice:
        return state

    decider = Decider(decide_old, evolve_one, Invoice())
    assert (tuple(decider.commands), tuple(decider.events)) == ((Issue, Pay), (Paid,))


async def test_a_decider_may_decide_for_nothing_for_one_event_or_later() -> None:
    # WM-21
    async def later(command: Issue | Pay, state: Invoice) -> Any:
        await checkpoint()
        return Paid("7") if isinstance(command, Pay) else None

    aggregate = aggregate_of(later)
    assert (await aggregate.dispatch(Issue("7"))).events == ()
    assert (await aggregate.dispatch(Pay("7"))).events == (Paid("7"),)


async def test_a_decider_that_returns_no_events_is_misuse_that_names_it() -> None:
    # WM-21
    def wrong(command: Issue | Pay, state: Invoice) -> Any:
        return 5

    with pytest.raises(MisusedMark, match=r"wrong.*for Pay it returned 5"):
        await aggregate_of(wrong).dispatch(Pay("7"))


def no_annotation(command, state):  # type: ignore[no-untyped-def]
    ...


def no_message(command: int, state: Invoice) -> Any: ...


def one_of_two(command: Issue | int, state: Invoice) -> Any: ...


def one_parameter(command: Issue) -> Any: ...


def no_event_annotation(state, event):  # type: ignore[no-untyped-def]
    ...


def no_event(state: Invoice, event: int) -> Any: ...


@pytest.mark.parametrize("function", [no_annotation, no_message, one_of_two, one_parameter, 5])
def test_a_decide_without_types_of_commands_is_refused_when_it_is_made(function: Any) -> None:
    # WM-21
    with pytest.raises(InvalidOption, match=r"decide=.*(annotate its first parameter with a union|give a function)"):
        Decider(function, evolve, Invoice())


def test_an_async_evolve_is_refused_when_it_is_made() -> None:
    # WM-21
    async def later(state: Invoice, event: Issued | Paid) -> Invoice:
        return state

    with pytest.raises(InvalidOption, match=r"evolve=.*for Issued \| Paid, neither async nor a generator"):
        Decider(decide, later, Invoice())  # type: ignore[arg-type]


def decides_of_another(command: Issue, state: Pay) -> Any: ...


def evolves_another(state: Pay, event: Issued) -> Any: ...


def decides_of_any(command: Issue, state: Invoice | None) -> Any: ...


def test_functions_that_are_annotated_with_another_state_than_the_initial_one_are_refused_when_it_is_made() -> None:
    # WM-153
    of_decide: Any = decides_of_another
    with pytest.raises(
        InvalidOption, match=r"decide=.*second parameter of decides_of_another .* Pay, and gets Invoice"
    ):
        Decider(of_decide, evolve, Invoice())
    of_evolve: Any = evolves_another
    with pytest.raises(InvalidOption, match=r"evolve=.*first parameter of evolves_another .* Pay, and gets Invoice"):
        Decider(decide, of_evolve, Invoice())
    assert Decider(decides_of_any, evolve, Invoice()).commands == (Issue,)


@pytest.mark.parametrize("function", [no_event_annotation, no_event, one_parameter, None])
def test_an_evolve_without_types_of_events_is_refused_when_it_is_made(function: Any) -> None:
    # WM-21
    with pytest.raises(InvalidOption, match=r"evolve=.*(annotate its second parameter with a union|give a function)"):
        Decider(decide, function, Invoice())
