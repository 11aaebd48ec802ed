"""What a component gave back, as the messages in it (MO-1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, closing
from inspect import isawaitable, iscoroutine
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Protocol

from modd.core.causation import Caused, Released
from modd.core.message import Message
from modd.errors import NotAMessage


class Sink(Protocol):
    """Where what a component gives back goes."""

    @property
    def giver(self) -> str:
        """Who gives, for errors."""
        ...

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Take messages in their order, and what they were caused by; raises when the turn has too many."""

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
    elif isinstance(given, Caused):
        sink.keep(given.messages, given.by)
    elif isinstance(given, Released):
        for at, message in enumerate(given):
            sink.keep((message,), given.origins.get(at))
    elif isinstance(given, (list, tuple)):
        await _collect_all(given, sink)
    elif isinstance(given, GeneratorType):
        await _drain(given, sink)
    elif isinstance(given, AsyncGeneratorType):
        await _drain_async(given, sink)
    elif isawaitable(given):
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
    for at, item in enumerate(given):
        try:
            await collect(item, sink)
        except BaseException:
            for rest in filter(iscoroutine, given[at + 1 :]):
                rest.close()  # nobody will await it
            raise


async def _drain(generator: GeneratorType[Any, Any, Any], sink: Sink) -> None:
    with closing(generator):
        for item in generator:
            await collect(item, sink)


async def _drain_async(generator: AsyncGeneratorType[Any, Any], sink: Sink) -> None:
    async with aclosing(generator):
        async for item in generator:
            await collect(item, sink)
