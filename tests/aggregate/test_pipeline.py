"""The way of a command: its stages in order, and its middleware."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from modd import Bus, NotAnswered
from modd.aggregate import CommandRejected, Instance, on
from modd.cqrs import Actor, Emit, Envelope, Forbidden, Handled, InvalidIntent, Recorded
from modd.middleware import Validator
from modd.stores import MemoryStore
from modd.testing import Recorder
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issue, paid, pay, recorded

pytestmark = pytest.mark.anyio


async def test_a_command_is_validated_loaded_allowed_decided_saved_and_published_in_this_order() -> None:
    # WK-9
    log = list[str]()
    store = MemoryStore()

    def is_valid(command: Pay) -> bool:
        log.append("validate")
        return command.invoice_id != "?"

    def decide(invoice: Instance[Invoice], command: Pay) -> Paid:
        log.append(f"chain at revision {invoice.revision}")
        return Paid(command.invoice_id)

    async def saved(message: Paid) -> None:
        log.append(f"publish after {await store.events.last()} events")

    aggregate = invoices(
        decide, store=store, access={Issue: "public"}, middleware=[Validator(intents={Pay: {"input": is_valid}})]
    )
    bus = Bus([aggregate, saved])
    ada = Actor("ada")
    await bus.ask(Issue("7"), ada)
    with pytest.raises(InvalidIntent):
        await bus.ask(Pay("?"))
    with pytest.raises(Forbidden):
        await bus.ask(Pay("7"), Actor("eve"))
    await bus.dispatch(Pay("7"), ada)
    assert log == ["validate"] * 3 + ["chain at revision 1", "publish after 2 events"]


async def test_an_aggregate_takes_middleware_envelopes_and_ids_as_every_typed_bus() -> None:
    # WK-9
    seen = list[Any]()

    async def looks(envelope: Envelope[Any], call_next: Any) -> None:
        seen.append((envelope.id, type(envelope.message)))
        await call_next(envelope)
        seen.append((envelope.handled or (None, ""))[1])

    aggregate = invoices(middleware=[looks], new_id=iter(["a", "b"]).__next__)
    aggregate.use(looks)
    dispatched = await aggregate.dispatch(Pay("7"))
    assert (dispatched.envelope.id, dispatched.result, dispatched.answered) == ("a", 0, True)
    assert seen == [("a", Pay), ("a", Pay), "pay", "pay"]
    await aggregate.dispatch(Envelope(Pay("7"), id="import-7"))
    assert [change.causation_id async for change in aggregate.history("7")] == ["a", "import-7"]


async def test_a_middleware_that_stops_a_command_leaves_nothing() -> None:
    # WK-9
    async def stops(envelope: Envelope[Any], call_next: Any) -> None: ...

    aggregate = invoices(middleware=[stops])
    dispatched = await aggregate.dispatch(Pay("7"))
    assert (dispatched.answered, dispatched.events, await recorded(aggregate)) == (False, (), 0)
    with pytest.raises(NotAnswered, match="Pay"):
        await aggregate.ask(Pay("7"))


async def test_the_same_aggregate_with_other_options_leaves_the_first_as_it_is() -> None:
    # WK-9
    first = invoices()
    second = first.stored(MemoryStore(), name="bill", access={})
    await first.dispatch(Issue("7"))
    with pytest.raises(Forbidden):
        await second.dispatch(Issue("7"))
    assert (first.name, second.name, await recorded(second)) == ("invoice", "bill", 0)


async def test_the_same_aggregate_has_the_same_parts_also_if_these_were_iterators_or_added_later() -> None:
    # WK-9
    seen = list[str]()

    async def looks(envelope: Envelope[Any], call_next: Any) -> None:
        seen.append("look")
        await call_next(envelope)

    async def looks_again(envelope: Envelope[Any], call_next: Any) -> None:
        seen.append("look again")
        await call_next(envelope)

    class Notes:
        async def apply(self, store: Any, stream: str, events: Any) -> None:
            seen.append(stream)

    parts = {"commands": iter([on(Pay, pay)]), "events": iter([paid]), "inline": iter([Notes()])}
    aggregate = invoices(**parts, middleware=iter([looks]))
    aggregate.use(looks_again)
    for each in (aggregate, aggregate.stored(MemoryStore()), aggregate.stored(MemoryStore()).stored(MemoryStore())):
        await each.dispatch(Pay("7"))
    assert seen == ["look", "look again", "invoice/7"] * 3
    assert aggregate.stored(MemoryStore(), middleware=()).middleware == ()


async def test_handlers_of_an_aggregate_have_the_names_of_their_commands() -> None:
    # WK-9
    aggregate = invoices()
    assert (aggregate.handler_names(Pay), aggregate.handler_names(Issue)) == (("pay",), ("issue",))
    assert (pay.__name__, issue.__name__) == ("pay", "issue")


async def test_a_command_can_be_faked_in_a_test() -> None:
    # WK-9
    recorder = Recorder(Issued, Paid)
    aggregate = invoices()
    bus = Bus([aggregate, recorder])
    with bus.override({Pay: lambda command: 99}):
        assert await bus.ask(Pay("7")) == 99
    assert (recorder.messages, await recorded(aggregate)) == ([], 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_middleware_that_goes_on_twice_has_the_recorded_events_of_both_in_their_order(fails: bool) -> None:
    # WM-92
    seen = list[list[str]]()

    async def twice(envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)
        seen.append([type(stamp).__name__ for stamp in envelope.stamps] if not fails else [])
        with suppress(CommandRejected):
            await call_next(envelope)

    async def emits(invoice: Instance[Invoice], command: Pay, emit: Emit) -> None:
        emit(Issued("emitted", invoice.revision))
        if fails and invoice.revision:
            raise CommandRejected("Paid already.")

    aggregate = invoices(emits, pay, middleware=[twice])
    dispatched = await aggregate.dispatch(Pay("7"))
    first = [Issued("emitted", 0), Paid("7")]
    assert [*dispatched.events] == first + ([] if fails else [Issued("emitted", 1), Paid("7")])
    names = [type(stamp).__name__ for stamp in dispatched.envelope.stamps[1:]]
    assert names == ["Emitted", "Recorded", "Handled"] * (1 if fails else 2)
    assert seen == [[] if fails else ["Identity", "Emitted", "Recorded", "Handled"]]


async def test_recorded_events_are_released_with_the_time_at_which_the_command_was_handled() -> None:
    # WM-92
    clock = iter(range(100)).__next__
    aggregate = invoices(clock=clock)
    dispatched = await aggregate.dispatch(Pay("7"))
    assert dispatched.events == (Paid("7"),)
    recorded_at, handled = dispatched.envelope.last(Recorded), dispatched.envelope.last(Handled)
    assert recorded_at is not None and handled is not None
    assert (recorded_at.event, recorded_at.at) == (Paid("7"), handled.at)
    assert dispatched.envelope.flush() == [recorded_at, handled]


async def test_events_that_were_recorded_are_forgotten_with_the_stamps_of_an_attempt() -> None:
    # WM-92
    async def resets(envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)
        envelope.reset(())
        await call_next(envelope)

    aggregate = invoices(middleware=[resets])
    assert (await aggregate.dispatch(Pay("7"))).events == (Paid("7"),)
    assert await recorded(aggregate) == 2
