"""Events that a middleware outside of Enqueue emits are released once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus
from modd.cqrs import CommandBus, Emit, Emitted, Envelope, Event, EventBus, Next, OnlyHandler, Received
from modd.middleware import Enqueue, Retryer
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Paid, Pay, work_off

pytestmark = pytest.mark.anyio


class Asked(Event):
    pass_: int


class Opened(Event):
    pass


class Asking:
    """Emits an event at every pass for which it is told to, another one at each pass."""

    def __init__(self, wanted: Callable[[Envelope[Any]], bool] = lambda _: True, after: bool = False) -> None:
        self.passes, self.wanted, self.after = 0, wanted, after

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        self.passes += 1
        if self.after:
            await call_next(envelope)
        if self.wanted(envelope):
            envelope.emit(Asked(self.passes))
        if not self.after:
            await call_next(envelope)


def pay(command: Pay, emit: Emit) -> None:
    emit(Paid(command.amount))


async def heard_of(*outside: Any, inside: Any = (), served: Any = None, start: Any = ()) -> list[Any]:
    """The events that are heard when a command was queued and a worker has handled it."""
    heard, queue = list[Any](), MemoryQueue()
    events = EventBus({Asked: heard.append, Paid: heard.append, Opened: heard.append})
    commands = CommandBus([pay], middleware=[*outside, Enqueue(queue), *inside])
    served = None if served is None else CommandBus([pay], middleware=served)
    app = Bus([commands, events])
    await app(Pay(3)) if not start else await commands.dispatch(Envelope(Pay(3), *start))
    assert heard == []
    await work_off(Worker(queue, app if served is None else Bus([served, events])))
    return sorted(heard, key=repr)


# DF-23
@pytest.mark.costly
@pytest.mark.parametrize("after", [False, True])
async def test_of_what_sender_and_worker_emit_outside_of_enqueue_the_event_of_the_worker_is_released(
    after: bool,
) -> None:
    assert await heard_of(Asking(after=after)) == [Asked(2), Paid(3)]


# DF-23
@pytest.mark.costly
@pytest.mark.parametrize("by_worker", [False, True])
async def test_an_event_that_one_of_the_two_processes_emits_is_released(by_worker: bool) -> None:
    asking = Asking(lambda envelope: envelope.has(Received) is by_worker)
    assert await heard_of(asking) == [Asked(1 + by_worker), Paid(3)]


# DF-23
async def test_a_worker_without_the_middleware_releases_the_event_of_the_sender() -> None:
    assert await heard_of(Asking(), served=[]) == [Asked(1), Paid(3)]


# DF-23
async def test_events_of_one_type_by_several_middleware_and_from_the_start_are_released_once_each() -> None:
    heard = await heard_of(Asking(), Asking(), start=[Emitted(Asked(9)), Emitted(Opened())])
    assert heard == [Asked(2), Asked(2), Asked(9), Opened(), Paid(3)]


# DF-23
async def test_an_event_is_released_once_though_an_attempt_fails() -> None:
    tries = list[int]()

    async def fail_once(envelope: Envelope[Any], call_next: Next) -> None:
        tries.append(1)
        await call_next(envelope)
        if len(tries) == 1:
            raise LookupError

    assert await heard_of(Asking(), Retryer(backoff="none"), inside=[fail_once]) == [Asked(2), Paid(3)]
    assert len(tries) == 2


# DF-23
@pytest.mark.costly
@pytest.mark.parametrize("wanted", [lambda _: True, lambda envelope: not envelope.has(OnlyHandler)])
async def test_of_an_event_with_many_handlers_it_is_released_by_the_first(wanted: Any) -> None:
    heard, queue = list[Any](), MemoryQueue()
    events = EventBus(middleware=[Asking(wanted), Enqueue(queue)])
    for name in ("one", "two", "three"):
        events.register(Paid, lambda paid: None, name)
    await events.dispatch(Paid(3))
    await work_off(Worker(queue, Bus([events, EventBus({Asked: heard.append}, name="asked")])))
    assert len(heard) == 1
