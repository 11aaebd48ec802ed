"""Explanations: every reason for which a command would be rejected now."""

from __future__ import annotations

from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from modd.aggregate import CommandRejected, Explanation, Instance, Mark, MisusedMark, Rejected, only
from modd.cqrs import Actor, Ask, Emit, Envelope, Forbidden
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, pay, recorded

pytestmark = pytest.mark.anyio


def passes(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    mark.as_ready_for_next()


def too_early(invoice: Instance[Invoice], command: Pay) -> Rejected:
    return Rejected("Too early.")


async def too_late(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    await checkpoint()
    mark.as_rejected("Too late.")


def too_much(invoice: Instance[Invoice], command: Pay) -> None:
    raise CommandRejected("Too much.")


def breaks(invoice: Instance[Invoice], command: Pay) -> None:
    raise ValueError("boom")


async def breaks_later(invoice: Instance[Invoice], command: Pay) -> None:
    await checkpoint()
    raise ValueError("boom")


async def test_all_reasons_are_told_in_the_order_of_the_chain_with_their_functions() -> None:
    # WM-26
    aggregate = invoices(only.if_exists(), too_early, passes, too_late, too_much, pay)
    explanation = await aggregate.explain(Pay("7"))
    assert explanation == Explanation(
        ("Invoice does not exist.", "Too early.", "Too late.", "Too much."),
        ("if_exists", "too_early", "too_late", "too_much"),
    )
    assert not explanation
    assert not explanation.allowed


async def test_a_command_that_would_be_accepted_tells_its_events() -> None:
    # WM-26
    def publishes(invoice: Instance[Invoice], command: Pay) -> None:
        invoice.publish(Issued(command.invoice_id))

    explanation = await invoices(passes, publishes, pay).explain(Pay("7"))
    assert explanation == Explanation(events=(Issued("7"), Paid("7")))
    assert explanation
    assert explanation.allowed


async def test_the_command_itself_is_looked_at_only_when_all_before_it_pass() -> None:
    # WM-26
    calls = list[str]()

    def rejects(invoice: Instance[Invoice], command: Pay) -> Rejected:
        calls.append(command.invoice_id)
        return Rejected("No.")

    assert (await invoices(too_early, rejects).explain(Pay("7"))).reasons == ("Too early.",)
    assert calls == []
    assert await invoices(passes, rejects).explain(Pay("7")) == Explanation(
        ("No.",), ("test_the_command_itself_is_looked_at_only_when_all_before_it_pass.rejects",)
    )


@pytest.mark.parametrize("check", [breaks, breaks_later])
async def test_a_check_that_raises_counts_only_if_none_before_it_has_rejected(check: Any) -> None:
    # WM-26
    explanation = await invoices(too_early, check, too_late, pay).explain(Pay("7"))
    assert explanation.reasons == ("Too early.", "Too late.")
    with pytest.raises(ValueError, match="boom") as caught:
        await invoices(passes, check, too_early, pay).explain(Pay("7"))
    assert caught.value.__notes__ == [f"raised by {check.__name__} when given Pay for invoice/7"]


async def test_a_misused_mark_is_an_error_here_too() -> None:
    # WM-26
    def forgets(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None: ...

    with pytest.raises(MisusedMark, match="forgets"):
        await invoices(forgets, pay).explain(Pay("7"))


async def test_nothing_is_recorded_and_no_id_is_taken() -> None:
    # WM-26
    ids = list[str]()

    def new_id() -> str:
        ids.append(f"id-{len(ids)}")
        return ids[-1]

    aggregate = invoices(new_id=new_id)
    assert await aggregate.explain(Pay("7"))
    assert (await recorded(aggregate), ids) == (0, [])
    command = Envelope(Pay("7"), id="import-7")
    for _ in range(2):
        assert await aggregate.explain(command)
    assert (await aggregate.dispatch(command)).events == (Paid("7"),)
    assert (await aggregate.get("7")).revision == 1
    assert await aggregate.explain(Issue("7"))
    assert (await aggregate.get("7")).state.phase == "paid"


async def test_an_explanation_agrees_with_the_dispatch_also_when_another_writer_was_there() -> None:
    # WM-26
    aggregate = invoices(only.if_in_phase("issued"), pay)
    other = aggregate.stored(aggregate.store)
    await aggregate.dispatch(Issue("7"))
    await other.dispatch(Pay("7"))
    assert (await aggregate.explain(Pay("7"))).reasons == ("Invalid phase.",)


class PayNow(Pay):
    """A derived command, which the chain of its base decides about."""


async def test_a_derived_command_is_explained_as_it_is_dispatched() -> None:
    # WM-26
    aggregate = invoices(only.if_exists(), pay)
    assert (await aggregate.explain(PayNow("7"))).reasons == ("Invoice does not exist.",)
    with pytest.raises(CommandRejected) as caught:
        await aggregate.dispatch(PayNow("7"))
    assert caught.value.command == "PayNow"
    await aggregate.dispatch(Issue("7"))
    explanation = await aggregate.explain(PayNow("7"))
    assert (await aggregate.dispatch(PayNow("7"))).events == explanation.events == (Paid("7"),)


async def test_functions_get_stamps_and_further_arguments() -> None:
    # WM-26
    async def looks(invoice: Instance[Invoice], command: Pay, envelope: Envelope[Pay], emit: Emit, ask: Ask) -> Any:
        emit(Paid("never"))
        actor = envelope.last(Actor)
        return Rejected(f"Not for {'nobody' if actor is None else actor.id}.")

    aggregate = invoices(looks, pay)
    assert (await aggregate.explain(Pay("7"))).reasons == ("Not for nobody.",)
    for command, stamps in ((Pay("7"), [Actor("ada")]), (Envelope(Pay("7"), Actor("ada")), [])):
        assert (await aggregate.explain(command, *stamps)).reasons == ("Not for ada.",)


async def test_who_may_not_give_the_command_gets_no_explanation() -> None:
    # WM-26
    aggregate = invoices(too_early, pay, access={Pay: "authenticated"})
    with pytest.raises(Forbidden):
        await aggregate.explain(Pay("7"))
    assert (await aggregate.explain(Pay("7"), Actor("ada"))).reasons == ("Too early.",)
