"""Enqueue: queued in place of handled, and handled when it comes back."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption
from modd.cqrs import (
    Actor,
    Codec,
    Command,
    CommandBus,
    Delay,
    Emit,
    Envelope,
    Event,
    EventBus,
    Query,
    QueryBus,
    Queued,
    Received,
    WrongBus,
)
from modd.middleware.enqueue import Enqueue
from modd.stores import MemoryQueue

pytestmark = pytest.mark.anyio


class Send(Command[None]):
    to: str


class Count(Command[int]):
    pass


class Sent(Event):
    to: str


class Look(Query[int]):
    pass


def mail(queue: Any, done: list[Any], **options: Any) -> CommandBus:
    def send(envelope: Envelope[Send], emit: Emit) -> None:
        done.append((envelope.message.to, envelope.last(Actor)))
        emit(Sent(envelope.message.to))

    return CommandBus([send], middleware=[Enqueue(queue, **options)], clock=lambda: 100.0)


# MI-54
async def test_a_queued_command_is_not_handled_has_no_result_and_releases_nothing() -> None:
    queue, done = MemoryQueue(), []  # type: ignore[var-annotated]
    dispatched = await mail(queue, done).dispatch(Send("ada"))
    assert (done, dispatched.result, dispatched.events) == ([], None, ())
    assert dispatched.envelope.has(Queued)
    assert (await queue.stats()).ready == 1


# MI-54, MI-11
async def test_what_comes_from_the_queue_passes_through_with_its_stamps_and_ids() -> None:
    queue, done = MemoryQueue(), []  # type: ignore[var-annotated]
    bus, actor = mail(queue, done), Actor("root")
    sent = (await bus.dispatch(Send("ada"), actor)).envelope
    (claim,) = await queue.claim(1, 30)
    received = Codec([Send]).decode(claim.body)
    dispatched = await bus.dispatch(received)
    assert done == [("ada", actor)]
    assert dispatched.events == (Sent("ada"),)
    assert (dispatched.envelope.id, dispatched.envelope.correlation_id) == (sent.id, sent.id)
    again = await bus.dispatch(dispatched.envelope)
    assert again.envelope.has(Received) and len(done) == 2


# MI-54
async def test_an_envelope_is_queued_once_under_its_id() -> None:
    queue = MemoryQueue()
    bus = mail(queue, [])
    for _ in range(2):
        await bus.dispatch(Envelope(Send("ada"), id="import-7"))
    assert (await queue.stats()).ready == 1


# MI-54
@pytest.mark.parametrize(
    ("delay", "due"), [(Delay(seconds=5.0), 5.0), (Delay(until=103.0), 3.0), (Delay(until=1.0), 0)]
)
async def test_a_delay_is_honoured(delay: Delay, due: float) -> None:
    queue = MemoryQueue()
    await mail(queue, []).dispatch(Send("ada"), delay)
    stats = await queue.stats()
    assert (stats.delayed, stats.ready) == ((1, 0) if due else (0, 1))


# MI-54
async def test_what_has_the_same_key_is_claimed_one_at_a_time() -> None:
    queue = MemoryQueue()
    bus = mail(queue, [], key=lambda envelope: envelope.message.to)
    for name in ("ada", "ada", "bob"):
        await bus.dispatch(Send(name))
    assert [claim.key for claim in await queue.claim(9, 30)] == ["ada", "bob"]


# MI-54, MI-13
async def test_types_can_be_left_out_or_have_a_queue_of_their_own() -> None:
    queue, other, done = MemoryQueue(), MemoryQueue(), []  # type: ignore[var-annotated]
    await mail(queue, done, intents={Send: {"queue": other}}).dispatch(Send("ada"))
    assert ((await queue.stats()).ready, (await other.stats()).ready, done) == (0, 1, [])
    await mail(queue, done, intents={Send: {"enabled": False}}).dispatch(Send("ada"))
    await mail(queue, done, enabled=False).dispatch(Send("ada"))
    assert len(done) == 2


# MI-14
async def test_queries_and_commands_with_results_are_refused() -> None:
    with pytest.raises(WrongBus, match="waits for the answer"):
        QueryBus(middleware=[Enqueue(MemoryQueue())])
    counting = CommandBus({Count: lambda count: 1}, middleware=[Enqueue(MemoryQueue())])
    with pytest.raises(WrongBus, match="a result of int, which nobody would get"):
        counting.check()
    CommandBus(
        {Count: lambda count: 1}, middleware=[Enqueue(MemoryQueue(), intents={Count: {"enabled": False}})]
    ).check()


# MI-14
async def test_events_are_queued_too() -> None:
    queue = MemoryQueue()
    codec = Codec([Sent])
    await EventBus({Sent: print}, middleware=[Enqueue(queue, codec=codec)]).dispatch(Sent("ada"))
    (claim,) = await queue.claim(1, 30)
    assert codec.decode(claim.body).message == Sent("ada")


# MI-13
@pytest.mark.parametrize(
    "wrong", [{"queue": None}, {"queue": MemoryQueue(), "enabled": 1}, {"queue": MemoryQueue(), "key": "to"}]
)
def test_wrong_options_fail_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        Enqueue(wrong.pop("queue"), **wrong)
