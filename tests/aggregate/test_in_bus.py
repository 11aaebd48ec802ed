"""Aggregates as components of a bus: events flow on, rejections are messages or errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from modd import Bus, Failure, Message, TurnFailed
from modd.aggregate import Aggregate, CommandRejected, Instance, Mark, Rejected
from modd.cqrs import Actor, Ask, Command, CommandBus, Envelope, Event, EventBus
from modd.parts import Filter, Log
from modd.testing import Recorder, given
from modd.texts import errors_in
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, recorded

pytestmark = pytest.mark.anyio

PAY = Pay("7")

NO = Rejected("Not now.", "Pay", "invoice", "7")


def refuses(invoice: Instance[Invoice], command: Pay, mark: Mark) -> None:
    invoice.publish(Paid(command.invoice_id))
    mark.as_rejected("Not now.")


class Seen:
    """A component that takes rejections by name."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Rejected) -> None:
        self.messages.append(message)


async def assert_raised(bus: Any, message: Message = PAY) -> None:
    """Send a command, and expect that its rejection alone comes to the sender."""
    with pytest.raises(TurnFailed) as caught:
        await bus(message)
    single = [each for each in errors_in(caught.value) if not isinstance(each, BaseExceptionGroup)]
    assert [type(each) for each in single] == [CommandRejected]


async def test_events_flow_on_in_the_same_turn() -> None:
    # WM-23
    aggregate = invoices()

    def pays(message: Issued) -> Pay:
        return Pay(message.invoice_id)

    recorder = Recorder(Issued, Paid)
    bus = Bus([aggregate, pays, recorder], outbound=[Paid])
    assert await bus(Issue("7")) == (Paid("7"),)
    assert recorder.messages == [Issued("7"), Paid("7")]
    assert await bus.ask(Pay("7")) == 10
    assert (await bus.dispatch(Issue("8"))).events == (Issued("8"),)
    assert await recorded(aggregate) == 5


async def test_events_of_an_aggregate_know_their_command() -> None:
    # WM-23, WK-10
    envelopes = list[Envelope[Any]]()

    async def sees(envelope: Envelope[Issued]) -> None:
        envelopes.append(envelope)

    aggregate = invoices()
    ada = Actor("ada")
    await Bus([aggregate, EventBus([sees])])(Issue("7"), ada)
    [change] = [change async for change in aggregate.history("7")]
    assert envelopes[0].causation_id == envelopes[0].correlation_id == change.causation_id == change.correlation_id
    assert envelopes[0].last(Actor) == ada
    assert change.actor == "ada"


def by_name(seen: Seen) -> Sequence[Any]:
    return [seen]


def by_event_bus(seen: Seen) -> Sequence[Any]:
    return [EventBus({Rejected: seen})]


def by_bus_inside(seen: Seen) -> Sequence[Any]:
    return [Bus([seen], inbound=[Rejected], name="inner")]


def by_part(seen: Seen) -> Sequence[Any]:
    return [Filter(seen)]


@pytest.mark.parametrize("takers", [by_name, by_event_bus, by_bus_inside, by_part])
async def test_a_rejection_is_a_message_if_a_component_names_it(takers: Any) -> None:
    # WM-23, WK-10
    seen, aggregate = Seen(), invoices(refuses)
    bus = Bus([aggregate, *takers(seen)])
    assert await bus(Pay("7")) == ()
    assert await bus(Pay("7"), Actor("ada")) == ()
    assert seen.messages == [NO, NO]
    assert await recorded(aggregate) == 0


async def test_a_rejection_is_a_message_if_the_bus_lets_it_out() -> None:
    # WM-23
    for outbound in ([Rejected], [Event], [Message]):
        assert await Bus([invoices(refuses)], outbound=outbound)(Pay("7")) == (NO,)


def ignores(message: Message) -> None: ...


async def ignores_any(message: Any) -> None: ...


@pytest.mark.parametrize(
    "others",
    [
        [],
        [ignores],
        [ignores_any],
        [Log(ignores)],
        [Recorder(Paid)],
        [Bus([ignores], inbound=[Message], name="inner")],
        [Bus([ignores], inbound=[Rejected], name="inner")],
    ],
)
async def test_a_rejection_that_nobody_names_comes_to_the_sender(others: list[Any]) -> None:
    # WM-23
    await assert_raised(Bus([invoices(refuses), *others], outbound=[Paid]))


async def test_a_rejection_that_nobody_names_is_a_failure_that_can_be_handled() -> None:
    # WM-23, WK-10
    failures = list[Failure]()

    def handles(message: Failure) -> None:
        failures.append(message)

    await Bus([invoices(refuses), handles])(Pay("7"))
    assert [(type(each.error), each.message) for each in failures] == [(CommandRejected, Pay("7"))]


async def test_a_failed_command_is_a_failure_with_its_error() -> None:
    # WK-10, WK-5
    failures = list[Failure]()

    def fails(invoice: Instance[Invoice], command: Pay) -> None:
        invoice.publish(Paid(command.invoice_id))
        raise ValueError("boom")

    def handles(message: Failure) -> None:
        failures.append(message)

    aggregate = invoices(fails)
    await Bus([aggregate, handles])(Pay("7"))
    assert [(str(each.error), each.message) for each in failures] == [("boom", Pay("7"))]
    assert await recorded(aggregate) == 0


async def test_a_rejection_of_a_command_that_was_asked_comes_to_the_asker_alone() -> None:
    # WM-23
    seen = Seen()
    bus = Bus([invoices(refuses), seen, lambda message: None], outbound=[Rejected])
    for call in (bus.ask, bus.dispatch):
        with pytest.raises(CommandRejected) as caught:
            await call(Pay("7"))
        assert caught.value.rejected == NO
    assert seen.messages == []


class Settle(Command[str]):
    invoice_id: str


async def test_a_rejection_comes_to_a_handler_that_asks() -> None:
    # WM-23
    seen = Seen()

    async def settle(command: Settle, ask: Ask) -> str:
        try:
            await ask(Pay(command.invoice_id))
        except CommandRejected as rejection:
            return rejection.reason
        return ""

    bus = Bus([invoices(refuses), CommandBus([settle]), seen])
    assert await bus.ask(Settle("7")) == "Not now."
    assert seen.messages == []


async def test_a_rejection_of_a_command_that_a_component_returns_is_a_message() -> None:
    # WM-23
    def pays(message: Issued) -> Pay:
        return Pay(message.invoice_id)

    seen = Seen()
    bus = Bus([invoices(refuses), pays, seen])
    await bus.ask(Issue("7"))
    assert seen.messages == [NO]


async def test_the_rejection_knows_its_command() -> None:
    # WM-23, WK-10
    envelopes, ids = list[Envelope[Any]](), list[str]()

    async def notes(envelope: Envelope[Any], call_next: Any) -> None:
        ids.append(envelope.id)
        await call_next(envelope)

    async def sees(envelope: Envelope[Rejected]) -> None:
        envelopes.append(envelope)

    bus = Bus([invoices(refuses, middleware=[notes]), EventBus([sees])])
    ada = Actor("ada")
    await bus(Pay("7"), ada)
    assert [envelopes[0].causation_id, envelopes[0].correlation_id] == ids * 2
    assert envelopes[0].last(Actor) == ada


async def test_a_nested_context_keeps_its_rejections_unless_it_lets_them_out() -> None:
    # WM-23
    seen = Seen()
    closed = Bus([invoices(refuses)], inbound=[Pay], outbound=[Paid], name="billing")
    await assert_raised(Bus([closed, seen]))
    assert seen.messages == []
    opened = Bus([invoices(refuses)], inbound=[Pay], outbound=[Rejected], name="billing")
    await Bus([opened, seen])(Pay("7"))
    assert seen.messages == [NO]


async def test_a_nested_context_that_names_its_rejections_handles_them() -> None:
    # WM-23
    inner, outer = Seen(), Seen()
    context = Bus([invoices(refuses), inner], inbound=[Pay], name="billing")
    assert await Bus([context, outer])(Pay("7")) == ()
    assert (inner.messages, outer.messages) == ([NO], [])


async def test_a_rejection_that_a_nested_context_lets_out_to_nobody_is_not_an_error() -> None:
    # WM-23
    context = Bus([invoices(refuses)], inbound=[Pay], outbound=[Rejected], name="billing")
    assert await Bus([context])(Pay("7")) == ()


async def test_an_aggregate_in_a_part_is_in_the_bus_around() -> None:
    # WM-23
    seen = Seen()
    await Bus([Filter(invoices(refuses)), seen])(Pay("7"))
    assert seen.messages == [NO]
    await assert_raised(Bus([Filter(invoices(refuses))]))


async def test_of_two_buses_around_the_one_that_sends_counts() -> None:
    # WM-23
    seen, aggregate = Seen(), invoices(refuses)
    naming, other = Bus([aggregate, seen], name="naming"), Bus([aggregate], name="other")
    await assert_raised(other)
    await naming(Pay("7"))
    assert seen.messages == [NO]


async def test_a_rejection_without_a_bus_around_is_raised() -> None:
    # WM-23
    aggregate, seen = invoices(refuses), Seen()

    async def calls(message: Issue) -> Any:
        return await aggregate(Pay("7"))

    with pytest.raises(CommandRejected):
        await aggregate(Pay("7"))
    await assert_raised(Bus([calls, seen]), Issue("7"))
    assert seen.messages == []


async def test_scenarios_of_a_bus_see_what_its_senders_see() -> None:
    # WM-23
    await given(Bus([invoices(refuses), Seen()])).when(Pay("7")).then(NO)
    await given(Bus([invoices(refuses)])).when(Pay("7")).then_raises(CommandRejected)
    await given(Bus([invoices()]), Issue("7")).when(Pay("7")).then_result(10)


def test_an_aggregate_is_a_component_with_the_types_of_its_commands() -> None:
    # WM-23
    aggregate: Aggregate[Invoice] = invoices()
    assert aggregate.types == (Issue, Pay)
    assert Bus([aggregate]).find("invoice", Aggregate) is aggregate
