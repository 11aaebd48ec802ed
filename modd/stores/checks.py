"""Checks of arguments that all implementations of a store share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modd.checks import checked_text
from modd.errors import InvalidOption
from modd.ports.items import Item


def checked_event(event: bytes | Item) -> Item:
    """Return an event to append as an item that has a body, headers and tags only.

    Raises `InvalidOption` for a body that is not bytes, and for a key, a delay or an id.
    """
    item = event if isinstance(event, Item) else Item(event)
    if item.key is None and item.id is None and not item.delay:
        return item
    options = ("key", item.key), ("delay", item.delay or None), ("id", item.id)
    option, value = next((option, value) for option, value in options if value is not None)
    raise InvalidOption(option, value, "an event has a body and headers only; put this into the headers")


def checked_snapshot(state: bytes | Item) -> Item:
    """Return the state of a snapshot as an item that has a body and headers only. Raises `InvalidOption`."""
    return checked_untagged(checked_event(state))


def checked_untagged(item: Item) -> Item:
    """Return an item that has no tags, because only events are found by tags. Raises `InvalidOption`."""
    if item.tags:
        raise InvalidOption("tags", item.tags, "only an event of an event store has tags; put this into the headers")
    return item


def checked_outbox_item(value: bytes | Item) -> Item:
    """Return bytes or an item as an item without a delay and tags.

    Raises `InvalidOption` for a body that is not bytes, for a delay, and for tags.
    """
    item = checked_untagged(value if isinstance(value, Item) else Item(value))
    if item.delay:
        raise InvalidOption("delay", item.delay, "an outbox publishes at once; put delayed work into a queue")
    return item


def checked_feed_item(value: bytes | Item) -> Item:
    """Return bytes or an item as an item without a delay and tags.

    Raises `InvalidOption` for a body that is not bytes, for a delay, and for tags.
    """
    item = checked_untagged(value if isinstance(value, Item) else Item(value))
    if item.delay:
        raise InvalidOption("delay", item.delay, "a feed shows each item at once; put delayed work into a queue")
    return item


def check_same_feed(name: str, retention: float, most: int, existing: tuple[float, int]) -> None:
    """Raise `InvalidOption` unless a feed is asked for with the options with which it was created.

    existing: the retention and the most items of the feed that the store has.
    """
    options = ("retention", retention, existing[0]), ("most", most, existing[1])
    for option, value, old in options:
        if value != old:
            raise InvalidOption(
                option, value, f"feed({name!r}) was called with {old!r} before; give the same each time"
            )


def checked_document_key(key: Any) -> str:
    """Return the key of a document: a text that is not empty. Raises `InvalidOption`."""
    cure = "give a text that is not empty"
    if not checked_text("key", key, cure):
        raise InvalidOption("key", key, cure)
    return str(key)


def checked_body(option: str, body: Any) -> bytes:
    """Return a body. Raises `InvalidOption`, with the type alone, because the content may be sensitive."""
    if not isinstance(body, bytes):
        raise InvalidOption(option, type(body), "give bytes; encode the content")
    return body


def checked_bodies(bodies: Any, check: Callable[[str, Any], bytes] = checked_body) -> dict[str, bytes | None]:
    """Return a copy of bodies by key, None for one to remove. Raises `InvalidOption`.

    check: returns a body that a store can have.
    """
    if not isinstance(bodies, Mapping):
        raise InvalidOption("bodies", type(bodies), "give a dict of a body, or None, for each key")
    for body in bodies.values():
        if body is not None:
            check("bodies", body)
    return {checked_document_key(key): body for key, body in bodies.items()}


def checked_revision(option: str, revision: Any) -> int:
    """Return a revision or a position: a whole number, 0 or more. Raises `InvalidOption`."""
    if not isinstance(revision, int) or isinstance(revision, bool) or revision < 0:
        raise InvalidOption(option, revision, "give a whole number, 0 or more; 0 stands before the first")
    return revision


def checked_item_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return ids that can be looked up. Raises `InvalidOption`."""
    for id in ids:
        checked_text("id", id)
    return ids
