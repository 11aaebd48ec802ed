"""The envelope: an intent on its way through a typed bus, with its stamps and its ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import time
from typing import Any, Generic, TypeVar

from typing_extensions import TypeVar as TypeVarWithDefault

from modd.checks import checked_text
from modd.core import Message, Origin, Question
from modd.cqrs.errors import DispatchEnded, WrongBus
from modd.cqrs.ids import Ids, LazyId, read_id
from modd.cqrs.intents import Query
from modd.cqrs.stamps import (
    Emitted,
    Handled,
    Identity,
    Received,
    Recorded,
    Redispatched,
    Stamp,
    checked_stamps,
    last_of_each,
    without_identity,
)
from modd.errors import InvalidOption, NotAMessage

S = TypeVar("S", bound=Stamp)


M = TypeVar("M", bound=Message)


M_co = TypeVarWithDefault("M_co", bound=Message, covariant=True, default=Message)


class Envelope(Origin, Generic[M_co]):
    """An intent on its way through a typed bus, with its stamps.

    Middleware and handlers add stamps, and read them. Make an envelope yourself to give an intent an id
    of your choice, or stamps from the start: ``Envelope(CreateUser("Ada"), Actor("root"), id="import-7")``. In an
    annotation ``Envelope[CreateUser]`` names the type of the intent, and ``Envelope`` alone stands for any.

    message: the intent.
    stamps: the stamps from the start; by default none.
    id: a text that is not empty; by default an id is made when it is read.

    Raises:
        NotAMessage: ``message`` is no message.
        InvalidOption: a stamp is no `Stamp`, or ``id`` is no text or empty.
    """

    __slots__ = (
        "_at",
        "_causation",
        "_correlation",
        "_id",
        "_inherited",
        "_sent",
        "bus",
        "handled",
        "has_own_id",
        "message",
        "noted",
        "ran",
        "recorded",
    )

    message: M_co
    """The intent."""
    bus: Any
    """The typed bus that the envelope is in; None outside."""
    noted: list[Stamp]
    """The stamps in the order in which they were added, without the identity, `recorded` and `handled`."""
    recorded: tuple[Message, ...]
    """The newest events that an aggregate has recorded, until their stamps are made, which happens when they are read.

    They are of the same handler as `handled`, and come before it."""
    handled: tuple[Any, str, float] | None
    """Result, handler and time of the newest `Handled` until its stamp is made, which happens when it is read."""
    has_own_id: bool
    """True if the id came with the envelope: it was given, decoded, or dispatched before."""
    ran: bool
    """True if handlers have run in this dispatch, and nothing stood in for them."""

    def __init__(self, message: M_co, *stamps: Stamp, id: str | None = None) -> None:
        if not isinstance(message, Message):
            raise NotAMessage(message, "the maker of an envelope")
        if id is not None:
            _check_id(id)
        self.start(message, without_identity(checked_stamps(stamps)), id, time())
        self.has_own_id = id is not None

    def start(
        self,
        message: Any,
        noted: list[Stamp],
        id: str | None,
        at: float | None = None,
        correlation: LazyId | None = None,
        causation: LazyId | None = None,
    ) -> None:
        """Set every field, unchecked: every way to make an envelope ends here. at: by default read later."""
        self.message = message
        self.noted = noted
        self.recorded = ()
        self.handled = self.bus = self.outer = None
        self._inherited: tuple[int, list[Stamp]] | None = None  # among so many stamps
        self._id: int | str | None = id  # a number once the bus has given one, a text once it was read
        self._at = at
        self._correlation, self._causation = correlation, causation
        self.ran = self._sent = self.open = self.has_own_id = False

    @staticmethod
    def restore(message: M, identity: Identity, stamps: Sequence[Stamp]) -> Envelope[M]:
        """Return an envelope as it was before it was encoded. Raises `InvalidOption` for an empty id."""
        _check_id(identity.id)
        envelope: Envelope[M] = _blank(Envelope)
        noted = without_identity(stamps) if stamps else []  # most have none, and looking costs as much as a decoder
        envelope.start(message, noted, identity.id, identity.at, identity.correlation_id, identity.causation_id)
        envelope.has_own_id = True
        envelope._sent = bool(noted) and envelope.has(Handled)
        return envelope

    def __repr__(self) -> str:
        stamps = ", ".join(type(stamp).__name__ for stamp in self.flush())
        return f"<Envelope of {self.message!r}: {stamps or 'no stamps'}>"

    @property
    def by(self) -> Envelope[M_co]:  # a slot would make every envelope refer to itself
        """The cause of the messages that are sent or emitted while it is handled: the envelope."""
        return self

    @property
    def at(self) -> float:
        """The time of the id, in seconds since 1970: its first reading, or the end of the handling if earlier."""
        at = self._at
        if at is None:
            at = self._at = self._now() if self.handled is None else self.handled[2]
        return at

    @property
    def id(self) -> str:
        """The id of this dispatch; a redispatch has the same."""
        id = self._id
        if not isinstance(id, str):
            ids = _ids if self.bus is None else self.bus.ids
            id = self._id = ids.text(ids.next() if id is None else id, self.at)
        return id

    @property
    def is_asked(self) -> bool:
        """True if its sender waits for the result."""
        question = self.outer
        return isinstance(question, Question) and question.expects and question.is_for(self.bus, self.message)

    @property
    def correlation_id(self) -> str:
        """The id of the first envelope in the line: the same for everything that a dispatch from outside causes."""
        if self._correlation is None:  # not stored: the envelope may yet get a cause
            return self.id
        self._correlation = read_id(self._correlation)
        return self._correlation

    @property
    def causation_id(self) -> str | None:
        """The id of the envelope that caused this one; None for a dispatch from outside."""
        if self._causation is not None:
            self._causation = read_id(self._causation)
        return self._causation

    @property
    def sent(self) -> bool:
        """True if it was dispatched before, so that the next dispatch is a redispatch."""
        return self.bus is not None or self._sent

    @property
    def is_plain(self) -> bool:
        """True if it has no stamp that decides about it: none at all or, as most messages of queues, `Received`."""
        noted = self.noted
        return not noted or (len(noted) == 1 and type(noted[0]) is Received)

    @property
    def identity(self) -> Identity:
        """The ids as a stamp; it is the first of all stamps."""
        return Identity(self.id, self.correlation_id, self.causation_id, at=self.at)

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """All stamps, in the order in which they were added."""
        return (self.identity, *self.flush())

    def add(self, stamp: Stamp) -> None:
        """Add a stamp. Raises `InvalidOption` for anything else."""
        self.flush().extend(checked_stamps((stamp,)))

    def first(self, kind: type[S]) -> S | None:
        """Return the first stamp of a type, or None."""
        return next(iter(self._of(kind)), None)

    def last(self, kind: type[S]) -> S | None:
        """Return the last stamp of a type, or None."""
        return self.all(kind)[-1] if self.has(kind) else None

    def all(self, kind: type[S]) -> tuple[S, ...]:
        """Return the stamps of a type, in the order in which they were added."""
        return tuple(self._of(kind))

    def has(self, kind: type[Stamp]) -> bool:
        """Return True if there is a stamp of this type."""
        return bool(self._of(kind))

    def flush(self) -> list[Stamp]:
        """Make the stamps of the newest result and its events if they are not made yet; return all but the identity."""
        if self.recorded:
            at = self._now() if self.handled is None else self.handled[2]
            self.noted.extend([Recorded(event, at=at) for event in self.recorded])
            self.recorded = ()
        if self.handled is not None:
            result, handler, at = self.handled
            self._at = at if self._at is None else self._at
            self.handled = None
            self.noted.append(Handled(result, handler, at=at))
        return self.noted

    def note_result(self, result: Any, handler: str, at: float) -> None:
        """Note the result of a handler, or of a middleware in its place, as `Handled`; the time is in seconds."""
        if self.handled is not None:
            self.flush()
        self.handled = result, handler, at

    def emit(self, *events: Message) -> None:
        """Emit events: they are released when the dispatch has succeeded, and dropped when it fails.

        Raises `NotAMessage`, `DispatchEnded` when the dispatch is over, and `WrongBus` for a query: it changes nothing,
        so nothing has happened.
        """
        if not self.open and self.bus is not None:
            raise DispatchEnded("emit", type(self.message), self.bus.name)
        for event in events:
            if not isinstance(event, Message):
                raise NotAMessage(event, type(self.message).__qualname__)
        if isinstance(self.message, Query):
            raise WrongBus(f"an event of {type(self.message).__qualname__}", "a query", "emit events from a command")
        self.flush().extend([Emitted(event, at=self._now()) for event in events])

    def record(self, events: Iterable[Message]) -> None:
        """Note events that an aggregate has recorded: they are released as those that are emitted."""
        if self.recorded or self.handled is not None:
            self.flush()
        self.recorded = tuple(events)

    def drop_events(self, start: int) -> None:
        """Drop the events among the stamps from this position on: their handler has failed after all."""
        self.noted[start:] = [stamp for stamp in self.noted[start:] if not isinstance(stamp, Emitted)]
        self.recorded, self._inherited = (), None

    def reset(self, stamps: Iterable[Stamp], *, ran: bool = False) -> None:
        """Go back to earlier stamps, and to the earlier value of `ran`, before a further attempt."""
        self.handled = self._inherited = None
        self.noted, self.recorded = without_identity(stamps), ()
        self.ran = ran

    def again(self, *stamps: Stamp, at: float | None = None) -> Envelope[M_co]:
        """Return an envelope of the same intent and id for a redispatch; its earlier stamps are in `Redispatched`.

        stamps: further stamps for it. at: seconds since 1970; by default now.
        """
        at = self._now() if at is None else at
        passed = last_of_each(stamp for stamp in self.flush() if stamp.inherited or isinstance(stamp, Received))
        noted = [*passed, Redispatched(tuple(self._history()), at=at), *checked_stamps(stamps)]
        envelope: Envelope[M_co] = _blank(Envelope)
        envelope.start(self.message, without_identity(noted), self.id, at, self.lazy_correlation_id, self._causation)
        envelope.has_own_id = True
        return envelope

    @property
    def lazy_id(self) -> LazyId:
        """The id, without making its text."""
        if self.bus is None or isinstance(self._id, str):
            return self.id
        source: Ids = self.bus.ids
        if self._id is None:
            self._id = source.next()
        return source, self._id, self.at

    @property
    def lazy_correlation_id(self) -> LazyId:
        """The correlation id, without making its text."""
        return self.lazy_id if self._correlation is None else self._correlation

    def set_id(self, new_id: Callable[[], str]) -> None:
        """Give it an id of this function, unless it has one already."""
        if self._id is None:
            self._id = new_id()

    def set_cause(self, cause: Envelope[Any]) -> None:
        """Take the correlation and the inherited stamps of its cause, unless it has one already."""
        if self._correlation is not None:
            return
        self._correlation, self._causation = cause.lazy_correlation_id, cause.lazy_id
        inherited = cause.inherited()
        if inherited:
            own = {type(stamp) for stamp in self.flush()}
            self.noted[:0] = [stamp for stamp in inherited if type(stamp) not in own]
            self._inherited = None

    def inherited(self) -> list[Stamp]:
        """Return the stamps for every envelope that this one causes: the last one of each inherited type."""
        noted = self.flush()
        count, found = self._inherited or (0, [])
        if count < len(noted):  # each stamp is looked at once, however many messages the envelope causes
            found = last_of_each([*found, *(stamp for stamp in noted[count:] if stamp.inherited)])
            self._inherited = len(noted), found
        return found

    def _history(self) -> Iterator[Stamp]:
        """The stamps, with those of earlier dispatches in their places: flat, however often it is dispatched."""
        for stamp in self.flush():
            yield from stamp.stamps if isinstance(stamp, Redispatched) else (stamp,)

    def _now(self) -> float:
        return time() if self.bus is None else float(self.bus.clock())

    def _of(self, kind: type[Any]) -> list[Any]:
        stamps = [self.identity] if kind is Identity else self.flush()
        return [stamp for stamp in stamps if isinstance(stamp, kind)]


_blank: Any = Envelope.__new__


_ids = Ids()
"""The source of the ids of envelopes that are in no bus."""


def _check_id(id: Any) -> None:
    if not checked_text("id", id, "give a text that is not empty"):
        raise InvalidOption("id", id, "give a text that is not empty")
