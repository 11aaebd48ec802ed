"""Answerers: the parts that have results for intents, their outcome, and the search for them in a bus."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol, TypeVar

from modd.concurrency.lifespan import Lifespan
from modd.core.causation import Caused, Origin
from modd.core.component import Part, check_message, name_of
from modd.core.identity import unique
from modd.core.message import Message
from modd.core.naming import placed_name
from modd.core.routing import takes_by_name
from modd.errors import NoHandler

R_co = TypeVar("R_co", covariant=True)


class Answer(Protocol[R_co]):
    """The outcome of a dispatch."""

    @property
    def envelope(self) -> Any:
        """The envelope, with its stamps."""
        ...

    @property
    def result(self) -> R_co:
        """The result of the last handler; None if there is none."""
        ...

    @property
    def results(self) -> tuple[R_co, ...]:
        """The results of all handlers."""
        ...

    @property
    def events(self) -> tuple[Message, ...]:
        """The released events."""
        ...

    @property
    def answered(self) -> bool:
        """True if there is a result at all; a result may be None, too."""
        ...

    @property
    def caused(self) -> Caused:
        """The events that are to flow on, with their cause."""
        ...


class Carrier(Protocol[R_co]):
    """An envelope, as type checkers see it: it has a message."""

    @property
    def message(self) -> R_co:
        """The message."""
        ...


class Answerer(Part):
    """A part that has results for intents: a typed bus."""

    stores_by_name: ClassVar[bool] = False
    """True for a part that stores under its name, so that a bus has one of this name."""

    name: str
    lifespan: Lifespan

    @property
    @abstractmethod
    def may_queue(self) -> bool:
        """True if intents may be queued for later, in place of being handled."""

    @property
    @abstractmethod
    def types(self) -> tuple[type[Message], ...]:
        """The types that it handles."""

    @property
    @abstractmethod
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The functions that handle its types, as they were registered."""

    @property
    @abstractmethod
    def emitted(self) -> tuple[type[Message], ...]:
        """The types of message that it is known to emit or to return in a turn of the bus around it."""

    @abstractmethod
    def may_emit(self, kind: type[Message]) -> bool:
        """Return False if it is known to emit and to return no message of a type."""

    @abstractmethod
    def override(self, handlers: Mapping[type[Message], Any]) -> AbstractContextManager[None]:
        """Have fakes handle some of its types, for as long as the block lasts."""

    @abstractmethod
    async def dispatch(self, intent: Any, /, *stamps: Any) -> Any:
        """Handle an intent and return an `Answer`."""


def message_of(intent: Any) -> Any:
    """Return the message in an envelope; anything else as it is."""
    return getattr(intent, "message", intent) if isinstance(intent, Origin) else intent


def find_answerers(bus: Any, message: Any) -> list[Answerer]:
    """Return the typed buses inside that a message gets to. Raises `NotAMessage`, and `NoHandler` for none."""
    check_message(message)
    answerers = [*answerers_in(bus, type(message))]
    if not answerers:
        raise no_handler(bus, type(message))
    return answerers


def no_handler(bus: Any, kind: type[Message]) -> NoHandler:
    """Return the error for an intent that gets to no handler, with the contexts inside that hide a handler of it."""
    hidden = [placed_name(context, name_of(context)) for context in unique(hiding(bus, kind))]
    return NoHandler(kind, bus.name, dict.fromkeys(_types_within_reach(bus)), hidden)


def hiding(part: Part, kind: type[Message]) -> Iterator[Part]:
    """Yield the buses inside whose ``inbound`` keeps messages of a type from a component that takes them by name."""
    for receiver in part.inside:
        component: Any = receiver.component
        if receiver.is_bus and component.inbound is not None and not receiver.accepts.takes(kind):
            yield from (component,) if _has_taker(component, kind) else ()
        if isinstance(component, Part):
            yield from hiding(component, kind)


def _has_taker(part: Part, kind: type[Message]) -> bool:
    """Return True if a component inside takes messages of a type by name, whatever buses inside let in."""
    return any(
        takes_by_name((receiver,), kind)
        or (isinstance(receiver.component, Part) and _has_taker(receiver.component, kind))
        for receiver in part.inside
    )


def _types_within_reach(part: Part) -> Iterator[type[Message]]:
    """Yield the types that typed buses inside handle and that get to them."""
    for receiver in part.inside:
        if isinstance(receiver.component, Part):
            own = receiver.component.types if isinstance(receiver.component, Answerer) else ()
            accepts = receiver.accepts
            yield from (kind for kind in (*own, *_types_within_reach(receiver.component)) if accepts.takes(kind))


def answerers_in(part: Part, kind: type[Message] | None = None) -> Iterator[Answerer]:
    """Yield the typed buses inside that a message of this type gets to; without a type, all of them."""
    for receiver in part.inside:
        component = receiver.component
        if isinstance(component, Part) and (kind is None or receiver.accepts.takes(kind)):
            if isinstance(component, Answerer):
                yield component
            yield from answerers_in(component, kind)


def may_overlap(bus: Any) -> bool:
    """Return True if turns of a bus may overlap: its components are typed buses, and buses whose turns overlap.

    A bus without components is exclusive, for components that may come and keep state.
    """
    inside = bus.inside
    return bool(inside) and all(
        isinstance(each.component, Answerer) or (each.is_bus and each.component.gate is None) for each in inside
    )
