"""Without an outbox, events flow on in a turn of the surrounding bus."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, InvalidOption, Message, TurnFailed
from modd.core.component import Part
from modd.cqrs import CommandBus, Emit, Envelope, EventBus
from modd.cqrs.enclosing import dispatch_in_turn
from modd.ports import Transaction
from modd.stores import MemoryOutbox, MemoryQueue
from modd.worker import Worker
from tests.aggregate.billing import invoices
from tests.worker.desk import Desk, Paid, Pay, item, work_off

pytestmark = pytest.mark.anyio


class Told(Message):
    amount: int


class Wrapped(Part):
    """A part around a typed bus."""


RELAY_NEEDED = "worker: events of its handlers go to the outbox; a Relay, here or elsewhere, passes them on"


def pay(command: Pay, emit: Emit) -> None:
    emit(Paid(command.amount))


async def test_events_flow_on_in_the_bus_around_as_caused_by_their_command() -> None:
    # ST-49
    queue, heard = MemoryQueue(), list[Any]()

    def hear(envelope: Envelope[Paid]) -> None:
        heard.append((envelope.message, envelope.causation_id))

    commands = CommandBus([pay], new_id=lambda: "none")
    bus = Bus([commands, EventBus([hear])])
    await queue.put(item(Pay(3), id="p"))
    await work_off(Worker(queue, commands))
    assert [message for message, _ in heard] == [Paid(3)]
    assert heard[0][1] != "none"
    assert bus.components[0] is commands


async def test_only_the_typed_bus_gets_the_message_and_all_get_what_it_releases() -> None:
    queue, others, heard = MemoryQueue(), list[Any](), list[Any]()

    def hear(event: Paid) -> Told:
        heard.append(event)
        return Told(event.amount)

    inner = Bus([Wrapped(CommandBus([pay])), hear], name="inner", inbound=[], outbound=[Told])

    def outside(message: Message) -> None:
        others.append(message)

    bus = Bus([inner, outside])
    await queue.put(item(Pay(3)))
    await work_off(Worker(queue, bus))
    assert (heard, others) == ([Paid(3)], [Told(3)])


async def test_a_row_gets_to_its_handler_alone_and_what_that_gives_back_flows_on() -> None:
    queue, heard = MemoryQueue(), list[Any]()
    events = EventBus()
    events.register(Paid, lambda paid: Told(paid.amount), "one")
    events.register(Paid, lambda paid: Told(-paid.amount), "other")

    def hear(told: Told) -> None:
        heard.append(told.amount)

    await queue.put(item(Paid(3)))
    await work_off(Worker(queue, Bus([events, hear])))
    assert sorted(heard) == [-3, 3]


@pytest.mark.parametrize("around", [False, True])
async def test_a_reaction_that_fails_does_not_run_the_command_again_and_what_left_goes_on(
    around: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # DF-19
    queue, paid, heard, outside = MemoryQueue(), list[int](), list[int](), list[int]()

    def pay_once(command: Pay, emit: Emit) -> None:
        paid.append(command.amount)
        emit(Paid(command.amount))

    def hear(event: Paid) -> None:
        heard.append(event.amount)
        raise ValueError("deaf")

    def hear_outside(event: Paid) -> None:
        outside.append(event.amount)

    components: list[Any] = [CommandBus([pay_once]), EventBus([hear])]
    if around:
        components = [Bus(components, name="inner", outbound=[Paid])]
    await queue.put(item(Pay(3)))
    await work_off(Worker(queue, Bus([*components, EventBus([hear_outside], name="o")]), attempts=3, backoff="none"))
    assert (paid, heard, outside) == ([3], [3], [3])
    assert await queue.dead() == []
    [told] = [text for text in caplog.messages if "done and not tried again" in text]
    assert told.startswith("Pay ") and "an effect of it failed: TurnFailed: 1 failure in a turn of bus" in told
    assert "ValueError: deaf" in told


async def test_in_a_transaction_a_reaction_that_fails_takes_back_the_command_which_runs_again() -> None:
    # DF-19
    desk, queue, tries = Desk(), MemoryQueue(), list[int]()

    def hear(event: Paid) -> None:
        tries.append(event.amount)
        if len(tries) < 3:
            raise ValueError("deaf")

    async def write(command: Pay, tx: Transaction, emit: Emit) -> None:
        await tx.execute("paid")
        emit(Paid(command.amount))

    await queue.put(item(Pay(3)))
    bus = Bus([CommandBus([write]), hear])
    await work_off(Worker(queue, bus, inbox=desk.inbox, attempts=5, backoff="none"))
    assert (tries, desk.rows) == ([3, 3, 3], ["paid"])


async def test_a_handler_that_fails_in_a_turn_is_raised_as_it_is_and_the_bus_stays_usable() -> None:
    def fail(command: Pay) -> None:
        raise ValueError("no")

    commands = CommandBus([fail])
    bus = Bus([commands], name="around")
    with pytest.raises(ValueError, match="no"):
        await dispatch_in_turn(commands, Envelope(Pay()))
    with pytest.raises(TurnFailed):
        await bus(Pay())


async def test_a_loop_of_events_is_cut_short_and_the_message_buried_at_once() -> None:
    queue, tries = MemoryQueue(), list[int]()

    def again(event: Paid) -> Paid:
        tries.append(1)
        return event

    bus = Bus([CommandBus([pay]), Bus([again], name="inner", inbound=[Paid])], limit=50)
    await queue.put(item(Pay(3)))
    await work_off(Worker(queue, bus))
    [dead] = await queue.dead()
    assert "TurnOverflow" in dead.reason
    assert dead.attempts == 1


async def test_without_a_bus_around_it_is_said_that_nobody_gets_an_event(caplog: pytest.LogCaptureFixture) -> None:
    queue = MemoryQueue()
    await queue.put(item(Pay(3)))
    await work_off(Worker(queue, CommandBus([pay])))
    assert caplog.messages == [
        "commands emitted Paid, which nothing receives: give the worker an outbox, or put the bus into a Bus"
    ]


async def test_a_typed_bus_alone_is_dispatched_as_it_is() -> None:
    dispatched = await dispatch_in_turn(CommandBus([pay]), Envelope(Pay(3)))
    assert dispatched.events == (Paid(3),)


async def test_a_typed_bus_in_two_buses_is_refused_and_one_of_these_takes_what_it_emits() -> None:
    # DF-25
    queue, heard = MemoryQueue(), list[str]()
    commands = CommandBus([pay])

    def hear_in(name: str) -> Bus:
        def hear(event: Paid) -> None:
            heard.append(name)

        return Bus([commands, EventBus([hear])], name=name)

    buses = [hear_in(name) for name in ("a", "b")]
    with pytest.raises(InvalidOption, match="it is in 2 buses: a, b; give one of these"):
        Worker(queue, commands)
    for bus in buses:
        await queue.put(item(Pay(3)))
        await work_off(Worker(queue, bus))
    assert heard == ["a", "b"]


class Followed(MemoryOutbox):
    """An outbox that needs no relay."""

    needs_relay = False


async def test_a_worker_tells_once_for_each_run_that_its_events_need_a_relay(caplog: pytest.LogCaptureFixture) -> None:
    # DR-89
    caplog.set_level("INFO", "modd.worker")
    worker = Worker(MemoryQueue(), CommandBus([pay], name="till"), outbox=MemoryOutbox())
    await worker.run_until_idle()
    await work_off(worker, 5)
    await work_off(Worker(MemoryQueue(), CommandBus([pay])), 5)
    await work_off(Worker(MemoryQueue(), CommandBus([pay]), outbox=Followed()), 5)
    assert caplog.messages == [RELAY_NEEDED]


class Odd:
    """A middleware of the user's, which may emit events."""

    async def __call__(self, envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)


def ship(command: Pay) -> None: ...


def answer(event: Paid) -> Paid:
    return event


def note(event: Paid) -> None: ...


@pytest.mark.parametrize(
    ("bus", "is_told"),
    [
        (CommandBus([ship]), False),
        (EventBus([note]), False),
        (Bus([CommandBus([ship]), EventBus([note])]), False),
        (EventBus([answer]), True),
        (Bus([CommandBus([pay]), EventBus([note])]), True),
        (CommandBus([ship], middleware=[Odd()]), True),
        (CommandBus({Pay: lambda envelope: None}), False),
        (invoices(), True),
    ],
)
async def test_a_worker_whose_handlers_emit_nothing_does_not_ask_for_a_relay(
    bus: Any, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-81
    caplog.set_level("INFO", "modd.worker")
    await work_off(Worker(MemoryQueue(), bus, outbox=MemoryOutbox()), 0)
    assert caplog.messages == [RELAY_NEEDED] * is_told
