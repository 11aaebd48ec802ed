"""The functions of a handler: sync or async, with further arguments by annotation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from modd.core import Message, keep_all, name_of
from modd.cqrs.arguments import Resources, call_inside, factories_of, find_argument, handler_parameters
from modd.cqrs.errors import InvalidHandler
from modd.errors import NotAMessage
from modd.service.errors import DomainError

Settle = Callable[[Any], Awaitable[Any]]
"""Takes the value that a function has returned, and returns the one that is meant."""


class Injected:
    """A function of a handler, with its further arguments.

    function: takes one value, and further parameters that are filled by annotation. resources: their sources, besides
    the `Transaction`.

    Raises:
        InvalidHandler: the function takes no value, or a parameter that nothing fills.
    """

    def __init__(self, function: Any, resources: Resources) -> None:
        self.name = name_of(function)
        self._function = function
        more = handler_parameters(function)[1:]
        found = [find_argument(self.name, function, each, resources) for each in more]
        self._arguments = [each for each in found if not each.is_default]
        self.factories = factories_of(self._arguments)
        """The factories of its resources, by annotation."""
        for each in more:
            if each.kind is each.POSITIONAL_ONLY:
                raise InvalidHandler(
                    self.name, f"its parameter {each.name!r} must take its argument by name, too; remove the /"
                )

    async def __call__(self, value: Any, settle: Settle) -> Any:
        """Call it with resources of its own, and return what ``settle`` makes of the value that it returns."""
        if not self.factories:
            return await settle(self.call_with(value, {}))
        return await call_inside(self.name, self.factories, lambda entered: self.call_with(value, entered), settle)

    async def messages(self, value: Any) -> Sequence[Message]:
        """Call it, and return the messages in the value that it returns. Raises as `messages_in` does."""
        return await self(value, lambda returned: messages_in(returned, self.name))  # type: ignore[no-any-return]

    def call_with(self, value: Any, entered: Mapping[Any, Any]) -> Any:
        """Call it with resources that were made before, by annotation; returns the value that it returns."""
        envelope: Any = None  # none of the arguments comes from one
        return self._function(value, **{each.name: each.value_for(envelope, entered) for each in self._arguments})


async def settled(value: Any) -> Any:
    """Return a value, awaited if need be. Raises a `DomainError` that was returned."""
    if isawaitable(value):
        value = await value
    if isinstance(value, DomainError):
        raise value
    return value


async def messages_in(returned: Any, giver: str) -> Sequence[Message]:
    """Return the messages in a value that a function has returned, as a bus takes those of its components.

    giver: the name of the function. Raises a `DomainError` in it, and `NotAMessage`.
    """
    gathering = _Gathering(giver)
    await keep_all(returned, gathering)
    return gathering.found


class _Gathering:
    """The messages in a returned value."""

    def __init__(self, giver: str) -> None:
        self._giver = giver
        self.found: list[Message] = []

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Note messages."""
        self.found += messages

    def add(self, component: Any) -> None:
        """Refuse a callable: a handler takes no components."""
        self.refuse(component)

    def refuse(self, value: Any) -> None:
        """Raise a `DomainError` that was returned, and `NotAMessage` for any other value."""
        raise value if isinstance(value, DomainError) else NotAMessage(value, self._giver)

    async def breathe(self) -> None:
        """Go on: the bus around lets other tasks run."""
