"""The types that typed buses handle, with all that are derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modd.cqrs.codec import Codec
from modd.message import Message, wire_name


def codec_of(buses: Sequence[Any]) -> Codec:
    """A codec of all that these typed buses handle, and of the stamps that their middleware add.

    Raises `DuplicateName` when two of them handle different types of one name.
    """
    types = [kind for bus in buses for kind in bus.types]
    middleware = [each for bus in buses for each in bus.middleware]
    return Codec((*types, *with_derived(types)), [kind for each in middleware for kind in getattr(each, "stamps", ())])


def with_derived(types: Iterable[type[Message]]) -> list[type[Message]]:
    """The types and those derived from them, which have the same handlers; of one wire name the first."""
    named: dict[str, type[Message]] = {}
    ways = [*types]
    while ways:
        kind = ways.pop(0)
        named.setdefault(wire_name(kind), kind)
        ways += kind.__subclasses__()
    return [*named.values()]
