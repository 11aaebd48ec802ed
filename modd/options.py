"""What a bus is made with and what is sent to it, checked before anything is done with it (MO-13)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modd.component import Component, Part
from modd.errors import InvalidOption, NotAComponent, NotAMessage
from modd.message import Message


def checked_name(name: Any) -> str:
    """A text that is not empty."""
    if not isinstance(name, str) or not name:
        raise InvalidOption("name", name, "give a text that is not empty")
    return name


def checked_limit(limit: Any) -> int | None:
    """A positive number, or None."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InvalidOption("limit", limit, "give the most messages of a turn, at least 1, or None for no limit")
    return limit


def checked_list(components: Any) -> tuple[Component, ...]:
    """Several components."""
    if isinstance(components, Part) or callable(components) or not isinstance(components, Iterable):
        raise NotAComponent(components, "components are given in a list: Bus([...])")
    return tuple(components)


def checked_callable(option: str, given: Any) -> Any:
    """Something that can be called."""
    if not callable(given):
        raise InvalidOption(option, given, "give a function")
    return given


def checked_methods(option: str, given: Any, methods: Iterable[str], wanted: str) -> Any:
    """Something that has these methods, and is no type of such things."""
    if isinstance(given, type) or not all(callable(getattr(given, name, None)) for name in methods):
        raise InvalidOption(option, given, wanted)
    return given


def checked_flag(option: str, given: Any) -> None:
    """Raise `InvalidOption` unless it is True or False."""
    if not isinstance(given, bool):
        raise InvalidOption(option, given, "give True or False")


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
