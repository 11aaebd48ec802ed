"""A limit to how long a dispatch may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import anyio

from modd.checks import checked_span
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import DispatchTimeout
from modd.middleware.options import Options


class TimeoutOptions(TypedDict, total=False):
    """What may differ for a type; see `Timeout`."""

    seconds: float | None


class Timeout:
    """Cancels what takes longer than a number of seconds, and raises `DispatchTimeout`.

    Outside a `Retryer` it limits all attempts together, inside it each of them. ``TimeoutError`` of a handler comes out
    as it is, and a cancellation from outside stays one. What does not let others run cannot be cut short; it ends, and
    its result counts.

    seconds: how long all that is further in may take, more than 0; None for no limit.
    intents: by message type, what differs. Raises `InvalidOption`.
    """

    def __init__(self, seconds: float | None, *, intents: Mapping[type[Message], TimeoutOptions] = {}) -> None:
        self._options: Options[Any] = Options("Timeout", TimeoutOptions, {"seconds": seconds}, intents, _check)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, for so long."""
        kind = type(envelope.message)
        seconds = self._options.of(kind)["seconds"]
        with anyio.move_on_after(seconds) as scope:
            await call_next(envelope)
        if scope.cancelled_caught:
            raise DispatchTimeout(kind, seconds)


def _check(options: TimeoutOptions) -> None:
    if options.get("seconds") is not None:
        checked_span("seconds", options.get("seconds"))
