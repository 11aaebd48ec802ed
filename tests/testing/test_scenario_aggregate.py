"""Given, when, then for an aggregate."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from modd import Bus, InvalidOption, Sensitive
from modd.aggregate import CommandRejected, Instance, Mark, MisusedMark, Rejected, UnknownEvent, WrongState, only
from modd.cqrs import Actor, Envelope, Event, Forbidden, Tenant
from modd.testing import given
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, Unknown, invoices, pay, recorded

pytestmark = pytest.mark.anyio

ISSUED = Issued("7", 12)

CHECKED = [only.if_exists(), only.if_in_phase("issued"), pay]


def does_nothing(invoice: Instance[Invoice], command: Pay) -> None: ...


def breaks(invoice: Instance[Invoice], command: Pay) -> None:
    raise ValueError("boom")


async def test_events_of_the_past_a_command_and_its_events() -> None:
    # WM-69
    invoice = invoices(*CHECKED)
    await given(invoice, ISSUED).when(Pay("7")).then(Paid("7"))
    await given(invoice).when(Issue("7", 3)).then(Issued("7", 3))
    await given(invoice, ISSUED, Paid("7")).when(Issue("7", 5)).then(Issued("7", 5))


async def test_a_command_without_effect() -> None:
    # WM-69
    await given(invoices(does_nothing), ISSUED).when(Pay("7")).then_nothing()
    with pytest.raises(AssertionError, match=r"the events differ.*\n\+ Paid\(invoice_id='7'\)"):
        await given(invoices()).when(Pay("7")).then_nothing()


async def test_a_rejection_with_and_without_its_reason() -> None:
    # WM-69
    when = given(invoices(*CHECKED)).when(Pay("7"))
    await when.then_rejected()
    await when.then_rejected("Invoice does not exist.")
    await given(invoices(*CHECKED), ISSUED, Paid("7")).when(Pay("7")).then_rejected("Invalid phase.")


async def test_the_state_afterwards() -> None:
    # WM-69
    when = given(invoices(*CHECKED), ISSUED).when(Pay("7"))
    await when.then_state(Invoice(12, "paid"))
    await when.then(Paid("7"))
    await given(invoices(does_nothing), ISSUED).when(Pay("7")).then_state(Invoice(12, "issued"))


async def test_an_error_is_expected_by_its_type_and_returned() -> None:
    # WM-69
    error = await given(invoices(breaks)).when(Pay("7")).then_raises(ValueError)
    assert str(error).startswith("boom")
    rejection = await given(invoices(*CHECKED)).when(Pay("7")).then_raises(CommandRejected)
    assert rejection.rejected == Rejected("Invoice does not exist.", "Pay", "invoice", "7")


async def test_misuse_of_a_mark_is_raised() -> None:
    # WM-69
    def forgets(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None: ...

    error = await given(invoices(forgets)).when(Pay("7")).then_raises(MisusedMark)
    assert error.command == "Pay"


async def message_of(expectation: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        await expectation
    return str(caught.value)


async def test_events_that_differ_are_shown_line_by_line() -> None:
    # WM-69
    when = given(invoices(*CHECKED), ISSUED).when(Pay("7"))
    assert (await message_of(when.then(Paid("8")))).splitlines() == [
        "the events differ (- expected, + recorded):",
        "- Paid(invoice_id='8')",
        "?                  ^",
        "+ Paid(invoice_id='7')",
        "?                  ^",
    ]
    assert "+ Paid(invoice_id='7')" in await message_of(when.then())
    assert "- Paid(invoice_id='7')" in await message_of(when.then(Paid("7"), Paid("7")))


async def test_a_rejection_where_events_were_expected_is_told_with_its_reason() -> None:
    # WM-69
    when = given(invoices(*CHECKED)).when(Pay("7"))
    rejected = "the command was rejected: Invoice does not exist."
    assert await message_of(when.then(Paid("7"))) == f"Paid(invoice_id='7') was expected, but {rejected}"
    assert await message_of(when.then(ISSUED, Paid("7"))) == (
        f"Issued(invoice_id='7', amount=12), Paid(invoice_id='7') were expected, but {rejected}"
    )
    assert await message_of(when.then_nothing()) == f"no event was expected, but {rejected}"
    assert await message_of(when.then_state(Invoice())) == f"a state was expected, but {rejected}"
    assert await message_of(when.then_raises(ValueError)) == f"ValueError was expected, but {rejected}"
    assert await message_of(when.then_rejected("Invalid phase.")) == (
        f"the rejection 'Invalid phase.' was expected, but {rejected}"
    )


async def test_events_where_a_rejection_was_expected_are_told() -> None:
    # WM-69
    when = given(invoices(*CHECKED), ISSUED).when(Pay("7"))
    recorded = "but Paid(invoice_id='7') was recorded"
    assert await message_of(when.then_rejected()) == f"a rejection was expected, {recorded}"
    assert await message_of(when.then_raises(ValueError)) == f"ValueError was expected, {recorded}"
    nothing = given(invoices(does_nothing)).when(Pay("7"))
    assert await message_of(nothing.then_rejected("No.")) == "a rejection was expected, but no event was recorded"


async def test_an_error_where_something_else_was_expected_is_told_and_is_the_cause() -> None:
    # WM-69
    when = given(invoices(breaks)).when(Pay("7"))
    for expectation in (
        when.then(Paid("7")),
        when.then_rejected(),
        when.then_state(Invoice()),
        when.then_raises(KeyError),
    ):
        with pytest.raises(AssertionError, match=r"expected, but ValueError.*boom.* was raised") as caught:
            await expectation
        assert isinstance(caught.value.__cause__, ValueError)


async def test_a_state_that_differs_is_shown() -> None:
    # WM-69
    when = given(invoices(*CHECKED), ISSUED).when(Pay("7"))
    assert await message_of(when.then_state(Invoice(12, "issued"))) == (
        "the state differs (- expected, + actual):\n"
        "- Invoice(amount=12, phase='issued')\n"
        "+ Invoice(amount=12, phase='paid')"
    )


class Noted(Event):
    invoice_id: str
    text: Annotated[str, Sensitive]


async def test_a_difference_that_cannot_be_seen_is_named() -> None:
    # WM-69
    def notes(invoice: Instance[Noted | None], command: Pay) -> Noted:
        return Noted(command.invoice_id, "secret")

    events = {Noted: lambda state, event: event}
    invoice: Any = invoices(commands={Pay: notes}, state=Noted("", ""), events=events)
    when = given(invoice).when(Pay("7"))
    alike = "They look alike and are not equal: a sensitive field differs"
    assert alike in await message_of(when.then(Noted("7", "other")))
    assert alike in await message_of(when.then_state(Noted("7", "other")))
    await when.then_state(Noted("7", "secret"))


async def test_a_scenario_runs_once_and_leaves_the_aggregate_as_it_is() -> None:
    # WM-69
    calls = list[str]()

    def counts(invoice: Instance[Invoice], command: Pay) -> None:
        calls.append(command.invoice_id)

    async def middleware(envelope: Envelope[Any], call_next: Any) -> None:
        raise AssertionError

    class Writes:
        async def apply(self, store: Any, stream: str, events: Any) -> None:
            raise AssertionError

    invoice = invoices(counts, pay, middleware=[middleware], inline=[Writes()])
    when = given(invoice, ISSUED).when(Pay("7"))
    await when.then(Paid("7"))
    await when.then_state(Invoice(12, "paid"))
    assert calls == ["7"]
    assert await recorded(invoice) == 0
    assert len(invoice.middleware) == 1


async def test_stamps_of_the_past_and_of_the_command() -> None:
    # WM-69
    ada, eve = Actor("ada"), Actor("eve")
    invoice = invoices(access={Issue: "public"})
    await given(invoice, ISSUED, by=ada).when(Pay("7"), ada).then(Paid("7"))
    await given(invoice, ISSUED, by=ada).when(Pay("7"), eve).then_raises(Forbidden)
    await given(invoice, ISSUED, stamps=[ada]).when(Pay("7"), eve).then_raises(Forbidden)
    await given(invoice, by=ada).when(Pay("7"), eve).then(Paid("7"))


async def test_the_past_is_that_of_the_same_tenant() -> None:
    # WM-69
    invoice = invoices(*CHECKED)
    await given(invoice, ISSUED).when(Pay("7"), Tenant("acme")).then(Paid("7"))
    await given(invoice, ISSUED, stamps=[Tenant("other")]).when(Pay("7"), Tenant("acme")).then_rejected()


async def test_an_event_that_cannot_be_in_the_past_is_an_error() -> None:
    # WM-69
    with pytest.raises(UnknownEvent, match="Unknown"):
        await given(invoices(), Unknown()).when(Pay("7")).then_nothing()
    with pytest.raises(WrongState):
        await given(invoices(events={Issued: lambda state, event: None}), ISSUED).when(Pay("7")).then_nothing()


async def test_what_is_no_command_is_refused() -> None:
    # WM-69
    for command in ("Pay", Pay, Envelope(Pay("7"))):
        with pytest.raises(InvalidOption, match=r"command=.*give the command: when\(Pay\(...\)\)"):
            given(invoices()).when(command)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="by='ada'"):
        given(invoices(), by="ada")  # type: ignore[call-overload]


async def test_an_aggregate_in_a_bus_is_tested_alone() -> None:
    # WM-69
    invoice = invoices()
    bus = Bus([invoice])
    await given(invoice, ISSUED).when(Pay("7")).then(Paid("7"))
    await given(bus, Issue("7")).when(Pay("7")).then(Paid("7"))
