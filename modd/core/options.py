"""What a bus is made with and what is sent to it, checked before anything is done with it (MO-13)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modd.core.component import Component, Part
from modd.core.message import Message
from modd.errors import InvalidOption, NotAComponent, NotAMessage


def checked_list(components: Any) -> tuple[Component, ...]:
    """Several components."""
    if isinstance(components, Part) or callable(components) or not isinstance(components, Iterable):
        raise NotAComponent(components, "components are given in a list: Bus([...])")
    return tuple(components)


def checked_types(option: str, given: Any) -> tuple[type[Message], ...]:
    """A list of message types."""
    types = tuple(given) if isinstance(given, Iterable) else (given,)
    if not isinstance(given, Iterable) or not all(
        isinstance(kind, type) and issubclass(kind, Message) for kind in types
    ):
        raise InvalidOption(option, given, "give a list of message types")
    return types


def check_message(given: object) -> None:
    """Raise `NotAMessage` unless a message was sent."""
    if not isinstance(given, Message):
        raise NotAMessage(given, "the sender")
