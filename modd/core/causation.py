"""Causation: the cause of a message, noted beside the message. The core hands it on and does not use it."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import msgspec

from modd.concurrency.scopes import close_scope, open_scope
from modd.core.component import Receiver
from modd.core.message import Message
from modd.core.observer import Delivery


class Origin:
    """A scope for the work on a message: messages that are sent or returned inside it are caused by it.

    See `modd.concurrency.scopes`.
    """

    __slots__ = ("open", "outer")

    open: bool
    outer: Origin | None
    """The origin that was open around it."""

    by: Any
    """The cause that is noted beside messages."""


class ClosingOrigin(Origin):
    """An origin that lets go of its cause when it closes, because that has an origin itself, and so on."""

    __slots__ = ("by",)

    def close(self) -> None:
        """Close it; what still runs inside it is then in the origin around it."""
        close_scope(self)
        self.by = None


class QueuedOrigin(ClosingOrigin):
    """The origin that was noted beside a queued message, open while the message is handled."""

    __slots__ = ()

    def __init__(self, by: Any) -> None:
        self.by = by
        self.outer = open_origin()
        self.open = True


class Question(ClosingOrigin):
    """An intent for typed buses, its answerers: they dispatch it with stamps, and note the result or the error here.

    intent: the message. sent: the message, or an envelope with it. expects: True if the sender needs a result, so that
    the intent must not be queued for later. reports: False if its sender only sends it, so that an error is one of the
    turn; True by default.
    """

    __slots__ = ("answer", "answerers", "error", "expects", "intent", "reports", "sent", "stamps")

    def __init__(
        self,
        intent: Message,
        sent: Any,
        stamps: tuple[Any, ...],
        answerers: tuple[Any, ...],
        expects: bool = False,
        reports: bool = True,
    ) -> None:
        self.intent, self.sent, self.stamps, self.answerers = intent, sent, stamps, answerers
        self.expects, self.reports = expects, reports
        self.answer: Any = None
        """The `Answer`, once there is one."""
        self.error: Exception | None = None
        self.outer = open_origin()
        self.by = None if self.outer is None else self.outer.by
        self.open = True

    def is_for(self, answerer: Any, message: Message) -> bool:
        """Return True if this answerer is asked, and with this very message."""
        return self.intent is message and answerer in self.answerers


class Entry(msgspec.Struct, eq=False):
    """A message in the queue of a turn, with facts that belong to its way and not to the message."""

    message: Message
    source: Any = None
    """The bus that let the message out; it does not get the message back."""
    cause: Delivery | None = None
    """The observed delivery in which the message was returned or sent."""
    origin: Any = None
    """The cause of the message for typed buses, opaque here (`Origin`)."""
    receivers: tuple[Receiver, ...] | None = None
    """The only components that get the message, in place of every component that accepts its type."""


class Caused:
    """Messages that a component returns, with a cause that is not the message that the component was given."""

    __slots__ = ("by", "messages")

    def __init__(self, messages: Iterable[Message], by: Any) -> None:
        self.messages = tuple(messages)
        self.by = by


class Released(tuple[Message, ...]):
    """Messages that left a bus, with their causes by position in ``origins``, where these were noted."""

    origins: dict[int, Any]


current_origin: ContextVar[Origin | None] = ContextVar("modd_origin", default=None)
"""The origin that was set last in this task or a task around it."""


def open_origin() -> Origin | None:
    """Return the innermost origin that is still open."""
    return open_scope(current_origin.get())
