"""Failure is a message: what a component raised flows on in the turn (MO-17)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from modd.message import Message

_MARK = "modd: "


class Failure(Message):
    """A component raised an error while it handled a message.

    A component that names ``Failure`` in its annotation handles it; to leave it unhandled, raise ``failure.error``.
    A failure that nobody handled is raised to the sender, inside ``TurnFailed``, when the turn has ended.
    """

    message: Message
    component: Any
    error: Exception


class Raised:
    """What a component raised, on its way to become a `Failure`."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def note(error: Exception, component: str, message: Message, bus: str) -> None:
    """Say on the error where it was raised last, in one note; never the content of the message."""
    with suppress(Exception):  # whatever add_note does, the error must reach its sender
        for stale in [line for line in getattr(error, "__notes__", ()) if line.startswith(_MARK)]:
            error.__notes__.remove(stale)
        error.add_note(f"{_MARK}raised by {component} when given {type(message).__qualname__} in {bus}")
