"""Texts for logs: without what is sensitive in a message, and made without failing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from modd.core import Message, sensitive_fields

_LONGEST_SHOWN = 3
"""Texts as short as that are no secrets, and are found everywhere."""


def masked(text: str, message: Message) -> str:
    """A text, such as that of an error, with ``***`` for what the sensitive fields of a message have in them."""
    try:
        secrets = set(_secrets(message, hidden=False))
    except Exception:  # content that cannot be looked into: nobody knows what of it is in the text
        return "***"
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > _LONGEST_SHOWN:
            text = text.replace(secret, "***")
    return text


def shown(show: Callable[[Any], str], value: Any) -> str:
    """What a function makes of a value, or what to say in its place when it fails."""
    try:
        return show(value)
    except Exception as error:  # a log changes no outcome
        return f"<{type(value).__qualname__} that cannot be shown: {type(error).__name__}>"


def _secrets(value: Any, hidden: bool) -> Iterator[str]:
    """The texts of all that is hidden in a value."""
    for part, is_hidden in _parts(value):
        yield from _secrets(part, hidden or is_hidden)
    if hidden and not isinstance(value, (bool, type(None))):
        yield from _texts(value)


def _parts(value: Any) -> Iterable[tuple[Any, bool]]:
    """What a value is made of, each with whether it is marked as sensitive."""
    if isinstance(value, dict):
        return [(part, False) for item in value.items() for part in item]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(part, False) for part in value]
    if isinstance(value, msgspec.Struct):
        names: Iterable[str] = value.__struct_fields__
    elif dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        return ()
    kind: type = type(value)
    marked = sensitive_fields(kind)
    return [(getattr(value, name), name in marked) for name in names]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return value, value.strip(), repr(value)[1:-1]
    if isinstance(value, bytes):
        return value.decode(errors="replace"), repr(value)[2:-1]
    return str(value), repr(value)
