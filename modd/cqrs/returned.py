"""The values that handlers return: awaited, drained, and taken as a surrounding bus takes those of its components."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator, Mapping, Sequence
from inspect import isawaitable
from types import AsyncGeneratorType, GeneratorType, NoneType
from typing import Any

from modd.core import Message, keep_all
from modd.cqrs.errors import InvalidHandler
from modd.errors import NotAMessage
from modd.texts import describe

_LEAVES = (Message, str, bytes, bytearray, memoryview)

_NO_RESULTS = (GeneratorType, AsyncGeneratorType)


class Returned:
    """Takes the values that one handler returns.

    An awaitable is awaited, to any depth. If the handler handles events, its generators, iterators and collections of
    messages become flat lists, whose messages are released. The generator of any other handler is an error, because its
    code would not run.

    handler: its name, for errors. releases: True if it handles events.
    """

    def __init__(self, handler: str, releases: bool) -> None:
        self._handler, self._releases = handler, releases
        self.plain: set[type] = {NoneType}
        """Types of values that stay as they are, learnt from those that came: the caller looks here first."""

    async def settle(self, value: Any) -> Any:
        """Return the result in a value. Raises `InvalidHandler`, and `NotAMessage` for a value beside messages."""
        while isawaitable(value):
            value = await value
        if not self._needs_care(type(value)):
            self.plain.add(type(value))
        elif isinstance(value, type):
            self._refuse_class(value)
        elif self._releases:
            return await self._gather(value)
        else:
            reason = f"it returned {describe(value)}, whose code does not run; return a list, or emit events"
            raise InvalidHandler(self._handler, reason)
        return value

    def _needs_care(self, kind: type) -> bool:
        if issubclass(kind, (type, Awaitable, *_NO_RESULTS)):
            return True
        return self._releases and issubclass(kind, (Iterable, AsyncIterable)) and not issubclass(kind, _LEAVES)

    def _refuse_class(self, value: Any) -> None:
        if issubclass(value, Message):
            raise NotAMessage(value, self._handler)

    async def _gather(self, value: Any) -> Any:
        gathering = _Gathering()
        await keep_all(value, gathering)
        found = gathering.found
        misfits = [each for each in found if not isinstance(each, Message)]
        hidden = next((each for each in misfits if _hides_messages(each)), None)
        if hidden is not None or len(misfits) not in (0, len(found)):
            raise NotAMessage(misfits[0] if hidden is None else hidden, self._handler)
        drained = isinstance(value, (Iterator, AsyncIterable))
        return found if drained or (found and not misfits and not _is_flat(value)) else value


class _Gathering:
    """Everything in a returned value, messages and other values alike."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Note messages."""
        self.found += messages

    def add(self, component: Any) -> None:
        """Note a callable: a typed bus takes no components."""
        self.found.append(component)

    def refuse(self, value: Any) -> None:
        """Note any other value, which may be a result."""
        self.found.append(value)

    async def breathe(self) -> None:
        """Go on: the dispatch lets other tasks run where its handlers do."""


def _is_flat(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, Message) for each in value)


def _hides_messages(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(isinstance(each, Message) for each in (*value, *value.values()))
    return isinstance(value, type) and issubclass(value, Message)
