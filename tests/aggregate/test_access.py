"""Access: who may give commands to an instance."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption
from modd.aggregate import Instance
from modd.cqrs import Actor, Forbidden
from modd.ports import Tagged
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, pay, recorded

pytestmark = pytest.mark.anyio

ADA, EVE = Actor("ada"), Actor("eve")


async def may(aggregate: Any, command: Any, *stamps: Any) -> bool:
    """Return True if an actor may give a command; what it records is left."""
    try:
        await aggregate.dispatch(command, *stamps)
    except Forbidden:
        return False
    return True


async def test_only_the_owner_may_by_default_who_is_the_actor_of_the_first_event(store: Any) -> None:
    # WM-38, WK-19
    aggregate = invoices(store=store, access={})
    assert not await may(aggregate, Issue("7"))
    assert await may(aggregate, Issue("7"), ADA)
    for each in (aggregate, aggregate.stored(store)):
        assert [await may(each, Pay("7"), *by) for by in ([], [EVE], [ADA])] == [False, False, True]
    assert (await aggregate.get("7")).owner == "ada"


@pytest.mark.parametrize(
    ("word", "expected"),
    [("public", [True, True, True]), ("authenticated", [False, True, True]), ("owner", [False, False, True])],
)
async def test_a_word_by_type_of_command_says_who_may(word: str, expected: list[bool], store: Any) -> None:
    # WM-38, WK-19
    aggregate = invoices(store=store, access={Pay: word})
    await aggregate.dispatch(Issue("7"), ADA)
    assert [await may(aggregate, Pay("7"), *by) for by in ([], [EVE], [ADA])] == expected


async def test_without_the_option_there_are_no_checks(store: Any) -> None:
    # WM-38
    aggregate = invoices(store=store)
    await aggregate.dispatch(Issue("7"), ADA)
    assert await may(aggregate, Pay("7"))


async def test_who_has_recorded_the_past_owns_the_instance(store: Any) -> None:
    # WM-38
    aggregate = invoices(store=store, access={})
    await aggregate.record(Issue("7"), Issued("7"), stamps=[ADA])
    for each in (aggregate, aggregate.stored(store)):
        assert [await may(each, Pay("7"), *by) for by in ([], [EVE], [ADA])] == [False, False, True]


async def test_an_instance_that_nobody_owns_is_open_to_all_actors(store: Any) -> None:
    # WM-38
    aggregate = invoices(store=store, access={Issue: "public"})
    await aggregate.dispatch(Issue("7"))
    assert (await aggregate.get("7")).owner is None
    assert [await may(aggregate, Pay("7"), *by) for by in ([], [EVE], [ADA])] == [False, True, True]


async def test_who_is_denied_is_told_why_and_nothing_is_decided(store: Any) -> None:
    # WM-38
    decided = list[str]()

    def pays(invoice: Instance[Invoice], command: Pay) -> Paid:
        decided.append(invoice.id)
        return Paid(command.invoice_id)

    aggregate = invoices(pays, store=store, access={Issue: "authenticated"})
    await aggregate.dispatch(Issue("7"), ADA)
    for by, reason in (([EVE], "its owner alone"), ([], "its owner alone")):
        with pytest.raises(Forbidden, match=f"Pay of invoice/7 is for {reason}") as caught:
            await aggregate.dispatch(Pay("7"), *by)
        assert caught.value.actor == (by[0].id if by else None)
        with pytest.raises(Forbidden, match=reason):
            await aggregate.explain(Pay("7"), *by)
    with pytest.raises(Forbidden, match="everybody with an Actor stamp"):
        await aggregate.dispatch(Issue("7"))
    assert (decided, await recorded(aggregate)) == ([], 1)


async def test_ownership_is_transferred_and_commands_are_opened_by_events(store: Any) -> None:
    # WM-38, WK-19
    def gives(invoice: Instance[Invoice], command: Pay) -> None:
        invoice.transfer_ownership("eve")
        invoice.authorize({Issue: "public"})
        assert invoice.owner == "eve"

    aggregate = invoices(gives, store=store, access={})
    await aggregate.dispatch(Issue("7"), ADA)
    await aggregate.dispatch(Pay("7"), ADA)
    for each in (aggregate, aggregate.stored(store)):
        assert [await may(each, Issue("7"), *by) for by in ([], [EVE], [ADA])] == [True, True, True]
        assert not await may(each, Pay("7"), ADA)
        assert (await each.get("7")).owner == "eve"
    assert await may(aggregate.stored(store), Pay("7"), EVE)


async def test_ownership_and_words_that_cannot_be_are_errors(store: Any) -> None:
    # WM-38
    problems = list[str]()

    def gives(invoice: Instance[Invoice], command: Pay) -> Paid:
        wrong: Any
        for wrong in ("", None):
            with pytest.raises(InvalidOption, match="Actor") as caught:
                invoice.transfer_ownership(wrong)
            problems.append(caught.value.option)
        for wrong in ({Pay: "friends"}, {str: "public"}, {"Pay": "public"}, "public", None):
            with pytest.raises(InvalidOption) as caught:
                invoice.authorize(wrong)
            problems.append(caught.value.option)
        return Paid(command.invoice_id)

    await invoices(gives, store=store).dispatch(Pay("7"))
    assert problems == ["to", "to", "authorize of Pay", *["authorize"] * 4]


@pytest.mark.parametrize("access", [{Pay: "friends"}, {str: "public"}, {"Pay": "public"}, "public", [Pay]])
def test_words_that_cannot_be_are_an_error_when_the_aggregate_is_made(access: Any) -> None:
    # WM-38
    with pytest.raises(InvalidOption, match="access"):
        invoices(access=access)


async def test_access_holds_for_boundaries_too_whose_owner_recorded_the_first_event(store: Any) -> None:
    # WM-38
    aggregate = invoices(
        store=store,
        identity=None,
        boundary=lambda command: Tagged(command.invoice_id),
        tags=lambda event: [event.invoice_id],
        access={},
        commands={Issue: issue, Pay: pay},
    )
    await aggregate.dispatch(Issue("7"), ADA)
    assert [await may(aggregate, Pay("7"), *by) for by in ([], [EVE], [ADA])] == [False, False, True]
    assert await may(aggregate, Issue("8"), EVE)
