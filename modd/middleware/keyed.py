"""Keys that users make of envelopes, told apart by bus (MI-60)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from modd.cqrs.envelope import Envelope
from modd.errors import InvalidOption

Key: TypeAlias = Callable[[Envelope[Any]], str | Awaitable[str]]
"""What makes a key of an envelope; sync or async."""


def checked_key(given: Any) -> None:
    """Raise `InvalidOption` for what cannot be called."""
    if not callable(given):
        raise InvalidOption("key", given, "give a function of the envelope that returns a text")


async def key_of(key: Key, envelope: Envelope[Any]) -> str:
    """The key of an envelope, behind the name of its bus: ``commands:user-1``.

    Two buses never come to the same key, whatever their names are. Raises `InvalidOption` if the key is not a text.
    """
    given = key(envelope)
    if inspect.isawaitable(given):
        given = await given
    if not isinstance(given, str):
        raise InvalidOption("key", type(given), "its function is to return a text")
    return f"{_escaped(envelope.bus.name)}:{given}"


def _escaped(name: str) -> str:
    """A name without the mark that ends it."""
    return name.replace("%", "%25").replace(":", "%3A") if ":" in name or "%" in name else name
