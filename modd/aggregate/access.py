"""Access to the instances of an aggregate: the owner, the words for commands, and the events that change both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modd.checks import checked_choice
from modd.core import Message, Value, wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Forbidden
from modd.cqrs.intents import Event
from modd.cqrs.stamps import Actor
from modd.errors import InvalidOption

WORDS = ("public", "authenticated", "owner")
"""The words for those who may give a command: everybody, everybody with an `Actor`, and the owner alone."""


class OwnershipTransferred(Event, tag="modd.OwnershipTransferred"):
    """An instance has another owner.

    to: the id of the `Actor`.
    """

    to: str


class Authorized(Event, tag="modd.Authorized"):
    """Commands for an instance are open to others than before.

    access: "public", "authenticated" or "owner", by the name of the command's type on the wire.
    """

    access: dict[str, str]


ACCESS_EVENTS: tuple[type[Event], ...] = (OwnershipTransferred, Authorized)
"""The events about access, which every aggregate knows."""


class Ownership(Value, frozen=True):
    """The owner of an instance, and the words that differ from those of its aggregate.

    owner: the id of the `Actor` that owns it; None by default.
    access: words by the name of the command's type on the wire; none by default.
    """

    owner: str | None = None
    access: dict[str, str] = msgspec.field(default_factory=dict)

    def after(self, event: Any) -> Ownership:
        """Return the ownership after an event about access."""
        if isinstance(event, OwnershipTransferred):
            return msgspec.structs.replace(self, owner=event.to)
        return msgspec.structs.replace(self, access=self.access | event.access)


class AccessRules:
    """The words for the commands of an aggregate: "owner" for those that are not named.

    aggregate: the name of the aggregate. words: by type of command.
    """

    def __init__(self, aggregate: str, words: Mapping[type[Message], str]) -> None:
        self._aggregate, self._words = aggregate, checked_words("access", words)

    def check(self, envelope: Envelope[Any], ownership: Ownership, id: str) -> None:
        """Raise `Forbidden` unless the actor of an envelope may give its command to an instance.

        An instance without an owner, such as one that does not exist, is open to all actors.
        """
        name = wire_name(type(envelope.message))
        word = ownership.access.get(name) or self._words.get(name) or "owner"
        actor = envelope.last(Actor)
        if word == "public" or (actor is not None and (word == "authenticated" or ownership.owner in (None, actor.id))):
            return
        who = "everybody with an Actor stamp" if word == "authenticated" else "its owner alone"
        reason = f"{name} of {self._aggregate}/{id} is for {who}"
        raise Forbidden(type(envelope.message), None if actor is None else actor.id, reason)


def checked_words(option: str, words: Any) -> dict[str, str]:
    """Return words by the names of the types on the wire. Raises `InvalidOption`."""
    if not isinstance(words, Mapping):
        raise InvalidOption(option, words, 'give words by type of command, such as {Pay: "public"}')
    for kind, word in words.items():
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise InvalidOption(option, kind, 'give words by type of command, such as {Pay: "public"}')
        checked_choice(f"{option} of {kind.__qualname__}", word, WORDS)
    return {wire_name(kind): word for kind, word in words.items()}
