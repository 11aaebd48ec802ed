"""A step of a chain: one function that looks at a command, and its verdict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from modd.aggregate.errors import CommandRejected, MisusedMark
from modd.aggregate.instance import Instance
from modd.aggregate.mark import Mark
from modd.aggregate.rejected import Rejected
from modd.core import Message, name_of
from modd.cqrs.arguments import (
    Ask,
    Resources,
    call_inside,
    factories_of,
    find_argument,
    handler_parameters,
    hint_of,
)
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import InvalidHandler
from modd.cqrs.handlers import yields
from modd.texts import describe


class Step:
    """A function of a chain, with its arguments.

    function: takes the instance, the command, and by annotation or name a `Mark`; further parameters as in handlers.
    is_last: True for the command itself. resources, ask: the sources of further arguments.

    Raises: `InvalidHandler` for a function that cannot be called so.
    """

    def __init__(self, function: Any, is_last: bool, resources: Resources, ask: Ask) -> None:
        self.name, self.is_last = name_of(function), is_last
        self._function = function
        more = _chain_parameters(self.name, function)[2:]
        self._marks = [each for each in more if _is_mark(function, each)]
        """The parameters for the mark."""
        others = [each for each in more if each not in self._marks]
        self._arguments = [find_argument(self.name, function, each, resources, ask) for each in others]
        self._arguments = [each for each in self._arguments if not each.is_default]
        self._factories = factories_of(self._arguments)
        is_third = self._marks == more[:1] and bool(more) and more[0].kind is not inspect.Parameter.KEYWORD_ONLY
        self.plain: Callable[[Instance[Any], Any, Mark], Any] | None = None
        """The function itself, if it takes an instance, a command and a mark, and nothing else."""
        if is_third and not self._arguments:
            self.plain = function

    def call(self, instance: Instance[Any], envelope: Envelope[Any], mark: Mark) -> Any:
        """Call the function with its arguments, and return the value that it returns, to be awaited if it can be."""
        if self._arguments:
            return self._call_with_arguments(instance, envelope, mark)
        return self._call(instance, envelope.message, mark)

    def _call(self, instance: Instance[Any], command: Any, mark: Mark, **more: Any) -> Any:
        return self._function(instance, command, **{each.name: mark for each in self._marks}, **more)

    async def _call_with_arguments(self, instance: Instance[Any], envelope: Envelope[Any], mark: Mark) -> Any:
        def call(entered: Any) -> Any:
            more = {each.name: each.value_for(envelope, entered) for each in self._arguments}
            return self._call(instance, envelope.message, mark, **more)

        if self._factories:
            return await call_inside(self.name, self._factories, call, _settle)
        return await _settle(call({}))

    def conclude(self, mark: Mark, returned: Any, instance: Instance[Any]) -> None:
        """Take what the function returned, or a mark that does not pass. Raises `CommandRejected`, `MisusedMark`."""
        if self._marks:
            if not mark.word or mark.misuse is not None:
                mark.refuse_end()
            if returned is not None:
                self._refuse(returned, mark.command)
            raise CommandRejected(mark.reason)
        if returned is not None:
            self._take(returned, instance, mark.command)

    def _take(self, returned: Any, instance: Instance[Any], command: str) -> None:
        """Publish returned events of the command itself. Raises `CommandRejected` for a rejection."""
        if isinstance(returned, Rejected):
            raise CommandRejected(returned.reason)
        events = (returned,) if isinstance(returned, Message) else returned
        if not self.is_last or not isinstance(events, (list, tuple)) or not _are_messages(events):
            self._refuse(returned, command)
        for event in events:
            if isinstance(event, Rejected):
                raise CommandRejected(event.reason)
        instance.publish(*events)

    def _refuse(self, returned: Any, command: str) -> NoReturn:
        wanted = "return nothing, or Rejected(...)"
        if self.is_last:
            wanted = "return nothing, events or Rejected(...); a result goes into mark.as_done(...)"
        if self._marks:
            wanted = "a function with a mark returns nothing: a result goes into mark.as_done(...)"
        raise MisusedMark(self.name, command, f"it returned {describe(returned)}; {wanted}")


async def _settle(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _are_messages(values: Iterable[Any]) -> bool:
    return all(isinstance(each, Message) for each in values)


def _chain_parameters(name: str, function: Any) -> list[inspect.Parameter]:
    parameters = handler_parameters(function)
    positional = [each for each in parameters if each.kind is not each.KEYWORD_ONLY]
    if len(positional) < 2 or any(_is_mark(function, each) for each in positional[:2]):
        raise InvalidHandler(name, "a function of a chain takes (instance, command), and a mark if it makes one")
    for each in positional[2:]:
        if each.kind is each.POSITIONAL_ONLY:
            raise InvalidHandler(name, f"its parameter {each.name!r} must take its argument by name, too; remove the /")
    if yields(function):
        raise InvalidHandler(name, "it yields; return a list of events, or publish them")
    return parameters


def _is_mark(function: Any, parameter: inspect.Parameter) -> bool:
    hint = hint_of(function, parameter)
    return hint is Mark or (hint is parameter.empty and parameter.name == "mark")
