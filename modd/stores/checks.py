"""What the makes of the ports check alike of what is given to them."""

from __future__ import annotations

from typing import Any

from modd.errors import InvalidOption
from modd.ports.items import Item


def checked_event(given: bytes | Item) -> Item:
    """Something to record, as an item of a body and headers.

    Raises `InvalidOption` for a body that is not bytes, and for a key, a delay or an id.
    """
    item = given if isinstance(given, Item) else Item(given)
    for option, value in (("key", item.key), ("delay", item.delay or None), ("id", item.id)):
        if value is not None:
            raise InvalidOption(option, value, "an event has a body and headers, and nothing else; put it in there")
    return item


def checked_at_once(given: bytes | Item) -> Item:
    """Something to pass on, as an item. Raises `InvalidOption` for a body that is not bytes, and for a delay."""
    item = given if isinstance(given, Item) else Item(given)
    if item.delay:
        raise InvalidOption("delay", item.delay, "an outbox passes on at once; put what is to wait into a queue")
    return item


def checked_revision(option: str, given: Any) -> int:
    """A revision or a position: a whole number, 0 or more. Raises `InvalidOption`."""
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise InvalidOption(option, given, "give a whole number, 0 or more; 0 stands before the first event")
    return given
