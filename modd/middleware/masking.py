"""Texts for logs: sensitive content is masked, and a value that cannot be shown raises no error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from modd.core import Message, sensitive_fields

_SHORTEST_SECRET = 4
"""Characters; a shorter text is no secret, and masking it would garble the text around it."""


def mask_secrets(text: str, message: Message) -> str:
    """Return a text, such as the text of an error, with ``***`` for the content of a message's sensitive fields."""
    try:
        secrets = set(_secrets(message, hidden=False))
    except Exception:  # the secrets of this message cannot be found, so any part of the text may be one
        return "***"
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def show_safely(show: Callable[[Any], str], value: Any) -> str:
    """Return the text that a function makes of a value, or a text that names its error."""
    try:
        return show(value)
    except Exception as error:  # a log line must not change the outcome of a dispatch
        return f"<{type(value).__qualname__} that cannot be shown: {type(error).__name__}>"


def _secrets(value: Any, hidden: bool) -> Iterator[str]:
    """Return the texts of all sensitive content in a value."""
    for part, is_hidden in _parts(value):
        yield from _secrets(part, hidden or is_hidden)
    if hidden and not isinstance(value, (bool, type(None))):
        yield from _texts(value)


def _parts(value: Any) -> Iterable[tuple[Any, bool]]:
    """Return the items or fields of a value, each with True if it is marked as sensitive."""
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
    sensitive = sensitive_fields(kind)
    return [(getattr(value, name), name in sensitive) for name in names]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return value, value.strip(), repr(value)[1:-1]
    if isinstance(value, bytes):
        return value.decode(errors="replace"), repr(value)[2:-1]
    return str(value), repr(value)
