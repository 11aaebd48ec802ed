"""Observers: objects that a bus tells of each delivery, here and in nested buses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Literal

import msgspec

from modd.core.masking import log_error
from modd.core.message import Message
from modd.texts import show

DeliveryOutcome = Literal["running", "done", "failed", "cancelled"]


Place = Literal["queue", "outbox"]
"""A place in which a message is stored for later."""


class Delivery(msgspec.Struct, eq=False):
    """The delivery of one message to one component, as an `Observer` sees it.

    message, component, bus: the message, its receiver, and the bus that both are in.
    cause: the delivery in which the message was returned or sent; None for a message from outside.
    began: the reading of `time.perf_counter` at the beginning.
    seconds: the duration, with everything that was awaited; None while it runs.
    outcome: "running", "done", "failed" or "cancelled". error: the error, if there is one.
    queued: the messages that the component returned, as a list that grows; read ``returned``.
    """

    message: Message
    component: Any
    bus: Any
    cause: Delivery | None = None
    began: float = msgspec.field(default_factory=perf_counter)
    seconds: float | None = None
    outcome: DeliveryOutcome = "running"
    queued: list[Message] = []
    error: BaseException | None = None

    @property
    def returned(self) -> tuple[Message, ...]:
        """The messages that the component returned."""
        return tuple(self.queued)


class Observer:
    """The base of observers: override the methods that you need, and give an instance to ``bus.observe``.

    The methods are called in the middle of a turn, so they must be quick and must not wait. An error in one is logged
    and changes no outcome.
    """

    def began(self, delivery: Delivery) -> None:
        """A component is about to get a message."""

    def ended(self, delivery: Delivery) -> None:
        """The component is done: ``delivery.outcome`` tells how."""

    def unreceived(self, message: Message, bus: Any) -> None:
        """No component in the bus accepts the message."""

    def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
        """A turn that had begun was cut short: these messages are not handled, and no sender gets these failures."""

    def stored(self, messages: tuple[Message, ...], place: Place, bus: Any) -> None:
        """A typed bus has put messages into a queue or an outbox: they are delivered later, and not in this turn."""

    def added(self, component: Any, bus: Any) -> None:
        """A component was added to the bus."""

    def removed(self, component: Any, bus: Any) -> None:
        """A component was removed from the bus."""


current_delivery: ContextVar[Delivery | None] = ContextVar("modd_delivery", default=None)
"""The observed delivery of this task: the cause of messages that are sent inside it."""


def tell(watchers: Iterable[Observer], happening: Callable[[Observer], None], message: Any = None) -> None:
    """Tell every observer. An error of an observer is logged, without secrets of the message, and changes nothing."""
    for watcher in watchers:
        try:
            happening(watcher)
        except Exception as error:
            log_error(logging.getLogger("modd"), "the observer %s failed", show(watcher), error=error, message=message)


def tell_stored(messages: tuple[Message, ...], place: Place, bus: Any) -> None:
    """Tell the observers of a typed bus that messages were put into a queue or an outbox."""
    if bus.watchers:
        tell(bus.watchers, lambda watcher: watcher.stored(messages, place, bus), messages)
