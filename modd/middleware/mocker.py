"""Mocker answers with made-up results in place of handlers."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable
from typing import Any, TypedDict

from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Handled
from modd.errors import InvalidOption
from modd.middleware.options import MiddlewareWithOptions


class _MockerOptions(TypedDict, total=False):
    result: Any


class Mocker(MiddlewareWithOptions):
    """Answers messages of some types with made-up results; their handlers do not run.

    Use it to build on a handler that does not exist yet: ``Mocker({GetUser: lambda query: User(query.id, "Ada"),
    CountUsers: 3})``. The middleware further in runs. To replace handlers in a test, ``bus.override`` is simpler.

    intents: by message type, the result or a function of the message that returns it, sync or async. Wrap a result that
        can itself be called in a lambda. For a derived type the nearest base counts; other types pass through.

    Raises:
        InvalidOption: a key is no message type.
        NoHandler: when the bus is checked, if it does not handle a type.
    """

    def __init__(self, intents: Mapping[type[Message], Any]) -> None:
        if not isinstance(intents, Mapping):
            raise InvalidOption("Mocker(intents)", intents, "give a mapping from message type to result")
        super().__init__(_MockerOptions, {}, {kind: {"result": result} for kind, result in intents.items()})

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Add the made-up result, if the type has one, and call the next link."""
        options = self._options.of(type(envelope.message))
        if "result" in options:
            result = options["result"]
            result = result(envelope.message) if callable(result) else result
            result = await result if isawaitable(result) else result
            envelope.add(Handled(result, "mocker", at=envelope.bus.clock()))
        await call_next(envelope)
