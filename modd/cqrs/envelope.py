"""The envelope: an intent on its way, and what has been noted on it (MI-8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import time
from typing import Any, Generic, TypeVar

from modd.core import Message, Origin
from modd.cqrs.errors import WrongBus
from modd.cqrs.ids import Ids
from modd.cqrs.intents import Query
from modd.cqrs.stamps import Emitted, Handled, Identity, Received, Reprocessed, Stamp
from modd.errors import InvalidOption, NotAMessage

S = TypeVar("S", bound=Stamp)


class Stamped(Origin):
    """Something with stamps, in the order in which they were added."""

    __slots__ = ("_at", "_done", "_noted")

    _noted: list[Stamp]
    _done: tuple[Any, str, float] | None
    """The last stamp, as long as nobody has read it: result, handler and time of a `Handled`."""
    _at: float | None

    @property
    def _stamps(self) -> list[Stamp]:
        if self._done is not None:
            result, handler, at = self._done
            self._at = at if self._at is None else self._at
            self._done = None
            self._noted.append(Handled(result, handler, at=at))
        return self._noted

    @property
    def noted(self) -> Sequence[Stamp]:
        """All stamps but the last if that is a `Handled` that nobody has read: it is not made for this."""
        return self._noted

    def add(self, stamp: Stamp) -> None:
        """Note something."""
        self._stamps.extend(checked_stamps((stamp,)))

    def first(self, kind: type[S]) -> S | None:
        """The first stamp of a type, or None."""
        return next(self._of(kind), None)

    def last(self, kind: type[S]) -> S | None:
        """The last stamp of a type, or None."""
        return self.all(kind)[-1] if self.has(kind) else None

    def all(self, kind: type[S]) -> tuple[S, ...]:
        """The stamps of a type, in the order in which they were added."""
        return tuple(self._of(kind))

    def has(self, kind: type[Stamp]) -> bool:
        """Whether there is a stamp of a type."""
        return next(self._of(kind), None) is not None

    def forget_events(self, before: int) -> None:
        """Drop what was emitted since there were so many stamps: what emitted it has failed after all."""
        self._noted[before:] = [stamp for stamp in self._noted[before:] if not isinstance(stamp, Emitted)]

    def _of(self, kind: type[S]) -> Iterator[S]:
        return (stamp for stamp in self._stamps if isinstance(stamp, kind))


def checked_stamps(stamps: tuple[Any, ...]) -> tuple[Stamp, ...]:
    """Stamps, and nothing else; raises `InvalidOption`."""
    for stamp in stamps:
        if not isinstance(stamp, Stamp):
            raise InvalidOption("stamp", stamp, "give instances of types derived from modd.cqrs.Stamp")
    return stamps


M = TypeVar("M", bound=Message)


M_co = TypeVar("M_co", bound=Message, covariant=True)


Name = tuple[Ids, int, float] | str
"""An id: ready to be read, or what it will be made of."""


class Envelope(Stamped, Generic[M_co]):
    """An intent on its way through a typed bus, with what is noted on it.

    Middleware and handlers add stamps and look for those of others. Make one to give an intent an id of its own, or
    stamps that are there from the start: ``Envelope(CreateUser("Ada"), Actor("root"), id="import-7")``.

    message: the intent. stamps: what is noted already. id: by default one is made when it is needed.
    """

    __slots__ = ("_causation", "_correlation", "_id", "_ran", "_sent", "bus", "message")

    message: M_co
    """The intent."""
    bus: Any
    """The typed bus that it is in; None outside."""

    def __init__(self, message: M_co, *stamps: Stamp, id: str | None = None) -> None:
        if not isinstance(message, Message):
            raise NotAMessage(message, "the maker of an envelope")
        self.message = message
        self._done = None
        self._noted = [stamp for stamp in checked_stamps(stamps) if not isinstance(stamp, Identity)]
        if id is not None and not (isinstance(id, str) and id):
            raise InvalidOption("id", id, "give a text that is not empty")
        self._at: float | None = time()
        self._id: int | str | None = id
        """A number as long as nobody has read it, and None until the bus gives one."""
        self._correlation: Name | None = None
        self._causation: Name | None = None
        self._ran = self._sent = False
        self.bus = None
        self.open, self.outer = False, None

    def __repr__(self) -> str:
        stamps = ", ".join(type(stamp).__name__ for stamp in self._stamps)
        return f"<Envelope of {self.message!r}: {stamps or 'no stamps'}>"

    @property
    def by(self) -> Envelope[M_co]:  # a slot would make every envelope refer to itself
        """What is noted beside the messages that are caused here: the envelope."""
        return self

    @property
    def at(self) -> float:
        """When its id was made, in seconds since 1970: when that was first read, at the latest when it was handled."""
        if self._at is None:
            self._at = self._now() if self._done is None else self._done[2]
        return self._at

    @property
    def id(self) -> str:
        """The id of this dispatch; a redispatch keeps it (MI-9)."""
        if not isinstance(self._id, str):
            self._id = _read(self.name)
        return self._id

    @property
    def correlation_id(self) -> str:
        """The id of the first envelope of the line: the same for all that one dispatch from outside has caused."""
        if self._correlation is None:  # not kept: it may yet get a cause
            return self.id
        self._correlation = _read(self._correlation)
        return self._correlation

    @property
    def causation_id(self) -> str | None:
        """The id of the envelope that caused this one; None for one from outside."""
        if self._causation is not None:
            self._causation = _read(self._causation)
        return self._causation

    @property
    def ran(self) -> bool:
        """Whether handlers have run in this dispatch, and nothing stood in for them."""
        return self._ran

    @property
    def sent(self) -> bool:
        """Whether it was handled before, so that it is dispatched anew."""
        return self.bus is not None or self._sent

    @property
    def identity(self) -> Identity:
        """The ids as a stamp; it is the first of all stamps."""
        return Identity(self.id, self.correlation_id, self.causation_id, at=self.at)

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """All stamps, in the order in which they were added."""
        return (self.identity, *self._stamps)

    def emit(self, *events: Message) -> None:
        """Have events released when all has gone well; they are dropped when it fails after all (MI-15).

        Raises `NotAMessage`, and `WrongBus` for a query: it changes nothing, so nothing has happened.
        """
        for event in events:
            if not isinstance(event, Message):
                raise NotAMessage(event, type(self.message).__qualname__)
        if isinstance(self.message, Query):
            raise WrongBus(f"an event of {type(self.message).__qualname__}", "a query", "emit events from a command")
        self._stamps.extend([Emitted(event, at=self._now()) for event in events])

    def reset(self, stamps: Iterable[Stamp], *, ran: bool = False) -> None:
        """Go back to the stamps that were there before, and to whether handlers had `ran`, to try anew (MI-40)."""
        self._done = None
        self._noted = [stamp for stamp in stamps if not isinstance(stamp, Identity)]
        self._ran = ran

    def again(self, *stamps: Stamp, at: float | None = None) -> Envelope[M_co]:
        """The same intent under the same id, to be dispatched anew; what it carried is kept aside (MI-10)."""
        at = self._now() if at is None else at
        kept = _last_of_each(stamp for stamp in self._stamps if stamp.inherited or isinstance(stamp, Received))
        envelope = Envelope(self.message, *kept, Reprocessed(tuple(self._history()), at=at), *stamps, id=self.id)
        envelope._at = at
        envelope._correlation, envelope._causation = self.line, self._causation
        return envelope

    @staticmethod
    def restored(message: M, identity: Identity, stamps: Iterable[Stamp]) -> Envelope[M]:
        """An envelope as it was before it was encoded."""
        if not identity.id:
            raise InvalidOption("id", identity.id, "give a text that is not empty")
        envelope: Envelope[M] = Envelope.__new__(Envelope)  # the rest that __init__ checks is as a codec makes it
        envelope.message, envelope.bus = message, None
        envelope._done, envelope._noted = None, [stamp for stamp in stamps if not isinstance(stamp, Identity)]
        envelope._id, envelope._at = identity.id, identity.at
        envelope._correlation, envelope._causation = identity.correlation_id, identity.causation_id
        envelope._ran, envelope._sent = False, envelope.has(Handled)
        envelope.open, envelope.outer = False, None
        return envelope

    @property
    def name(self) -> Name:
        """The id, read or not, for those that this one causes."""
        if self._id is None and self.bus is None:
            self._id = Ids().text(0, self.at)
        if isinstance(self._id, str):
            return self._id
        source: Ids = self.bus.ids  # pyright: ignore[reportOptionalMemberAccess]  # it has a bus, or a text
        if self._id is None:
            self._id = source.next()
        return source, self._id, self.at

    @property
    def line(self) -> Name:
        """The correlation id, read or not, for those that this one causes."""
        return self.name if self._correlation is None else self._correlation

    def caused_by(self, cause: Envelope[Any]) -> None:
        """Note what caused it, and take over what is passed on."""
        self._correlation, self._causation = cause.line, cause.name
        given = {type(stamp) for stamp in self._stamps}
        passed = _last_of_each(stamp for stamp in cause._stamps if stamp.inherited)
        self._stamps[:0] = [stamp for stamp in passed if type(stamp) not in given]

    def _history(self) -> Iterator[Stamp]:
        """All stamps, and in their places those that were kept aside before: flat, however often it is dispatched."""
        for stamp in self._stamps:
            yield from stamp.stamps if isinstance(stamp, Reprocessed) else (stamp,)

    def _now(self) -> float:
        return time() if self.bus is None else float(self.bus.clock())

    def _of(self, kind: type[Any]) -> Iterator[Any]:
        return super()._of(kind) if kind is not Identity else iter((self.identity,))


def _last_of_each(stamps: Iterable[Stamp]) -> list[Stamp]:
    """The last stamp of each type, in the order in which these were added."""
    last: dict[type, Stamp] = {}
    for stamp in stamps:
        last.pop(type(stamp), None)
        last[type(stamp)] = stamp
    return [*last.values()]


def _read(name: Name) -> str:
    return name if isinstance(name, str) else name[0].text(*name[1:])
