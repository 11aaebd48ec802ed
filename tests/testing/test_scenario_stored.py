"""Scenarios of which an expected message is missing because one is in a queue or an outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modd import Bus, Observer
from modd.cqrs import Command, CommandBus, Emit, Event, EventBus
from modd.middleware import Enqueue, Transactional
from modd.stores import MemoryQueue, SqliteStore
from modd.testing import given

pytestmark = pytest.mark.anyio


class Place(Command[None]):
    number: int = 1


class Placed(Event):
    number: int = 1


class Billed(Event):
    number: int = 1


def place(command: Place, emit: Emit) -> None:
    emit(Placed(command.number))


def bill(event: Placed) -> Billed:
    return Billed(event.number)


def shop(*, commands: Any = (), events: Any = ()) -> Bus:
    """Return a shop in which a placed order is billed."""
    parts = [CommandBus([place], middleware=commands), EventBus([bill], middleware=events)]
    return Bus(parts, name="shop", outbound=[Placed, Billed])


PLACE_QUEUED = (
    "Place is in a queue, because commands has Enqueue, and its handlers have not run. Run them by "
    "`await worker.run_until_idle()` and look at their effects, or test a bus without Enqueue."
)
PLACED_QUEUED = PLACE_QUEUED.replace("Place ", "Placed ").replace("commands", "events")
PLACED_OUTBOXED = (
    "Placed is in an outbox, because commands has Transactional, and nothing gets it in this turn. Pass it on by "
    "`await relay.pass_on()` and look at its effects, or test a bus without Transactional."
)


async def failure_of(expectation: Awaitable[Any]) -> list[str]:
    """Return the lines of an assertion that fails, without the journey."""
    with pytest.raises(AssertionError) as caught:
        await expectation
    return str(caught.value).split("\n\nThe journey:\n")[0].splitlines()


# TK-5
async def test_an_expected_message_is_missing_because_a_command_is_in_a_queue() -> None:
    bus = shop(commands=[Enqueue(MemoryQueue())])
    assert await failure_of(given(bus).when(Place()).then(Placed(), Billed())) == [
        "the returned messages differ from the expected ones (- expected, + returned):",
        "- Placed(number=1)",
        "- Billed(number=1)",
        PLACE_QUEUED,
    ]
    assert (await failure_of(given(bus).when(Place()).then_left(Placed())))[-1] == PLACE_QUEUED
    assert (await failure_of(given(bus).when(Place()).then_result(1)))[-1] == PLACE_QUEUED
    assert (await failure_of(given(bus).when(Place()).then_raises(ValueError)))[-1] == PLACE_QUEUED
    assert (await failure_of(given(bus, Place()).when(Billed()).then(Placed())))[-1] == PLACE_QUEUED


# TK-5
async def test_an_expected_message_is_missing_because_an_event_is_in_a_queue() -> None:
    bus = shop(events=[Enqueue(MemoryQueue())])
    lines = await failure_of(given(bus).when(Place(), Place(2)).then(Placed(), Billed(), Placed(2), Billed(2)))
    assert lines[-2:] == ["- Billed(number=2)", PLACED_QUEUED]


# TK-5
async def test_an_expected_message_is_missing_because_an_event_is_in_an_outbox(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "shop.db") as store:
        bus = shop(commands=[Transactional(store)])
        scenario = given(bus).when(Place())
        assert (await failure_of(scenario.then(Placed(), Billed())))[-1] == PLACED_OUTBOXED
        assert (await failure_of(scenario.then_left(Placed())))[-1] == PLACED_OUTBOXED
        await scenario.then_nothing()
        alone = CommandBus([place], middleware=[Transactional(store)])
        assert (await failure_of(given(alone).when(Place()).then(Placed())))[-1] == PLACED_OUTBOXED


# TK-5
@pytest.mark.parametrize(
    "make",
    [
        lambda: given(shop()).when(Place()).then(Billed()),
        lambda: given(shop(events=[Enqueue(MemoryQueue())])).when(Place()).then_nothing(),
        lambda: given(shop(events=[Enqueue(MemoryQueue())])).when(Place(), Place(2)).then(Placed(2), Placed()),
    ],
)
async def test_nothing_is_said_of_queues_if_they_are_not_the_reason(make: Callable[[], Awaitable[Any]]) -> None:
    assert "queue" not in "\n".join(await failure_of(make()))


class Watching(Observer):
    """Notes what is stored."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def stored(self, messages: Any, place: Any, bus: Any) -> None:
        self.seen.append((messages, place, bus.name))


# TK-5
async def test_observers_see_messages_that_are_put_into_a_queue_or_an_outbox(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "shop.db") as store:
        bus, watching = shop(commands=[Transactional(store)], events=[Enqueue(MemoryQueue())]), Watching()
        with bus.observe(watching):
            await bus(Place(3))
            await bus(Placed(4))
        await bus(Place(5))
    assert watching.seen == [((Placed(3),), "outbox", "commands"), ((Placed(4),), "queue", "events")]
