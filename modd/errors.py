"""Every error modd raises: each takes values, writes its own sentence and names the cure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class ModdError(Exception):
    """Base of every error that modd raises; catch it to catch them all."""


class NotAComponent(ModdError, TypeError):
    """Something that cannot take a message was given as a component (MO-13)."""

    def __init__(self, given: object, reason: str) -> None:
        self.given = given
        super().__init__(f"{describe(given)} cannot be a component: {reason}")


class UnresolvedAnnotation(ModdError, TypeError):
    """The annotation of a component's first parameter names something that cannot be found."""

    def __init__(self, component: str, annotation: object, cause: Exception) -> None:
        self.component, self.annotation = component, annotation
        super().__init__(
            f"{component} accepts {annotation!r}, which cannot be resolved ({cause}). Two usual causes: "
            "a local type under `from __future__ import annotations` that the function does not use (move the type "
            "to module level or use it in the function), or an import under `if TYPE_CHECKING:` (import it always)"
        )


class NotAMessage(ModdError, TypeError):
    """A message was expected: from a sender, or from what a component gave back (MO-4)."""

    def __init__(self, given: object, giver: str) -> None:
        self.given = given
        super().__init__(f"{giver} {_given_as_message(given)}")


class DuplicateName(ModdError, ValueError):
    """Two message types of one wire name met in one bus, codec or gateway (MO-4)."""

    def __init__(self, name: str, first: type, second: type, place: str) -> None:
        self.name, self.types = name, (first, second)
        super().__init__(
            f"{place} was given two message types named {name!r}: {full_name(first)} and {full_name(second)}; "
            f'name one of them apart: class {second.__name__}(Message, tag="...")'
        )


class BusInsideItself(ModdError, ValueError):
    """A bus was added to itself, directly or through others (MO-13)."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(
            f"a bus cannot be inside itself: {' > '.join(path)}; to send to a surrounding bus "
            "from inside, return the message and list its type in outbound"
        )


class InvalidOption(ModdError, ValueError):
    """An option has a value that cannot work."""

    def __init__(self, option: str, given: object, wanted: str) -> None:
        self.option, self.given = option, given
        super().__init__(f"{option}={given!r}: {wanted}")


class UnknownComponent(ModdError, LookupError):
    """`find` or `remove` was asked for a component that is not in the bus."""

    def __init__(self, wanted: str, bus: str, known: Iterable[str]) -> None:
        self.wanted, self.known = wanted, tuple(known)
        super().__init__(f"no component {wanted} in {bus}; it has: {', '.join(self.known) or 'none'}")


class AlreadyOpen(ModdError, RuntimeError):
    """`async with` was used on a bus or a store that is open."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is open; open it once, around everything that uses it")


class Deadlock(ModdError, RuntimeError):
    """Waiting for this bus would never end: its turn waits, by way of others, for the one that asks.

    ``circle`` has the names of the buses in the order in which they wait for each other.
    """

    def __init__(self, circle: Sequence[str]) -> None:
        self.circle = tuple(circle)
        around = " waits for ".join((*circle, circle[0]))
        super().__init__(
            f"{around}; return the message in place of awaiting the bus, start the send under modd.detached(), "
            "or let turns overlap (exclusive=False or a key)"
        )


class TurnOverflow(ModdError, RuntimeError):
    """A turn made more messages than its limit, or turns nested deeper than allowed (MO-9).

    ``cycle`` has the edges (message type, component name, message type) of a loop that was seen in the second half of
    the limit; it is empty when there was none.
    """

    def __init__(self, bus: str, reason: str, cycle: Sequence[tuple[type, str, type]] = ()) -> None:
        self.bus, self.cycle = bus, tuple(cycle)
        super().__init__(f"{bus}: {reason}")


class TurnFailed(ModdError, ExceptionGroup[Exception]):
    """What nobody handled of the failures in a turn, raised to its sender when the turn has ended (MO-8, MO-17).

    ``outbound`` has the messages that left the bus in that turn all the same, ``bus`` is the bus, and ``result`` is
    what was asked for, when that was had before something that it caused failed.
    """

    outbound: tuple[Any, ...]
    bus: Any
    result: Any = None

    def __new__(
        cls, message: str, errors: Sequence[Exception], outbound: Sequence[Any] = (), bus: Any = None
    ) -> TurnFailed:
        """Made as groups are made: with all that the instance is to hold."""
        self = super().__new__(cls, message, errors)
        self.outbound = outbound if isinstance(outbound, tuple) else tuple(outbound)
        self.bus = bus
        return self

    def __init__(
        self, message: str, errors: Sequence[Exception], outbound: Sequence[Any] = (), bus: Any = None
    ) -> None:
        super().__init__(message, errors)

    def derive(self, excs: Sequence[Exception]) -> TurnFailed:  # type: ignore[override]  # typeshed: any subclass
        """The same group with other errors; ``outbound`` is kept."""
        derived = TurnFailed(self.message, excs, self.outbound, self.bus)
        derived.result = self.result
        return derived


class NoHandler(ModdError, LookupError):
    """Nobody handles intents of this type (MI-2, MI-3)."""

    def __init__(self, intent: type | str, bus: str, known: Iterable[type]) -> None:
        self.intent, self.bus, self.known = intent, bus, tuple(known)
        name = intent if isinstance(intent, str) else intent.__qualname__
        handled = ", ".join(sorted(kind.__qualname__ for kind in self.known)) or "nothing yet"
        super().__init__(f"no handler for {name}; {bus} handles: {handled}")


class MultipleHandlers(ModdError, LookupError):
    """More than one typed bus would answer an intent that was asked (MO-27)."""

    def __init__(self, intent: type, bus: str, answering: Iterable[str]) -> None:
        self.intent, self.bus, self.answering = intent, bus, tuple(answering)
        super().__init__(
            f"{len(self.answering)} typed buses in {bus} handle {intent.__qualname__}: {', '.join(self.answering)}; "
            "register it with one of them, or leave it out of the inbound of the other's context"
        )


class NotAnswered(ModdError, RuntimeError):
    """An intent was asked and got no result: a middleware stopped it, or it was queued for later (MO-27)."""

    def __init__(self, intent: type, bus: str) -> None:
        self.intent, self.bus = intent, bus
        super().__init__(
            f"{intent.__qualname__} got no result in {bus}: a middleware stopped it or queued it for later; "
            "use dispatch, or send it to the bus, where no result is waited for"
        )


def full_name(type_: type) -> str:
    """Module and qualified name of a type, to tell two of one name apart."""
    return f"{type_.__module__}.{type_.__qualname__}"


def describe(given: object) -> str:
    """A class by its name, anything else by its value and type, shortened."""
    if isinstance(given, type):
        return f"the class {given.__qualname__}"
    text = repr(given)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(given).__name__})"


def _given_as_message(given: object) -> str:
    if isinstance(given, type):
        return f"gave the class {given.__qualname__}; did you mean {given.__qualname__}()?"
    return f"gave {describe(given)}, which is not a message; derive its type from modd.Message and give an instance"
