"""Envelopes: an intent on its way, and what is noted on it."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption, NotAMessage
from modd.cqrs import (
    Actor,
    CommandBus,
    Dispatched,
    Emitted,
    Envelope,
    Handled,
    Identity,
    Next,
    NoHandler,
    QueryBus,
    Recorded,
    Redispatched,
    Stamp,
    Tenant,
    WrongBus,
)
from tests.cqrs.shop import Create, Created, Get, numbered

pytestmark = pytest.mark.anyio


class Priority(Stamp):
    level: int


class Urgent(Priority):
    pass


def test_an_envelope_holds_a_message_and_stamps_in_their_order() -> None:
    # MI-8
    envelope = Envelope(Create("Ada"), Priority(1), id="import-7")
    envelope.add(Tenant("acme"))
    envelope.add(Priority(2))
    assert envelope.message == Create("Ada") and envelope.id == "import-7"
    assert [type(stamp) for stamp in envelope.stamps] == [Identity, Priority, Tenant, Priority]
    first, last = envelope.first(Priority), envelope.last(Priority)
    assert first is not None and first.level == 1
    assert last is not None and last.level == 2
    assert [stamp.level for stamp in envelope.all(Priority)] == [1, 2]
    assert envelope.has(Tenant) and not envelope.has(Actor)
    assert envelope.first(Actor) is None and envelope.last(Actor) is None and envelope.all(Actor) == ()


def test_a_stamp_of_a_derived_type_is_found_by_its_base() -> None:
    # MI-8
    envelope = Envelope(Create(), Urgent(3), Priority(1))
    assert [stamp.level for stamp in envelope.all(Priority)] == [3, 1]
    assert [stamp.level for stamp in envelope.all(Urgent)] == [3]


def test_the_identity_is_the_first_stamp_and_can_be_asked_for() -> None:
    # MI-8 MI-9
    envelope = Envelope(Create(), id="1")
    identity = envelope.first(Identity)
    assert identity is not None and (identity.id, identity.correlation_id, identity.causation_id) == ("1", "1", None)
    assert envelope.has(Identity) and envelope.last(Identity) == identity == envelope.stamps[0]


def test_an_id_is_made_when_none_is_given_and_stays() -> None:
    # MI-9
    one, other = Envelope(Create()), Envelope(Create())
    assert one.id == one.id == one.correlation_id
    assert one.id != other.id and one.causation_id is None


@pytest.mark.parametrize("given", ["Ada", Create, None])
def test_only_messages_can_be_put_into_an_envelope(given: Any) -> None:
    # MI-8
    with pytest.raises(NotAMessage):
        Envelope(given)


@pytest.mark.parametrize("given", ["urgent", Priority, None])
def test_only_stamps_can_be_added(given: Any) -> None:
    # MI-8
    with pytest.raises(InvalidOption, match="stamp"):
        Envelope(Create(), given)
    envelope = Envelope(Create())
    with pytest.raises(InvalidOption, match=r"modd\.cqrs\.Stamp"):
        envelope.add(given)
    assert len(envelope.stamps) == 1


@pytest.mark.parametrize("given", [7, b"7", ""])
def test_an_id_is_a_text_that_is_not_empty(given: Any) -> None:
    # MI-9
    with pytest.raises(InvalidOption, match="id"):
        Envelope(Create(), id=given)


def test_it_shows_its_message_and_the_kinds_of_its_stamps() -> None:
    # MI-8
    assert repr(Envelope(Create("Ada"))) == "<Envelope of Create(name='Ada'): no stamps>"
    assert repr(Envelope(Create("Ada"), Priority(1))) == "<Envelope of Create(name='Ada'): Priority>"


def test_events_are_noted_until_they_are_released() -> None:
    # MI-15
    envelope = Envelope(Create())
    envelope.emit(Created("Ada"), Created("Bob"))
    assert [stamp.event for stamp in envelope.all(Emitted)] == [Created("Ada"), Created("Bob")]


@pytest.mark.parametrize("given", ["Created", Created, None])
def test_only_messages_can_be_emitted_and_none_is_if_one_cannot(given: Any) -> None:
    # MI-15
    envelope = Envelope(Create())
    with pytest.raises(NotAMessage):
        envelope.emit(Created(), given)
    assert envelope.all(Emitted) == ()


def test_a_query_emits_nothing() -> None:
    # MI-15
    envelope = Envelope(Get())
    with pytest.raises(WrongBus, match="query"):
        envelope.emit(Created())


def test_it_can_go_back_to_the_stamps_of_before() -> None:
    # MI-8
    envelope = Envelope(Create(), Priority(1), id="1")
    before = envelope.stamps
    envelope.add(Handled(3))
    envelope.reset(before)
    assert envelope.stamps[1:] == before[1:] and envelope.id == "1"


async def dispatched_again(first: Dispatched[int], bus: CommandBus, *stamps: Stamp) -> Dispatched[Any]:
    return await bus.dispatch(first.envelope, *stamps)


async def test_a_redispatch_has_the_same_id_keeps_the_old_stamps_aside_and_runs_handlers_again() -> None:
    # MI-10
    runs: list[str] = []

    def count(message: Create) -> int:
        runs.append(message.name)
        return len(runs)

    bus = CommandBus([count])
    first = await bus.dispatch(Create("Ada"), Priority(1))
    second = await dispatched_again(first, bus)
    assert (first.result, second.result, runs) == (1, 2, ["Ada", "Ada"])
    assert second.envelope is not first.envelope and second.envelope.id == first.envelope.id
    reprocessed = second.envelope.first(Redispatched)
    assert reprocessed is not None
    assert [type(stamp) for stamp in reprocessed.stamps] == [Priority, Handled]
    assert reprocessed.stamps == first.envelope.stamps[1:]
    assert [type(stamp) for stamp in second.envelope.stamps] == [Identity, Redispatched, Handled]
    third = await dispatched_again(second, bus, Priority(9))
    assert [type(stamp) for stamp in third.envelope.stamps] == [Identity, Redispatched, Priority, Handled]
    assert third.envelope.correlation_id == first.envelope.correlation_id


async def test_a_redispatch_keeps_what_is_inherited() -> None:
    # MI-10
    bus = CommandBus({Create: lambda message: 1})
    first = await bus.dispatch(Create(), Actor("root"), Priority(1))
    second = await dispatched_again(first, bus)
    assert [stamp.id for stamp in second.envelope.all(Actor)] == ["root"]
    assert not second.envelope.has(Priority)


async def test_an_envelope_that_failed_can_be_dispatched_again() -> None:
    # MI-10
    errors = [ValueError("once")]

    def flaky(message: Create) -> int:
        if errors:
            raise errors.pop()
        return 1

    bus, envelope = CommandBus([flaky]), Envelope(Create())
    with pytest.raises(ValueError, match="once"):
        await bus.dispatch(envelope)
    assert envelope.sent
    again = await bus.dispatch(envelope)
    assert again.result == 1 and again.envelope.has(Redispatched) and again.envelope.id == envelope.id


async def test_an_own_envelope_keeps_its_id_and_stamps() -> None:
    # MI-9
    bus = CommandBus({Create: lambda message: 1}, new_id=numbered())
    envelope = Envelope(Create(), Priority(1), id="mine")
    dispatched = await bus.dispatch(envelope, Priority(2))
    assert dispatched.envelope is envelope and envelope.id == "mine"
    assert [stamp.level for stamp in envelope.all(Priority)] == [1, 2]


async def test_an_own_envelope_without_an_id_gets_one_of_the_bus() -> None:
    # MI-1 MI-9
    bus = CommandBus({Create: lambda message: 1}, new_id=numbered())
    assert (await bus.dispatch(Envelope(Create(), Priority(1)))).envelope.id == "id-1"
    read = Envelope(Create())
    known = read.id
    assert (await bus.dispatch(read)).envelope.id == known


async def test_the_handler_gets_the_envelope_that_comes_back() -> None:
    # MI-8
    seen: list[Envelope[Any]] = []

    async def handle(envelope: Envelope[Get]) -> str:
        seen.append(envelope)
        envelope.add(Priority(5))
        return "Ada"

    async def peep(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        assert envelope.has(Priority)

    dispatched = await QueryBus([handle], middleware=[peep]).dispatch(Get())
    assert seen == [dispatched.envelope] and dispatched.result == "Ada"


async def test_an_inherited_stamp_that_is_given_at_dispatch_takes_the_place_of_the_one_of_the_cause() -> None:
    # MI-8
    inner = CommandBus({Create: lambda message: 1}, name="inner")
    found: list[list[str]] = []

    async def outer_handler(query: Get) -> str:
        given = await inner.dispatch(Create(), Actor("system"))
        in_envelope = await inner.dispatch(Envelope(Create(), Actor("system")))
        found.extend([stamp.id for stamp in each.envelope.all(Actor)] for each in (given, in_envelope))
        return ""

    await QueryBus([outer_handler]).dispatch(Get(), Actor("ada"))
    assert found == [["system"], ["system"]]


async def test_a_handler_of_the_message_gets_the_message_of_an_own_envelope() -> None:
    # MI-8
    bus = CommandBus({Create: lambda message: (type(message), message)})
    dispatched: Dispatched[Any] = await bus.dispatch(Envelope(Create("Ada")))
    assert dispatched.results == ((Create, Create("Ada")),)
    again: Dispatched[Any] = await bus.dispatch(dispatched.envelope)
    assert again.results == ((Create, Create("Ada")),)
    with_stamp: Dispatched[Any] = await bus.dispatch(Envelope(Create("Ada")), Priority(1))
    assert with_stamp.results == ((Create, Create("Ada")),)


async def test_reading_the_ids_of_an_own_envelope_changes_nothing() -> None:
    # MI-9 MI-15
    inner = CommandBus({Create: lambda message: 1}, name="inner")
    envelopes: list[Envelope[Any]] = []

    async def handle(query: Get) -> str:
        envelope = Envelope(Create())
        assert envelope.correlation_id == envelope.id == envelope.identity.id
        envelopes.append((await inner.dispatch(envelope)).envelope)
        return ""

    outer = (await QueryBus([handle]).dispatch(Get(), Actor("ada"))).envelope
    assert (envelopes[0].causation_id, envelopes[0].correlation_id) == (outer.id, outer.id)
    assert [stamp.id for stamp in envelopes[0].all(Actor)] == ["ada"]


async def test_a_dispatch_that_is_refused_is_none() -> None:
    # MI-10
    bus, envelope = CommandBus({Create: lambda message: 1}), Envelope(Create())
    with pytest.raises(InvalidOption):
        await bus.dispatch(envelope, "urgent")  # type: ignore[call-overload]  # pyright: ignore
    with pytest.raises(NoHandler):
        await CommandBus().dispatch(envelope)
    assert not envelope.sent
    assert not (await bus.dispatch(envelope)).envelope.has(Redispatched)


async def test_it_tells_whether_handlers_have_run() -> None:
    # MI-7
    bus = CommandBus({Create: lambda message: 1})
    assert not Envelope(Create()).ran
    assert (await bus.dispatch(Create())).envelope.ran
    assert not (await bus.dispatch(Create(), Handled(7))).envelope.ran


def test_it_can_be_copied_with_all_its_stamps_and_has_one_identity() -> None:
    # MI-8 MI-9
    envelope = Envelope(Create(), Priority(1), id="1")
    copy = Envelope(envelope.message, *envelope.stamps, id="2")
    assert [type(stamp) for stamp in copy.stamps] == [Identity, Priority] and copy.identity.id == "2"


def test_results_that_are_noted_one_after_another_are_stamps_in_their_order() -> None:
    # MI-8
    envelope = Envelope(Create())
    envelope.note_result(1, "first", 10.0)
    envelope.note_result(2, "second", 20.0)
    assert [(stamp.result, stamp.handler) for stamp in envelope.all(Handled)] == [(1, "first"), (2, "second")]


async def test_a_result_that_a_handler_notes_itself_is_a_stamp_before_the_one_that_it_returns() -> None:
    # MI-8
    async def handle(envelope: Envelope[Get]) -> str:
        envelope.note_result("Eve", "a part of it", 10.0)
        return "Ada"

    dispatched = await QueryBus([handle]).dispatch(Get())
    assert (dispatched.result, dispatched.results) == ("Ada", ("Eve", "Ada"))


def test_events_and_results_that_are_noted_one_after_another_are_stamps_in_their_order() -> None:
    # WM-92
    envelope = Envelope(Create())
    for at in (1.0, 2.0):
        envelope.record([Created(str(at))])
        envelope.note_result(at, "handler", at)
    assert [(type(stamp), stamp.at) for stamp in envelope.stamps[1:]] == [
        (Recorded, 1.0),
        (Handled, 1.0),
        (Recorded, 2.0),
        (Handled, 2.0),
    ]
    assert [stamp.event for stamp in envelope.all(Recorded)] == [Created("1.0"), Created("2.0")]
