"""What a message was caused by, noted beside it and handed on to whoever asks; the core never looks into it (MI-15)."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from modd.core.message import Message


class Origin:
    """What is being handled here: what is sent or given back meanwhile is caused by it.

    As a turn it is set and never reset, and knows whether it is still open.
    """

    __slots__ = ("open", "outer")

    open: bool
    outer: Origin | None
    """What was open around it."""

    by: Any
    """What is noted beside the messages that are caused here."""


class Held(Origin):
    """What was noted beside a message, for as long as that message is being handled."""

    __slots__ = ("by",)

    def __init__(self, by: Any) -> None:
        self.by = by
        self.outer = open_origin()
        self.open = True


class Question(Origin):
    """An intent whose result is waited for: who handles it notes the result, or the error, here."""

    __slots__ = ("answer", "answered", "by", "error", "intent", "stamps", "who")

    def __init__(self, intent: Message, stamps: tuple[Any, ...], who: Any) -> None:
        self.intent, self.stamps, self.who = intent, stamps, who
        self.answer: Any = None
        self.answered = False
        self.error: Exception | None = None
        self.outer = open_origin()
        self.by = None if self.outer is None else self.outer.by
        self.open = True


class Caused:
    """Messages that a component gives back with what caused them, where that is not what the component was given."""

    __slots__ = ("by", "messages")

    def __init__(self, messages: Iterable[Message], by: Any) -> None:
        self.messages = tuple(messages)
        self.by = by


class Released(tuple[Message, ...]):
    """Messages that left a bus; ``origins`` says by position what caused them, for those of which that was noted."""

    origins: dict[int, Any]


current_origin: ContextVar[Origin | None] = ContextVar("modd_origin", default=None)
"""The origin that was set last here."""


def open_origin() -> Origin | None:
    """The innermost origin that is still open."""
    origin = current_origin.get()
    while origin is not None and not origin.open:
        origin = origin.outer
    return origin
