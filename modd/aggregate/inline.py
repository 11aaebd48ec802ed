"""Parts that write in the commit of the events, so that they are never behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from modd.checks import checked_list, checked_methods
from modd.core import Message
from modd.errors import InvalidOption


class Inline(Protocol):
    """A part that writes with the events of a command, for ``inline=[...]`` of an `Aggregate`.

    Any object with this method is one. Its writes are there when the command is done, and gone if that is rolled back.
    """

    async def apply(self, store: Any, stream: str, events: Sequence[Message]) -> None:
        """Write in the open transaction of a store what follows from events.

        store: the store of the aggregate. stream: the name of the stream of the events.
        """
        ...


def checked_inline(parts: Any) -> tuple[Inline, ...]:
    """Return parts that have the method, each with a name of its own if it has one. Raises `InvalidOption`."""
    cure = "give objects with `async def apply(store, stream, events)`"
    listed = tuple(checked_methods("inline", part, ["apply"], cure) for part in checked_list("inline", parts))
    names: list[object] = []
    for part in listed:
        name = getattr(part, "name", object())
        if name in names:
            raise InvalidOption("inline", part, f"two parts have the name {name!r}; give each a name of its own")
        names.append(name)
    return listed
