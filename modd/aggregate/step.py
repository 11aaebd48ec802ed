"""A step of a chain: one function that looks at a command, and its verdict."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from modd.aggregate.errors import CommandRejected, MisusedMark
from modd.aggregate.instance import Instance
from modd.aggregate.mark import Mark
from modd.aggregate.rejected import Rejected
from modd.core import Message, name_of, wire_name
from modd.cqrs.arguments import (
    Ask,
    Resources,
    call_inside,
    checked_parameters,
    factories_of,
    find_argument,
    hint_of,
)
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
from modd.texts import describe


class Step:
    """A function of a chain, with its arguments.

    function: takes the instance, the command, and by annotation or name a `Mark`; further parameters as in handlers.
    is_last: True for the command itself. resources, ask: the sources of further arguments.

    Raises: `InvalidHandler` for a function that cannot be called so.
    """

    def __init__(self, function: Any, is_last: bool, resources: Resources, ask: Ask) -> None:
        self.name = name_of(function)
        self.source, self._function, self._is_last = function, function, is_last
        more = _checked_parameters(self.name, function)[2:]
        self._marks = [each for each in more if _is_mark(function, each)]
        """The parameters for the mark."""
        others = [each for each in more if each not in self._marks]
        self._arguments = [find_argument(self.name, function, each, resources, ask) for each in others]
        self._arguments = [each for each in self._arguments if not each.is_default]
        self._factories = factories_of(self._arguments)

    async def run(self, instance: Instance[Any], envelope: Envelope[Any]) -> Any:
        """Call the function, and return the result of its mark. Raises `CommandRejected`, `MisusedMark`."""
        command = wire_name(type(envelope.message))
        mark = Mark(self.name, command, self._is_last)
        returned = await self._call(instance, envelope, mark)
        if self._marks:
            mark.end()
            self._check_nothing(returned, command)
            if mark.word == "rejected":
                raise CommandRejected(mark.reason)
        elif returned is not None:
            self._take(returned, instance, command)
        return mark.result

    async def _call(self, instance: Instance[Any], envelope: Envelope[Any], mark: Mark) -> Any:
        named = {each.name: mark for each in self._marks}
        if not self._arguments:
            return await _settle(self._function(instance, envelope.message, **named))

        def call(entered: Any) -> Any:
            arguments = {each.name: each.value_for(envelope, entered) for each in self._arguments}
            return self._function(instance, envelope.message, **named, **arguments)

        if self._factories:
            return await call_inside(self.name, self._factories, call, _settle)
        return await _settle(call({}))

    def _take(self, returned: Any, instance: Instance[Any], command: str) -> None:
        """Publish returned events of the command itself. Raises `CommandRejected` for a rejection."""
        if isinstance(returned, Rejected):
            raise CommandRejected(returned.reason)
        events = (returned,) if isinstance(returned, Message) else returned
        if not self._is_last or not isinstance(events, (list, tuple)) or not _are_messages(events):
            self._check_nothing(returned, command)
        for event in events:
            if isinstance(event, Rejected):
                raise CommandRejected(event.reason)
        instance.publish(*events)

    def _check_nothing(self, returned: Any, command: str) -> None:
        if returned is None:
            return
        wanted = "return nothing, or Rejected(...)"
        if self._is_last:
            wanted = "return nothing, events or Rejected(...); a result goes into mark.as_done(...)"
        if self._marks:
            wanted = "a function with a mark returns nothing: a result goes into mark.as_done(...)"
        raise MisusedMark(self.name, command, f"it returned {describe(returned)}; {wanted}")


async def _settle(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _are_messages(values: Iterable[Any]) -> bool:
    return all(isinstance(each, Message) for each in values)


def _checked_parameters(name: str, function: Any) -> list[inspect.Parameter]:
    parameters = checked_parameters(function)
    positional = [each for each in parameters if each.kind is not each.KEYWORD_ONLY]
    if len(positional) < 2:
        raise InvalidHandler(name, "a function of a chain takes (instance, command), and a mark if it makes one")
    return parameters


def _is_mark(function: Any, parameter: inspect.Parameter) -> bool:
    hint = hint_of(function, parameter)
    return hint is Mark or (hint is parameter.empty and parameter.name == "mark")
