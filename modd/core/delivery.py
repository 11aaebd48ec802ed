"""Giving a message to its receivers: the careful way, for all that the loop of `Bus` does not do itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from modd.core.message import Failure, Message
from modd.core.observer import current_delivery, tell
from modd.core.options import check_message
from modd.core.routing import carefully
from modd.core.take import Entry, Queued, Take
from modd.core.turn import Turn


async def deliver(turn: Turn, queued: Queued, queue: deque[Queued]) -> None:
    """Give one message to every receiver, and queue what they give back, in component order."""
    entry = queued if isinstance(queued, Entry) else Entry(queued, None, current_delivery.get())
    message, bus = entry.message, turn.bus
    receivers = [r for r in bus.receivers(type(message)) if entry.source is None or r.boundary is not entry.source]
    if not receivers and not (isinstance(message, Failure) or _has_left(turn, message)):
        tell(bus.watchers, lambda watcher: watcher.unreceived(message, bus))
    takes = [Take(turn, receiver, entry) for receiver in receivers]
    try:
        if bus.concurrent and len(takes) > 1:
            await _side_by_side([take.run for take in takes])
        else:
            for take in takes:
                await take.run()
    finally:
        for take in takes:
            queue += take.items
    if isinstance(message, Failure):
        _judge(turn, message, takes, from_outside=entry is not queued)


async def settle(turn: Turn, message: Message, call: Any, given: Any, queue: deque[Queued]) -> None:
    """Queue what follows from what a component gave back to the loop of `Bus`, or raised there."""
    if given is carefully:
        if not isinstance(message, Entry):
            check_message(message)
        await deliver(turn, message, queue)
        return
    take = Take(turn, turn.bus.receiver_of(call), Entry(message))
    try:
        await take.settle(given)
    finally:
        queue += take.items


def _has_left(turn: Turn, message: Message) -> bool:
    return turn.ledger is not None and any(message is left for left in turn.ledger.out)


def _judge(turn: Turn, failure: Failure, takes: Sequence[Take], *, from_outside: bool) -> None:
    """Keep for the sender what nobody handled; a failure in handling a failure is not queued but raised."""
    book = turn.book
    if not any(take.error is None and take.receiver.accepts.handles_failures for take in takes):
        if turn.bus.lets_failures_out and not from_outside:
            book.out.append(failure)
        else:
            book.errors.append(failure.error)
    clumsy = {id(take.error): take.error for take in takes if take.error is not None}
    clumsy.pop(id(failure.error), None)  # who raises it again does not want it, and somebody else may
    book.errors += clumsy.values()


async def _side_by_side(calls: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run all to the end at once; the error of one that cuts the turn short is raised bare."""
    finished = 0

    async def run(call: Callable[[], Awaitable[None]]) -> None:
        nonlocal finished
        await call()
        finished += 1

    try:
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(run, call)
    except BaseExceptionGroup as group:
        first, *more = group.exceptions
        if more and not isinstance(group, ExceptionGroup):
            raise
        raise first from None  # errors come here only from turns that a limit cuts short: one tells it
    if finished < len(calls):  # a component let a cancellation of its own doing pass
        raise anyio.get_cancelled_exc_class()
