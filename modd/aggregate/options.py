"""Options that aggregates, flows and projections share: a name, and a field that is read by name or function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from modd.checks import checked_callable
from modd.errors import InvalidOption

NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Names under which a store keeps things: they begin the names of streams and of spaces."""


def checked_stored_name(name: Any) -> str:
    """Return a name of letters, digits, ``-`` and ``_``. Raises `InvalidOption`."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidOption("name", name, "give a name of letters, digits, - and _")
    return name


def field_reader(option: str, value: Any, kinds: Iterable[type], noun: str, owners: str) -> Callable[[Any], Any]:
    """Return a function that reads a field of a message. Raises `InvalidOption`.

    option, value: the option, which is the name of a field, or such a function. kinds: the types that need the field.
    noun: "command" or "event". owners: the words for these types, such as "each command".
    """
    if not isinstance(value, str):
        function: Callable[[Any], Any] = checked_callable(
            option, value, f"give the name of a field, or a function of the {noun}"
        )
        return function
    for kind in kinds:
        if value not in getattr(kind, "__struct_fields__", ()):
            cure = f"{kind.__qualname__} has no such field; name one that {owners} has, or give a function"
            raise InvalidOption(option, value, cure)
    return attrgetter(value)
