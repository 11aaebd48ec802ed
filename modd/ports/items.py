"""The values of queues and outboxes: items, claims, dead letters and counts."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import msgspec

from modd.checks import check_headers, checked_delay, checked_text
from modd.errors import InvalidOption

HANDLER = "modd-handler"
"""The header of an item that is for one handler of an event: the name of that handler."""


Suspects: TypeAlias = Literal["last", "first", "none"]
"""The place of suspects in a claim: one if there is nothing else, one before all else, or none."""


SUSPECTS = get_args(Suspects)


Unique: TypeAlias = Literal["until-done", "until-started"]
"""The time for which an item keeps a second one with its id out of a queue; see `Item`."""


def checked_unique(value: Unique) -> Unique:
    """Return the word for the time of uniqueness. Raises `InvalidOption`."""
    if value not in ("until-done", "until-started"):
        raise InvalidOption("unique", value, 'give "until-done" or "until-started"')
    return value


def checked_tags(option: str, tags: Any) -> tuple[str, ...]:
    """Return a tuple of tags: texts that are not empty. Raises `InvalidOption`."""
    cure = "give a tuple of texts that are not empty"
    if not isinstance(tags, tuple):
        raise InvalidOption(option, tags, cure)
    for tag in tags:
        if not checked_text(option, tag, cure):
            raise InvalidOption(option, tags, cure)
    return tags


class Item(msgspec.Struct, frozen=True):
    """An item to put into a queue or an outbox, or an event to append.

    body: the content, in bytes that the queue does not interpret.
    headers: texts about the content, such as its type; none by default.
    key: items with the same key are claimed one at a time, in the order in which they were put. None, the default: no
        such order.
    delay: seconds until the item may be claimed, 0 by default.
    id: a text; None, the default, lets the queue choose one that no item had before.
    unique: decides if the queue drops the item because it has one with this id. "until-done", the default: it drops the
        item until the other one is acknowledged or removed. "until-started": it drops the item only if the other one
        was never claimed, released claims aside.
    tags: texts by which `Tagged` finds an event, such as ``"course:7"``; none by default, and for events only.

    Raises:
        InvalidOption: a value has a wrong type, a text has half characters, a tag is empty, ``delay`` is negative, or
            ``unique`` is a different word.
    """

    body: bytes
    headers: dict[str, str] = {}
    key: str | None = None
    delay: float = 0.0
    id: str | None = None
    unique: Unique = "until-done"
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.body, bytes):  # the error names the type only, because the content may be sensitive
            raise InvalidOption("body", type(self.body), "give bytes; encode the content")
        if self.headers or type(self.headers) is not dict:
            check_headers(self.headers)
        if self.key is not None:
            checked_text("key", self.key, "give a text, or None")
        if self.id is not None:
            checked_text("id", self.id, "give a text, or None")
        if self.delay or type(self.delay) is not float:
            checked_delay("delay", self.delay)
        if self.unique != "until-done":
            checked_unique(self.unique)
        if self.tags != ():
            checked_tags("tags", self.tags)


class PutResult(msgspec.Struct, frozen=True, gc=False):
    """The outcome of putting an item.

    id: the id of the item in the queue.
    duplicate: True if the item was dropped, because the queue has one with its id; False if it was added; None in a
        transaction that defers its writes, where the commit decides.
    """

    id: str
    duplicate: bool | None


class Claim(msgspec.Struct, frozen=True):
    """A lease on an item: the item is yours until the lease ends.

    An item is a suspect if it was claimed before and that claim was never settled: it may have ended its process.

    id: the id of the item in the queue or outbox.
    body: the content, in bytes as they were put.
    headers: texts about the content, such as its type; may be empty.
    key: the key of the item; None if it has no order with other items.
    attempt: the number of the claim, from 1. Two kinds of claims do not count: those that were released, and the first
        that was never settled, because another item may have ended the process.
    token: identifies this claim among all claims of the item.
    suspect: True if the item is a suspect, so that you should work on nothing else in the same process.
    """

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    attempt: int
    token: str
    suspect: bool = False


class DeadLetter(msgspec.Struct, frozen=True):
    """An item that was given up and waits for an operator, who puts it back (`redrive`) or removes it (`discard`).

    id: the id of the item in the queue.
    body: the content, in bytes as they were put.
    headers: texts about the content, such as its type; may be empty.
    reason: the text with which the item was buried.
    attempts: the number of claims of the item that counted.
    """

    id: str
    body: bytes
    headers: dict[str, str]
    reason: str
    attempts: int


class Stats(msgspec.Struct, frozen=True):
    """The number of items of a queue in each state; each item is in one state, and suspects are ready.

    ready: due and not leased, items that wait for their key included.
    delayed: put or retried with a delay that is not over.
    leased: claimed.
    dead: buried.
    left: left to workers that know them, which have not claimed them yet; 0 by default.
    suspects: those of the ready items whose last claim was never settled.
    """

    ready: int
    delayed: int
    leased: int
    dead: int
    left: int = 0
    suspects: int = 0


class Subscription(msgspec.Struct, frozen=True):
    """A handler that workers of a queue have announced.

    bus: the name of its typed bus.
    type: the name of the message type on the wire.
    handler: the name of the handler; empty for a former name of a type, which a worker can decode.
    seen: the time of the last announcement, in seconds since 1970; 0, the default, in an announcement.
    """

    bus: str
    type: str
    handler: str
    seen: float = 0.0
