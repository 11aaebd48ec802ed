"""The errors of modd: each takes values, writes its own sentence and names the cure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class ModdError(Exception):
    """The base of all errors that modd raises; catch it to catch them all."""


class NotAComponent(ModdError, TypeError):
    """A value that cannot take a message was added to a bus or a part. ``value`` is the value."""

    def __init__(self, value: object, reason: str) -> None:
        self.value = value
        super().__init__(f"{describe(value)} cannot be a component: {reason}")


class UnresolvedAnnotation(ModdError, TypeError):
    """The annotation of a component's first parameter names a type that cannot be found."""

    def __init__(self, component: str, annotation: object, cause: Exception) -> None:
        self.component, self.annotation = component, annotation
        super().__init__(
            f"{component} accepts {annotation!r}, which cannot be resolved ({cause}). Two usual causes: "
            "a local type under `from __future__ import annotations` that the function does not use (move the type "
            "to module level or use it in the function), or an import under `if TYPE_CHECKING:` (import it always)"
        )


class NotAMessage(ModdError, TypeError):
    """A sender sent, or a component returned, a value that is no message. ``value`` is the value."""

    def __init__(self, value: object, source: str) -> None:
        self.value = value
        super().__init__(f"{source} {_explain(value)}")


class DuplicateName(ModdError, ValueError):
    """Two message types with the same wire name are in one bus, codec or gateway."""

    def __init__(self, name: str, first: type, second: type, place: str) -> None:
        self.name, self.types = name, (first, second)
        super().__init__(
            f"{place} was given two message types named {name!r}: {full_name(first)} and {full_name(second)}; "
            f'name one of them apart: class {second.__name__}(Message, tag="...")'
        )


class BusInsideItself(ModdError, ValueError):
    """A bus was added to itself, directly or by way of a bus inside."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(
            f"a bus cannot be inside itself: {' > '.join(path)}; to send to a surrounding bus "
            "from inside, return the message and list its type in outbound"
        )


class InvalidOption(ModdError, ValueError):
    """An option has a value that cannot work. ``option`` is its name, ``value`` the value."""

    def __init__(self, option: str, value: object, cure: str) -> None:
        self.option, self.value = option, value
        super().__init__(f"{option}={value!r}: {cure}")


class UnknownComponent(ModdError, LookupError):
    """`find` or `remove` was called for a component that is not in the bus.

    ``component`` is its name, ``components`` the names of the components in the bus.
    """

    def __init__(self, component: str, bus: str, components: Iterable[str]) -> None:
        self.component, self.components = component, tuple(components)
        super().__init__(f"no component {component} in {bus}; it has: {', '.join(self.components) or 'none'}")


class AlreadyOpen(ModdError, RuntimeError):
    """A bus or a store that is open was opened again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is open; open it once, around everything that uses it")


class Deadlock(ModdError, RuntimeError):
    """The wait for this bus would never end, because its turn waits, directly or indirectly, for the caller.

    ``circle`` has the names of the buses in the order in which they wait for each other.
    """

    def __init__(self, circle: Sequence[str]) -> None:
        self.circle = tuple(circle)
        waits = " waits for ".join((*circle, circle[0]))
        super().__init__(
            f"{waits}; return the message instead of awaiting the bus, start the send under modd.detached(), "
            "or let turns overlap (exclusive=False or a key)"
        )


class StrayCancellation(ModdError, RuntimeError):
    """A handler, middleware, adapter or store raised an asyncio cancellation that nobody had requested of its task.

    Usual causes: it awaited a task or a future that was cancelled elsewhere. ``__cause__`` is the cancellation.
    """

    def __init__(self, cancelled: BaseException) -> None:
        super().__init__(
            "the work was not cancelled, but raised the cancellation of a task or future that it awaited; "
            "catch asyncio.CancelledError there, or await it under asyncio.shield()"
        )
        self.__cause__ = cancelled


class TurnOverflow(ModdError, RuntimeError):
    """A turn had more messages than its limit, or turns were nested too deeply.

    ``cycle`` has the edges (message type, component name, message type) of a loop in the second half of the limit; it
    is empty without a loop.
    """

    def __init__(self, bus: str, reason: str, cycle: Sequence[tuple[type, str, type]] = ()) -> None:
        self.bus, self.cycle = bus, tuple(cycle)
        super().__init__(f"{bus}: {reason}")


class TurnFailed(ModdError, ExceptionGroup[Exception]):
    """The unhandled errors of a turn, raised to its sender when the turn has ended.

    ``outbound`` has the messages that left the bus in that turn, ``bus`` is the bus. ``result`` is the result of the
    intent, if its handler succeeded and only a later effect of it failed.
    """

    outbound: tuple[Any, ...]
    bus: Any
    result: Any = None

    def __new__(
        cls, message: str, errors: Sequence[Exception], outbound: Sequence[Any] = (), bus: Any = None
    ) -> TurnFailed:
        """Create the group with its attributes, as exception groups require."""
        self = super().__new__(cls, message, errors)
        self.outbound = outbound if isinstance(outbound, tuple) else tuple(outbound)
        self.bus = bus
        return self

    def __init__(
        self, message: str, errors: Sequence[Exception], outbound: Sequence[Any] = (), bus: Any = None
    ) -> None:
        super().__init__(message, errors)

    def derive(self, excs: Sequence[Exception]) -> TurnFailed:  # type: ignore[override]  # typeshed: any subclass
        """Return the same group with other errors; ``outbound``, ``bus`` and ``result`` stay."""
        derived = TurnFailed(self.message, excs, self.outbound, self.bus)
        derived.result = self.result
        return derived


class NoHandler(ModdError, LookupError):
    """The bus has no handler for intents of this type. ``handled`` has the types that it handles."""

    def __init__(self, intent: type | str, bus: str, handled: Iterable[type]) -> None:
        self.intent, self.bus, self.handled = intent, bus, tuple(handled)
        name = intent if isinstance(intent, str) else intent.__qualname__
        names = ", ".join(sorted(kind.__qualname__ for kind in self.handled)) or "nothing yet"
        super().__init__(f"no handler for {name}; {bus} handles: {names}")


class MultipleHandlers(ModdError, LookupError):
    """More than one typed bus handles an intent that was asked. ``answering`` has the names of the buses."""

    def __init__(self, intent: type, bus: str, answering: Iterable[str]) -> None:
        self.intent, self.bus, self.answering = intent, bus, tuple(answering)
        super().__init__(
            f"{len(self.answering)} typed buses in {bus} handle {intent.__qualname__}: {', '.join(self.answering)}; "
            "register it with one of them, or leave it out of the inbound of the other's context"
        )


class NotAnswered(ModdError, RuntimeError):
    """An intent that was asked got no result, because a middleware stopped it or queued it for later."""

    def __init__(self, intent: type, bus: str) -> None:
        self.intent, self.bus = intent, bus
        super().__init__(
            f"{intent.__qualname__} got no result in {bus}: a middleware stopped it or queued it for later; "
            "use dispatch, or send it to the bus, which do not wait for a result"
        )


class MissingExtra(ModdError, ImportError):
    """A feature needs packages that are not installed; ``extra`` is the extra of modd to install."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs packages that are not installed: pip install modd[{extra}]")


def full_name(type_: type) -> str:
    """Return module and qualified name of a type, to tell two types with the same name apart."""
    return f"{type_.__module__}.{type_.__qualname__}"


def describe(value: object) -> str:
    """Return a text for a value: the name of a class, or the repr, shortened, with the type."""
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"


def _explain(value: object) -> str:
    if isinstance(value, type):
        return f"gave the class {value.__qualname__}; did you mean {value.__qualname__}()?"
    return f"gave {describe(value)}, which is not a message; derive its type from modd.Message and give an instance"
