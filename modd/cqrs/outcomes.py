"""The outcomes of queued messages, as items of a feed."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import GiveUp, RetryLater
from modd.cqrs.ids import item_id, unescape
from modd.cqrs.wire import BUS_HEADER
from modd.ports.items import Claim, Item

ABOUT_HEADER = "modd-about"
"""The header of an outcome in a feed: the id of the envelope that it is about."""


class MessageOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a queued message; the body of its item is these fields as JSON.

    outcome: "done", "rejected" or "failed".
    result: the result of the handler; None, the default, also for one that JSON does not have.
    reason: the reason of a rejection or a failure; empty by default.
    handler: the name of the handler of an event; empty, the default, for a command.
    errors: the names of the type of the error and its bases, the closest first; none by default.
    text: the text of an error of the application that failed, without sensitive content; empty by default.
    """

    outcome: Literal["done", "rejected", "failed"]
    result: Any = None
    reason: str = ""
    handler: str = ""
    errors: tuple[str, ...] = ()
    text: str = ""

    def as_item(self, about: str) -> Item:
        """Return an item for a feed; about: the id of the envelope."""
        try:
            body = msgspec.json.encode(self)
        except Exception:  # a result may be anything, and its hooks may raise anything
            body = msgspec.json.encode(msgspec.structs.replace(self, result=None))
        return Item(body, {ABOUT_HEADER: about})


def error_names(kind: type[BaseException]) -> tuple[str, ...]:
    """Return the names of a type of error and of its bases, the closest first, by which other processes know it."""
    return tuple(f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__ if issubclass(each, Exception))


def is_for_clients(error: BaseException) -> bool:
    """True if the text of an error is of the application: modd's have names of classes, and the system's have paths."""
    is_of_modd = type(error).__module__.startswith("modd.") and not isinstance(error, (GiveUp, RetryLater))
    return not (is_of_modd or isinstance(error, OSError))


def read_outcome(body: bytes) -> MessageOutcome | None:
    """Return the outcome in the body of an item; None if it is none."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


_decoder = msgspec.json.Decoder(MessageOutcome)


def envelope_id(claim: Claim, envelope: Envelope[Any] | None) -> str:
    """Return the id of the envelope in a claim; envelope: None if it cannot be decoded, so that its item tells."""
    if envelope is not None:
        return envelope.id
    own, prefix = claim.id.partition("/")[0], item_id(claim.headers.get(BUS_HEADER, ""), "")
    return unescape(own.removeprefix(prefix))
