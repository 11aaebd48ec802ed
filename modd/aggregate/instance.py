"""An instance of an aggregate: the subject of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from modd.aggregate.access import ACCESS_EVENTS, Authorized, Ownership, OwnershipTransferred, checked_words
from modd.aggregate.fold import Fold
from modd.core import Message
from modd.errors import InvalidOption

S = TypeVar("S")


class Instance(msgspec.Struct, Generic[S], eq=False):
    """An instance of an aggregate, as the functions of a chain decide about it, or as `Aggregate.get` returns it.

    aggregate: the name of the aggregate.
    id: its identity.
    state: its state, with the published events.
    stored: the number of its events in the store; 0 for an instance that does not exist.
    ownership: its owner, and the commands that are open to others.
    at: the time of the decision, in seconds since 1970: the same for the whole chain.
    fold: the event functions.
    published: the events that this decision has published, in order.
    is_open: False when the command is over, and for an instance that was read.
    """

    aggregate: str
    id: str
    state: S
    stored: int
    ownership: Ownership
    at: float
    fold: Fold[S]
    published: list[Message] = []
    is_open: bool = True

    def __repr__(self) -> str:
        return f"<Instance of {self.aggregate}/{self.id} at revision {self.revision}>"

    @property
    def owner(self) -> str | None:
        """The id of the `Actor` that recorded the first event, or to whom ownership was transferred; None without."""
        return self.ownership.owner

    @property
    def revision(self) -> int:
        """The number of its events, with those that are published and not yet stored."""
        return self.stored + len(self.published)

    def exists(self) -> bool:
        """Return True if events of it are stored."""
        return self.stored > 0

    def publish(self, *events: Message) -> None:
        """Publish events: the state changes at once; they are recorded together when the command is done.

        Raises `UnknownEvent` for an event without a function, `WrongState` if a function returns no state, and
        `InvalidOption` when the command is over, and for an instance that was read.
        """
        if not self.is_open:
            cure = f"{self!r} is read only: its command is over, or it was read; dispatch a command"
            raise InvalidOption("publish", type(next(iter(events), self)), cure)
        for event in events:
            if isinstance(event, ACCESS_EVENTS):
                self.ownership = self.ownership.after(event)
            else:
                self.state = self.fold.apply(self.state, event)
            self.published.append(event)

    def transfer_ownership(self, to: str) -> None:
        """Make the actor with this id the owner; recorded as an event. Raises `InvalidOption` for no text."""
        if not (isinstance(to, str) and to):
            raise InvalidOption("to", to, "give the id of an Actor")
        self.publish(OwnershipTransferred(to))

    def authorize(self, access: Mapping[type[Message], str]) -> None:
        """Say who may give commands to this instance, by type: "public", "authenticated" or "owner".

        It is recorded as an event. Raises `InvalidOption` for other words.
        """
        self.publish(Authorized(checked_words("authorize", access)))

    def close(self) -> None:
        """Refuse further events: the command is over."""
        self.is_open = False
