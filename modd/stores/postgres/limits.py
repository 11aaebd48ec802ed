"""The limits of PostgreSQL on values: each check names the argument and the limit, before anything is written."""

from __future__ import annotations

from typing import Any

from modd.checks import checked_text
from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.stores.checks import checked_untagged

LONGEST_NAME = 2_000
"""Most bytes of a text by which rows are found: an entry of an index has at most 2 704."""


LARGEST_BODY = 100_000_000
"""Most bytes of a body; a message of the protocol has at most 1 GiB, and bytes in an array are written as digits."""


def checked_name(option: str, value: Any) -> str:
    """Return a text by which rows are found. Raises `InvalidOption`."""
    length = len(checked_text(option, value).encode())
    if length > LONGEST_NAME:
        cure = f"give at most {LONGEST_NAME:,} bytes, which an index of PostgreSQL takes; a hash of it, for example"
        raise InvalidOption(f"len({option})", length, cure)
    return str(value)


def checked_queue_item(value: Any) -> Item:
    """Return an item that a row can have, also for a body alone. Raises `InvalidOption`."""
    if not isinstance(value, (bytes, Item)):  # its type alone: it may be confidential
        raise InvalidOption("body", type(value), "give bytes; encode what you put")
    item = value if isinstance(value, Item) else Item(value)
    if len(item.body) > LARGEST_BODY:
        cure = f"give at most {LARGEST_BODY:,} bytes; store larger content elsewhere, and its address here"
        raise InvalidOption("len(body)", len(item.body), cure)
    for option, name in (("id", item.id), ("key", item.key)):
        if name is not None:
            checked_name(option, name)
    return checked_untagged(item)
