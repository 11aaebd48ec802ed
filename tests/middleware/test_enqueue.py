"""Enqueue puts a message into a queue, and lets it through when it comes from the queue."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any, Generic, TypeVar

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

R = TypeVar("R")

pytestmark = pytest.mark.anyio


class Send(Command[None]):
    to: str


class Count(Command[int]):
    pass


class Sent(Event):
    to: str


class SentAbroad(Sent):
    land: str


class Vague(Command[Any]):
    pass


class StillVague(Vague):
    pass


class Bare(Command):  # type: ignore[type-arg]  # as in code without types
    pass


class Open(Command[R], Generic[R]):
    pass


class Filled(Open[Any]):
    pass


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
    assert [claim.key for claim in await queue.claim(9, 30)] == ["commands:ada", "commands:bob"]


# MI-54
async def test_a_key_may_be_made_by_an_async_function_that_may_give_none() -> None:
    async def by_name(envelope: Envelope[Any]) -> str | None:
        return envelope.message.to or None

    queue = MemoryQueue()
    bus = mail(queue, [], key=by_name)
    for name in ("ada", ""):
        await bus.dispatch(Send(name))
    assert [claim.key for claim in await queue.claim(9, 30)] == ["commands:ada", None]
    with pytest.raises(InvalidOption, match="return a text"):
        await mail(queue, [], key=lambda envelope: 5).dispatch(Send("ada"))


# MI-60
@pytest.mark.parametrize("separate", [True, False])
async def test_buses_share_a_queue_without_losing_or_ordering_what_others_put(separate: bool) -> None:
    queue, names = MemoryQueue(), ("orders", "mails", "a:b", "a")
    enqueue = Enqueue(queue, key=lambda envelope: envelope.message.to)
    for name, id in zip(names, ("7", "7", "c", "b:c"), strict=True):
        each = Enqueue(queue, key=lambda envelope: envelope.message.to) if separate else enqueue
        bus = CommandBus({Send: print}, middleware=[each], name=name)
        for _ in range(2):
            await bus.dispatch(Envelope(Send("ada"), id=id))
    claims = await queue.claim(9, 30)
    assert [claim.id for claim in claims] == ["orders:7", "mails:7", "a%3Ab:c", "a:b:c"]
    assert [claim.key for claim in claims] == ["orders:ada", "mails:ada", "a%3Ab:ada", "a:ada"]


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
    with pytest.raises(WrongBus, match="waits for its result"):
        QueryBus(middleware=[Enqueue(MemoryQueue())])
    counting = CommandBus({Count: lambda count: 1}, middleware=[Enqueue(MemoryQueue())])
    with pytest.raises(WrongBus, match="a result of int, which no caller would get"):
        counting.check()
    CommandBus(
        {Count: lambda count: 1}, middleware=[Enqueue(MemoryQueue(), intents={Count: {"enabled": False}})]
    ).check()


# MI-14
def test_any_is_a_result_if_it_is_named_and_a_command_without_a_result_type_has_none() -> None:
    def bus(kind: type[Command[Any]]) -> CommandBus:
        return CommandBus({kind: print}, middleware=[Enqueue(MemoryQueue())])

    for kind in (Vague, StillVague, Filled):
        with pytest.raises(WrongBus, match="a result of Any, which no caller would get"):
            bus(kind).check()
    bus(Bare).check()
    bus(Open).check()


# MI-54
async def test_events_of_a_derived_type_are_queued_and_come_back_as_they_were() -> None:
    queue, seen = MemoryQueue(), []  # type: ignore[var-annotated]
    bus = EventBus({Sent: seen.append}, middleware=[Enqueue(queue)])
    await bus.dispatch(SentAbroad("ada", "fr"))
    (claim,) = await queue.claim(1, 30)
    await bus.dispatch(bus.codec.decode(claim.body))
    assert seen == [SentAbroad("ada", "fr")]


# MI-14
async def test_events_are_queued_too() -> None:
    queue = MemoryQueue()
    codec = Codec([Sent])
    await EventBus({Sent: print}, middleware=[Enqueue(queue, codec=codec)]).dispatch(Sent("ada"))
    (claim,) = await queue.claim(1, 30)
    assert codec.decode(claim.body).message == Sent("ada")


# MI-13
@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": None},
        {"queue": SimpleQueue()},
        {"queue": MemoryQueue(), "enabled": 1},
        {"queue": MemoryQueue(), "key": "to"},
        {"queue": MemoryQueue(), "codec": 5},
        {"queue": MemoryQueue(), "codec": Codec},
        {"queue": MemoryQueue(), "intents": []},
    ],
)
def test_wrong_options_fail_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        Enqueue(wrong.pop("queue"), **wrong)
