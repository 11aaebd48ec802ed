"""Flattening: the messages in a value that a component returned."""

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
    """The place that messages go to."""

    @property
    def giver(self) -> str:
        """The name of the component, for errors."""
        ...

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Take messages in their order, with their origin. Raises when the turn has too many."""

    def add(self, component: Any) -> None:
        """Add a component that was returned in place of a message."""

    async def breathe(self) -> None:
        """Let other tasks run when it is time."""


def keep_at_once(returned: Any, sink: Sink) -> bool:
    """Keep the messages of a value that needs no await; returns False, and keeps nothing, for any other value."""
    if isinstance(returned, Released):
        for at, message in enumerate(returned):
            sink.keep((message,), returned.origins.get(at))
    elif isinstance(returned, (list, tuple)):
        if not all(issubclass(kind, Message) for kind in set(map(type, returned))):
            return False
        sink.keep(returned)
    elif isinstance(returned, Message):
        sink.keep((returned,))
    elif isinstance(returned, Caused):
        sink.keep(returned.messages, returned.by)
    else:
        return returned is None
    return True


async def flatten(returned: Any, sink: Sink) -> None:
    """Keep every message in a returned value: a message, a list or tuple, a generator, an awaitable.

    A callable that is not a class is a component to add. Raises `NotAMessage` for anything else, and the errors of
    generators and awaitables; the messages that came before an error are kept.
    """
    if keep_at_once(returned, sink):
        pass
    elif isinstance(returned, (list, tuple)):
        await _flatten_each(returned, sink)
    elif isinstance(returned, GeneratorType):
        with closing(returned):
            for item in returned:
                await flatten(item, sink)
    elif isinstance(returned, AsyncGeneratorType):
        async with aclosing(returned):
            async for item in returned:
                await flatten(item, sink)
    elif isawaitable(returned):
        await flatten(await returned, sink)
    elif callable(returned) and not isinstance(returned, type):
        sink.add(returned)
    else:
        raise NotAMessage(returned, sink.giver)
    await sink.breathe()


async def _flatten_each(returned: Sequence[Any], sink: Sink) -> None:
    for at, item in enumerate(returned):
        try:
            await flatten(item, sink)
        except BaseException:
            for rest in filter(iscoroutine, returned[at + 1 :]):
                rest.close()  # nothing will await it
            raise
