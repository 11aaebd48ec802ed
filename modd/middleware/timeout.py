"""Timeout cancels dispatches that take too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import anyio

from modd.checks import checked_span
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import DispatchTimeout
from modd.middleware.options import MiddlewareWithOptions


class TimeoutOptions(TypedDict, total=False):
    """The options of `Timeout` that may differ by type.

    seconds: the longest time for everything further in, more than 0; None for no limit.
    """

    seconds: float | None


class Timeout(MiddlewareWithOptions):
    """Cancels a dispatch that takes longer than a number of seconds, and raises `DispatchTimeout`.

    Add it outside of a `Retryer` to limit all attempts together, inside to limit each attempt. A ``TimeoutError`` of
    the handler is raised unchanged, and a cancellation from outside stays a cancellation. A handler that blocks the
    loop cannot be cancelled: it runs to its end, and its result counts.

    seconds: the longest time for everything further in, more than 0; None for no limit.
    intents: by message type, the `TimeoutOptions` that differ; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        DispatchTimeout: while dispatching, if the time is over.
    """

    def __init__(self, seconds: float | None, *, intents: Mapping[type[Message], TimeoutOptions] = {}) -> None:
        super().__init__(TimeoutOptions, {"seconds": seconds}, intents, _check)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link; cancel it after the time limit."""
        kind = type(envelope.message)
        seconds = self._options.of(kind)["seconds"]
        with anyio.move_on_after(seconds) as scope:
            await call_next(envelope)
        if scope.cancelled_caught:
            raise DispatchTimeout(kind, seconds)


def _check(options: TimeoutOptions) -> None:
    if options.get("seconds") is not None:
        checked_span("seconds", options.get("seconds"))
