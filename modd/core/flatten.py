"""Flattening: the messages in a value that a component returned."""

from __future__ import annotations

from collections.abc import AsyncIterable, Generator, Iterator, Sequence, Set, ValuesView
from contextlib import aclosing, closing
from inspect import isawaitable, iscoroutine
from types import AsyncGeneratorType
from typing import Any, Protocol

from modd.core.causation import Caused, Released
from modd.core.message import Message

_TEXTS = (str, bytes, bytearray, memoryview, range)


class Sink(Protocol):
    """The place that messages go to."""

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Take messages in their order, with their origin. Raises when the turn has too many."""

    def add(self, component: Any) -> None:
        """Add a component that was returned in place of a message."""

    def refuse(self, value: Any) -> None:
        """Raise `NotAMessage` for a value that is no message and holds none."""

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


async def keep_all(returned: Any, sink: Sink) -> None:
    """Keep every message in a returned value: a message, a list, tuple or set, an iterator (async, too), an awaitable.

    These may be nested; the value that a generator returns counts as its last one. A callable that is not a class is a
    component to add. The sink refuses anything else. Raises the errors of iterators and awaitables; the messages that
    came before an error are delivered.
    """
    if keep_at_once(returned, sink):
        pass
    elif isawaitable(returned):
        await keep_all(await returned, sink)
    elif isinstance(returned, Iterator):
        with closing(values_of(returned)) as values:
            for item in values:
                await keep_all(item, sink)
    elif isinstance(returned, AsyncGeneratorType):
        async with aclosing(returned):
            async for item in returned:
                await keep_all(item, sink)
    elif isinstance(returned, AsyncIterable):
        async for item in returned:
            await keep_all(item, sink)
    elif isinstance(returned, (Sequence, Set, ValuesView)) and not isinstance(returned, _TEXTS):
        await _flatten_each([*returned], sink)
    elif callable(returned) and not isinstance(returned, type):
        sink.add(returned)
    else:
        sink.refuse(returned)
    await sink.breathe()


def values_of(iterator: Any) -> Generator[Any, None, None]:
    """Yield the values of an iterator, and in the end the value that it returns, as a generator may."""
    returned = yield from iterator
    if returned is not None:
        yield returned


async def _flatten_each(returned: Sequence[Any], sink: Sink) -> None:
    for at, item in enumerate(returned):
        try:
            await keep_all(item, sink)
        except BaseException:
            for rest in filter(iscoroutine, returned[at + 1 :]):
                rest.close()  # nothing will await it
            raise
