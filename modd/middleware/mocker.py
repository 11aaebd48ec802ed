"""Mocker: results made up in place of what handlers would do (MI-52)."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable
from typing import Any, TypedDict

from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Handled
from modd.errors import InvalidOption
from modd.middleware.options import Options


class _MockerOptions(TypedDict, total=False):
    result: Any


class Mocker:
    """Gives made-up results for some types, so that others can be built on what does not exist yet (MI-52).

    ``Mocker({GetUser: lambda query: User(query.id, "Ada"), CountUsers: 3})``. All middleware further in run, handlers
    do not. To replace handlers in a test, ``bus.override`` is simpler.

    intents: by type, the result or a callable that makes it from the message, sync or async (a result that is itself
    callable needs a lambda around it). For derived types the nearest base counts; other types pass through.

    Raises `InvalidOption` for keys that are no message types, and `NoHandler` when the bus is checked.
    """

    def __init__(self, intents: Mapping[type[Message], Any]) -> None:
        if not isinstance(intents, Mapping):
            raise InvalidOption("Mocker(intents)", intents, "give a mapping from message type to result")
        results: dict[type[Message], _MockerOptions] = {kind: {"result": result} for kind, result in intents.items()}
        self._options = Options("Mocker", _MockerOptions, {}, results)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Note the made-up result, if there is one for the type, and go on."""
        options = self._options.of(type(envelope.message))
        if "result" in options:
            result = options["result"]
            result = result(envelope.message) if callable(result) else result
            result = await result if isawaitable(result) else result
            envelope.add(Handled(result, "mocker", at=envelope.bus.clock()))
        await call_next(envelope)
