"""When events are released, and where they go."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus, Journey, Message, TurnFailed
from modd.cqrs import CommandBus, Emit, Envelope, EventBus, Failed, Handled, Next, QueryBus, Queued, WrongBus
from tests.cqrs.shop import Create, Created, Get, Rename, Welcomed, giving, stop, swallow

pytestmark = pytest.mark.anyio


async def create(message: Create, emit: Emit) -> int:
    emit(Created(message.name))
    emit(Welcomed(message.name))
    return 1


async def failing(message: Create, emit: Emit) -> int:
    emit(Created(message.name))
    raise ValueError("boom")


async def test_alone_the_events_are_on_what_comes_back() -> None:
    # MI-15
    bus = CommandBus([create])
    dispatched = await bus.dispatch(Create("Ada"))
    assert dispatched.events == (Created("Ada"), Welcomed("Ada")) and dispatched.result == 1
    assert dispatched.caused.messages == dispatched.events and dispatched.caused.by is dispatched.envelope
    assert (await bus.dispatch(dispatched.envelope)).events == dispatched.events


async def test_inside_a_bus_they_flow_on_in_the_same_turn_after_the_middleware() -> None:
    # MI-15
    log: list[Any] = []

    async def transaction(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        log.append("commit")

    events = EventBus({Created: log.append, Welcomed: log.append})
    for exclusive in (True, False):
        bus = Bus([CommandBus([create], middleware=[transaction]), events], outbound=[Welcomed], exclusive=exclusive)
        assert await bus(Create("Ada")) == (Welcomed("Ada"),)
        assert await bus.ask(Create("Ada")) == 1
    assert log == ["commit", Created("Ada"), Welcomed("Ada")] * 4


async def test_a_failing_handler_or_commit_drops_them() -> None:
    # MI-15
    heard: list[Message] = []

    async def transaction(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        raise OSError("cannot commit")

    for bus, error in ((CommandBus([failing]), ValueError), (CommandBus([create], middleware=[transaction]), OSError)):
        with pytest.raises(error):
            await bus.dispatch(Create())
        outer = Bus([bus, EventBus({Created: heard.append})])
        with pytest.raises(error):
            await outer.ask(Create())
        with pytest.raises(TurnFailed):
            await outer(Create())
    assert heard == []


async def stand_in(envelope: Envelope[Any], call_next: Next) -> None:
    envelope.emit(Created())
    envelope.add(Handled(7, "stand-in"))
    await call_next(envelope)


async def queue(envelope: Envelope[Any], call_next: Next) -> None:
    envelope.emit(Created())
    envelope.add(Queued())


async def note_failure(envelope: Envelope[Any], call_next: Next) -> None:
    await call_next(envelope)
    envelope.add(Failed("not quite"))


async def reset(envelope: Envelope[Any], call_next: Next) -> None:
    before = envelope.stamps
    await call_next(envelope)
    envelope.reset(before)


@pytest.mark.parametrize("middleware", [stand_in, queue, note_failure, reset, stop], ids=lambda given: given.__name__)
async def test_what_has_not_happened_releases_nothing(middleware: Any) -> None:
    # MI-15
    for multiple in (False, True):
        dispatched = await CommandBus([create], middleware=[middleware], multiple=multiple).dispatch(Create())
        assert dispatched.events == ()


async def test_an_error_that_is_swallowed_releases_nothing() -> None:
    # MI-15
    dispatched = await CommandBus([failing], middleware=[swallow]).dispatch(Create())
    assert (dispatched.events, dispatched.answered) == ((), False)


@pytest.mark.parametrize("by", ["handler", "middleware"])
async def test_a_failed_stamp_of_before_does_not_count_and_a_new_one_does(by: str) -> None:
    # MI-15
    async def handle(envelope: Envelope[Create]) -> int:
        envelope.emit(Created())
        if envelope.message.name == "bad":
            envelope.add(Failed("bad"))
        return 1

    bus = CommandBus([handle])
    for given in (Envelope(Create(), Failed("before")), Create()):
        assert (await bus.dispatch(given, Failed("given"))).events == (Created(),)
        bad = Envelope(Create("bad"), Failed("before")) if isinstance(given, Envelope) else Create("bad")
        assert (await bus.dispatch(bad, Failed("given"))).events == ()


async def test_a_retry_releases_what_the_last_attempt_emitted_only() -> None:
    # MI-15 MI-40
    attempts: list[int] = []

    async def flaky(message: Create, emit: Emit) -> int:
        attempts.append(len(attempts))
        emit(Created(f"attempt {len(attempts)}"))
        if len(attempts) == 1:
            raise ValueError("once")
        return 1

    async def retry(envelope: Envelope[Any], call_next: Next) -> None:
        before = envelope.stamps
        try:
            await call_next(envelope)
        except ValueError:
            envelope.reset(before)
            await call_next(envelope)

    dispatched = await CommandBus([flaky], middleware=[retry]).dispatch(Create())
    assert dispatched.events == (Created("attempt 2"),)


async def test_a_query_that_emits_is_an_error() -> None:
    # MI-15
    async def handle(query: Get, emit: Emit) -> str:
        emit(Created())
        return ""

    queries = QueryBus([handle])
    with pytest.raises(WrongBus, match="a query"):
        await queries.dispatch(Get())


@pytest.mark.parametrize("given", [None, Welcomed(), [Welcomed(), None], (Welcomed(),), 3], ids=repr)
async def test_what_a_handler_of_an_event_gives_back_as_messages_flows_on(given: Any) -> None:
    # MI-15
    heard: list[Message] = []

    async def welcome(event: Created, emit: Emit) -> Any:
        emit(Welcomed("emitted"))
        return given

    messages = given if isinstance(given, (list, tuple)) else [given]
    expected = (Welcomed("emitted"), *[each for each in messages if isinstance(each, Message)])
    events = EventBus([welcome])
    assert (await events.dispatch(Created())).events == expected
    await Bus([EventBus([welcome], name="inner"), heard.append])(Created())
    assert heard == [Created(), *expected]


async def test_the_result_of_a_command_that_is_a_message_stays_a_result() -> None:
    # MI-15
    bus = CommandBus()
    bus.register(Create, giving(Created()))
    assert (await bus.dispatch(Create())).events == ()
    heard: list[Message] = []
    await Bus([bus, EventBus({Created: heard.append})])(Create())
    assert heard == []


async def test_commands_lead_to_events_that_lead_to_commands() -> None:
    # MI-15
    log: list[str] = []

    async def rename(message: Rename, emit: Emit) -> None:
        log.append(f"rename {message.name}")
        emit(Welcomed(message.name))

    def created(event: Created) -> Rename:
        return Rename(event.name.upper())

    commands = CommandBus([create, rename])
    bus = Bus([commands, EventBus([created]), EventBus({Welcomed: lambda event: log.append(event.name)}, name="more")])
    assert await bus.ask(Create("Ada")) == 1
    assert log == ["Ada", "rename ADA", "ADA"]


async def test_one_failing_handler_of_an_event_drops_what_it_releases_and_the_sender_hears_of_it() -> None:
    # MI-6 MI-15
    heard: list[Message] = []

    def welcome(event: Created) -> Message:
        return Welcomed(event.name)

    def boom(event: Created) -> None:
        raise ValueError("boom")

    bus = Bus([CommandBus([create]), EventBus([welcome, boom]), EventBus({Welcomed: heard.append}, name="more")])
    with pytest.raises(TurnFailed) as info:
        await bus.ask(Create())
    assert info.value.result == 1 and heard == [Welcomed()]
    assert [str(error) for error in info.value.exceptions] == ["boom"]


async def test_a_cancelled_dispatch_releases_nothing() -> None:
    # MI-15
    heard: list[Message] = []

    async def hang(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        scope.cancel()
        await anyio.sleep_forever()

    commands = CommandBus([create], middleware=[hang])
    bus = Bus([commands, EventBus({Created: heard.append})], exclusive=False)
    for send in (bus, bus.ask):
        with anyio.CancelScope() as scope:
            await send(Create())
        assert scope.cancelled_caught
    assert heard == []


async def test_a_journey_shows_the_way_of_what_was_released() -> None:
    # MI-15
    bus = Bus([CommandBus([create]), EventBus({Created: lambda event: None})])
    with Journey(bus) as journey:
        assert await bus.ask(Create()) == 1
    assert [type(delivery.message).__name__ for delivery in journey] == ["Create", "Created"]
    first, second = list(journey)[:2]
    assert second.cause is first
    assert first.returned == (Created(), Welcomed())
