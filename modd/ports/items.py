"""What goes into a queue and what comes out of it."""

from __future__ import annotations

import msgspec

from modd.checks import check_headers, checked_delay
from modd.errors import InvalidOption


class Item(msgspec.Struct, frozen=True):
    """Something to put into a queue. Raises `InvalidOption` for what is not of these types, and for a negative delay.

    body: the content, in bytes that the queue does not look into.
    headers: what is known about the content, as texts.
    key: items of one key are claimed one at a time, in the order in which they were put. None: no such order.
    delay: for how many seconds it is not to be claimed.
    id: a name that nothing else in the queue has; None has the queue make one.
    """

    body: bytes
    headers: dict[str, str] = {}
    key: str | None = None
    delay: float = 0.0
    id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.body, bytes):  # named by its type alone: the content is shown to nobody
            raise InvalidOption("body", type(self.body), "give bytes; encode what you put")
        if self.headers or type(self.headers) is not dict:
            check_headers(self.headers)
        for option, text in (("key", self.key), ("id", self.id)):
            if text is not None and not isinstance(text, str):
                raise InvalidOption(option, text, "give a text, or None")
        checked_delay("delay", self.delay)


class Claim(msgspec.Struct, frozen=True):
    """An item that is yours until its lease ends.

    attempt: the how many-th claim of the item this is, from 1. token: tells this claim from the others of its item.
    """

    id: str
    body: bytes
    headers: dict[str, str]
    key: str | None
    attempt: int
    token: str


class DeadLetter(msgspec.Struct, frozen=True):
    """An item that was buried, for people to look at: why, and after how many attempts."""

    id: str
    body: bytes
    headers: dict[str, str]
    reason: str
    attempts: int


class Stats(msgspec.Struct, frozen=True):
    """How many items there are of each kind; each item is of one kind.

    ready: due, and nobody's; those that wait for another of their key are among them.
    delayed: put or retried with a delay that is not over. leased: claimed. dead: buried.
    """

    ready: int
    delayed: int
    leased: int
    dead: int
