"""What a component gave back, as the messages in it (DESIGN 2.3)."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any, Protocol

from modd.errors import NotAMessage
from modd.message import Message


class Sink(Protocol):
    """Where what a component gives back goes."""

    giver: str

    def keep(self, messages: Sequence[Message]) -> None:
        """Take messages in their order; raises when the turn has too many."""

    def add(self, component: Any) -> None:
        """Add a component that was given back in place of a message."""

    async def breathe(self) -> None:
        """Let others run when it is time."""


async def collect(given: Any, sink: Sink) -> None:
    """Keep every message in what a component gave back: a message, a list or tuple, a generator, an awaitable.

    A callable that is not a class is a component to be added. Raises `NotAMessage` for anything else, and whatever a
    generator or awaitable raises; what came before is kept.
    """
    if given is None:
        return
    if isinstance(given, Message):
        sink.keep((given,))
    elif isinstance(given, (list, tuple)):
        await _collect_all(given, sink)
    elif inspect.isgenerator(given):
        await _drain(given, sink)
    elif inspect.isasyncgen(given):
        await _drain_async(given, sink)
    elif inspect.isawaitable(given):
        await collect(await given, sink)
    elif callable(given) and not isinstance(given, type):
        sink.add(given)
    else:
        raise NotAMessage(given, sink.giver)
    await sink.breathe()


async def _collect_all(given: Sequence[Any], sink: Sink) -> None:
    if all(issubclass(kind, Message) for kind in set(map(type, given))):  # the common case, 50 times as fast
        sink.keep(given)
        return
    for item in given:
        await collect(item, sink)


async def _drain(generator: Generator[Any, None, Any], sink: Sink) -> None:
    with closing(generator):
        for item in generator:
            await collect(item, sink)


async def _drain_async(generator: Any, sink: Sink) -> None:
    async with aclosing(generator):
        async for item in generator:
            await collect(item, sink)
