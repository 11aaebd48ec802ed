"""The limits of PostgreSQL on values: each check names the argument and the limit, before anything is written."""

from __future__ import annotations

from typing import Any

from modd.checks import checked_text
from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.stores.checks import checked_body, checked_document_key, checked_event, checked_untagged

LONGEST_NAME = 2_000
"""Most bytes of a text by which rows are found: an entry of an index has at most 2 704."""


LONGEST_SPACE = 600
"""Most bytes of the name of a space, which is in one entry of an index with the key of a document."""


LARGEST_BODY = 100_000_000
"""Most bytes of a body; a message of the protocol has at most 1 GiB, and bytes in an array are written as digits."""


def checked_row_name(option: str, value: Any, longest: int = LONGEST_NAME) -> str:
    """Return a text by which rows are found; longest: its most bytes. Raises `InvalidOption`."""
    length = len(checked_text(option, value).encode())
    if length > longest:
        cure = f"give at most {longest:,} bytes, which an index of PostgreSQL takes; a hash of it, for example"
        raise InvalidOption(f"len({option})", length, cure)
    return str(value)


def checked_queue_item(value: Any) -> Item:
    """Return an item that a row can have, also for a body alone. Raises `InvalidOption`."""
    if not isinstance(value, (bytes, Item)):  # its type alone: it may be confidential
        raise InvalidOption("body", type(value), "give bytes; encode what you put")
    item = value if isinstance(value, Item) else Item(value)
    checked_stored_body("body", item.body)
    for option, name in (("id", item.id), ("key", item.key)):
        if name is not None:
            checked_row_name(option, name)
    return checked_untagged(item)


def checked_stored_event(event: bytes | Item) -> Item:
    """Return an event to append as an item that a row can have. Raises `InvalidOption`."""
    item = checked_event(event)
    checked_stored_body("body", item.body)
    for tag in item.tags:
        checked_row_name("tags", tag)
    return item


def checked_stored_body(option: str, body: Any) -> bytes:
    """Return a body that a row can have. Raises `InvalidOption`."""
    length = len(checked_body(option, body))
    if length > LARGEST_BODY:
        cure = f"give at most {LARGEST_BODY:,} bytes; store larger content elsewhere, and its address here"
        raise InvalidOption(f"len({option})", length, cure)
    return bytes(body)


def checked_stored_key(key: Any) -> str:
    """Return the key of a document that a row can have. Raises `InvalidOption`."""
    return checked_row_name("key", checked_document_key(key))
