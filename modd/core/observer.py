"""Observing: what is told of each delivery, here and in nested buses (MO-26)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Literal

import msgspec

from modd.core.message import Message

Outcome = Literal["running", "done", "failed", "cancelled"]


class Delivery(msgspec.Struct, eq=False):
    """One message given to one component: what caused it, how long it took, and how it ended."""

    message: Message
    component: Any
    bus: Any
    cause: Delivery | None = None
    """The delivery in which the message was given back or sent; None for a message from outside."""
    began: float = msgspec.field(default_factory=perf_counter)
    seconds: float | None = None
    """How long it took, with all that was awaited; None while it runs."""
    outcome: Outcome = "running"
    returned: tuple[Message, ...] = ()
    error: BaseException | None = None


class Observer:
    """Base of observers: override what you want to be told; give an instance to ``bus.observe``.

    The methods are called in the middle of a turn and must be quick and not wait. What they raise is logged and
    changes no outcome.
    """

    def began(self, delivery: Delivery) -> None:
        """A component is about to be given a message."""

    def ended(self, delivery: Delivery) -> None:
        """The component is done: ``delivery.outcome`` tells how."""

    def unreceived(self, message: Message, bus: Any) -> None:
        """No component in the bus took the message (MO-24)."""

    def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
        """A turn was cut short: these messages will not be handled, these failures reach nobody."""

    def added(self, component: Any, bus: Any) -> None:
        """A component was added to the bus."""

    def removed(self, component: Any, bus: Any) -> None:
        """A component was removed from the bus."""


current_delivery: ContextVar[Delivery | None] = ContextVar("modd_delivery", default=None)
"""The observed delivery that is going on here; what is sent inside it is caused by it."""


def tell(watchers: Iterable[Observer], happening: Callable[[Observer], None]) -> None:
    """Tell every observer; one that fails is logged and changes nothing."""
    for watcher in watchers:
        try:
            happening(watcher)
        except Exception:
            logging.getLogger("modd").exception("the observer %r failed", watcher)
