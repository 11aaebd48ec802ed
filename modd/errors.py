"""The errors of modd: each takes values, writes its own sentence and names the cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self

from modd.pickling import build, copy_deeply, pack, unpack
from modd.texts import describe, explain_no_message, first_cause, full_name, show, text_of


class ModdError(Exception):
    """The base of all errors that modd raises; catch it to catch them all.

    It can be pickled and copied, and keeps its text. An attribute that cannot be pickled arrives as its text.
    """

    shared: ClassVar[frozenset[str]] = frozenset()
    """The names of attributes that refer to running objects: a pickle has None for them, and a copy the same object."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the parts of a pickle."""
        args, attributes = self._parts()
        packed = {name: None if name in self.shared else pack(value) for name, value in attributes.items()}
        return _restore, (type(self), pack(args), packed)

    def __copy__(self) -> Self:
        """Return a copy with the same attributes."""
        return build(type(self), *self._parts())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy with copies of the attributes, as far as these can be copied."""
        args, attributes = self._parts()
        copies = {
            name: value if name in self.shared else copy_deeply(value, memo) for name, value in attributes.items()
        }
        return build(type(self), tuple(copy_deeply(value, memo) for value in args), copies)

    def _parts(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the built-in base, and the attributes."""
        args: tuple[Any, ...] = self.args
        if isinstance(self, BaseExceptionGroup):
            args = (self.message, list(self.exceptions))
        return args, dict(self.__dict__)


class UnpicklableError(ModdError):
    """Stands in a group for an error that did not survive pickle; its text is the type and text of that error."""


class ErrorGroup(ModdError, ExceptionGroup[Exception]):
    """A group of errors whose text names the first error in it, so that a log of one line says why.

    ``mask`` takes the sensitive content of the messages at hand out of a text.
    """

    shared = frozenset({"mask"})

    mask: Callable[[str], str] | None = None
    text: str | None = None
    """The text, for a group that was pickled."""

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        text = text_of(first_cause(self))
        group: BaseException = self
        while isinstance(group, BaseExceptionGroup):
            if isinstance(group, ErrorGroup) and group.mask is not None:
                text = group.mask(text)
            group = group.exceptions[0]
        return f"{self.message}: {text}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the parts of a pickle, with the text: the messages that it is masked by stay behind."""
        restore, (kind, args, attributes) = super().__reduce__()
        return restore, (kind, args, attributes | {"text": str(self)})


def _restore(kind: type[ModdError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ModdError:
    """Create an error from the parts of its pickle."""
    values = {name: unpack(value, UnpicklableError) for name, value in attributes.items()}
    return build(kind, unpack(args, UnpicklableError), values)


class NotAComponent(ModdError, TypeError):
    """A value that cannot take a message was added to a bus or a part.

    value: the value.
    reason: the rule that the value breaks, as a text.

    Add a function or an instance with ``__call__``, with one parameter whose annotation names the message types.
    """

    def __init__(self, value: object, reason: str) -> None:
        self.value = value
        super().__init__(f"{describe(value)} cannot be a component: {reason}")


class UnresolvedAnnotation(ModdError, TypeError):
    """The annotation of a component's first parameter names a type that cannot be found.

    component: the name of the component.
    annotation: the annotation as it was written.
    cause: the error of the look-up, which is part of the text.

    Move the type to module level, and import it outside of ``if TYPE_CHECKING:``.
    """

    def __init__(self, component: str, annotation: object, cause: Exception) -> None:
        self.component, self.annotation = component, annotation
        super().__init__(
            f"{component} accepts {show(annotation)}, which cannot be resolved ({cause}). Two usual causes: "
            "a local type under `from __future__ import annotations` that the function does not use (move the type "
            "to module level or use it in the function), or an import under `if TYPE_CHECKING:` (import it always)"
        )


class NotAMessage(ModdError, TypeError):
    """A sender sent, or a component returned, a value that is no message.

    value: the value.
    source: the sender or the component, as the subject of the text.

    Send an instance, and derive its class from `Message`.
    """

    def __init__(self, value: object, source: str) -> None:
        self.value = value
        super().__init__(f"{source} {explain_no_message(value)}")


class DuplicateName(ModdError, ValueError):
    """Two message types with the same wire name are in one bus, codec or gateway.

    name: the wire name.
    first, second: the two types; the attribute ``types`` has both.
    place: the bus, codec or gateway, as the subject of the text.

    Rename one class, or give it a tag: ``class Paid(Message, tag="billing.Paid")``.
    """

    def __init__(self, name: str, first: type, second: type, place: str) -> None:
        self.name, self.types = name, (first, second)
        if first is second:
            super().__init__(f"{place} was given {full_name(first)} twice; give each type once")
            return
        if first.__struct_config__.tag is None is second.__struct_config__.tag:  # type: ignore[attr-defined]
            super().__init__(
                f"{place} was given two message types without a name, {full_name(first)} and {full_name(second)}: "
                f'in place of tag=False give {second.__name__} a name, tag="...", or leave tag out'
            )
            return
        super().__init__(
            f"{place} was given two message types named {name!r}: {full_name(first)} and {full_name(second)}; "
            f'name one of them apart: class {second.__name__}(Message, tag="...")'
        )


class BusInsideItself(ModdError, ValueError):
    """A bus was added to itself, directly or by way of a bus inside.

    path: the names of the buses, from the outer bus to the same bus inside.

    To send to a surrounding bus, return the message from a component and list its type in ``outbound``.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(
            f"a bus cannot be inside itself: {' > '.join(path)}; to send to a surrounding bus "
            "from inside, return the message and list its type in outbound"
        )


class InvalidWiring(ModdError, ValueError):
    """A bus with parts that cannot work together was opened, used, or given to a worker.

    bus: the name of the bus.
    findings: the faults, as `Bus.check` returns them, each with the change that mends it.
    """

    def __init__(self, bus: str, findings: Sequence[Any]) -> None:
        self.bus, self.findings = bus, tuple(findings)
        super().__init__(f"{bus} cannot be used: {'; '.join(map(str, findings))}")


class InvalidOption(ModdError, ValueError):
    """An option has a value that cannot work.

    option: the name of the option.
    value: the value.
    cure: the values that are possible, as the end of the text.
    """

    def __init__(self, option: str, value: object, cure: str) -> None:
        self.option, self.value = option, value
        super().__init__(f"{option}={show(value)}: {cure}")


class UnknownComponent(ModdError, LookupError):
    """`find` or `remove` was called for a component that is not in the bus.

    component: the name of the component.
    bus: the name of the bus, in the text.
    components: the names of the components in the bus; choose one of these.
    """

    def __init__(self, component: str, bus: str, components: Iterable[str]) -> None:
        self.component, self.components = component, tuple(components)
        super().__init__(f"no component {component} in {bus}; it has: {', '.join(self.components) or 'none'}")


class AlreadyOpen(ModdError, RuntimeError):
    """A bus or a store that is open was opened again.

    name: the name of the bus or the store, in the text.

    Open it once, around all code that uses it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is open; open it once, around everything that uses it")


class OpenedInOtherTask(ModdError, RuntimeError):
    """A bus or a store with tasks in the background was closed in another task than the one that opened it.

    name: the name of the bus or the store.
    task: the name of the task that has to close it.

    Open and close it in one task, by ``async with``. It stays open.
    """

    def __init__(self, name: str, task: str) -> None:
        self.name, self.task = name, task
        super().__init__(
            f"{name} has tasks in the background, so it has to be closed by the task that opened it, {task!r}; open "
            "and close it in one task, by `async with`"
        )


class NotEntered(ModdError, RuntimeError):
    """An object that is not open was closed or used, such as a bus, a store, a transaction or a subscription.

    name: the name of the object, in the text.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not open; open it by `async with`, which closes it as well")


class Deadlock(ModdError, RuntimeError):
    """The wait for this bus would never end, because its turn waits, directly or indirectly, for the caller.

    circle: the names of the buses in the order in which they wait for each other.

    Return the message instead of awaiting the bus, start the send under `modd.detached`, or let turns overlap, with
    ``exclusive=False`` or a key.
    """

    def __init__(self, circle: Sequence[str]) -> None:
        self.circle = tuple(circle)
        waits = " waits for ".join((*circle, circle[0]))
        super().__init__(
            f"{waits}; return the message instead of awaiting the bus, start the send under modd.detached(), "
            "or let turns overlap (exclusive=False or a key)"
        )


class InOtherLoop(ModdError, RuntimeError):
    """An object was used in an event loop while another loop has it, which cannot give it up or work for this one.

    name: the name of the object.
    loop: the words for the other loop.

    Use it in that loop, with ``anyio.from_thread.run``, or make one for each loop.
    """

    def __init__(self, name: str, loop: str) -> None:
        self.name, self.loop = name, loop
        super().__init__(
            f"{name} is in use by {loop}; use it in that loop (anyio.from_thread.run), or make one for each loop"
        )


class StrayCancellation(ModdError, RuntimeError):
    """A handler, middleware, adapter or store raised an asyncio cancellation although its task was not cancelled.

    Usual causes: it awaited a task or a future that was cancelled elsewhere.

    cancelled: the cancellation; it becomes the ``__cause__``.
    """

    def __init__(self, cancelled: BaseException) -> None:
        super().__init__(
            "the work was not cancelled, but raised the cancellation of a task or future that it awaited; "
            "catch asyncio.CancelledError there, or await it under asyncio.shield()"
        )
        self.__cause__ = cancelled


class TurnOverflow(ModdError, RuntimeError):
    """A turn had more messages than its limit, or turns were nested too deeply.

    bus: the name of the bus.
    reason: the limit, and the way out of it, as a text.
    cycle: the edges (message type, component name, message type) of a loop in the second half of the limit; empty
        without a loop.

    Break the loop: let a component return nothing if its message changes nothing. For a long turn without a loop, raise
        the limit of the bus.
    """

    def __init__(self, bus: str, reason: str, cycle: Sequence[tuple[type, str, type]] = ()) -> None:
        self.bus, self.cycle = bus, tuple(cycle)
        super().__init__(f"{bus}: {reason}")


class TurnFailed(ErrorGroup):
    """The unhandled errors of a turn, raised to its sender when the turn has ended.

    message: the first words of the text.
    errors: the errors; the attribute ``exceptions`` has them.
    outbound: the messages that left the bus in the turn; none by default.
    bus: the bus; None by default.

    The attribute ``result`` is the result of the intent, if its handler succeeded and only a later effect of it failed.
    Catch single types with ``except*``, or let a component of the bus handle `Failure`.
    """

    shared = frozenset({"bus", "mask"})

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
        derived.result, derived.mask = self.result, self.mask
        return derived


class NoHandler(ModdError, LookupError):
    """The bus has no handler for intents of this type, or none that they get to.

    intent: the type, or its name.
    bus: the name of the bus.
    handled: the types that the bus handles.
    hidden: the names of the contexts inside that have a handler, and do not list the type in ``inbound``; by default
        none.

    Register a handler for the type, list the type in the ``inbound`` of the context, or send the intent to the bus that
    has a handler.
    """

    def __init__(self, intent: type | str, bus: str, handled: Iterable[type], hidden: Iterable[str] = ()) -> None:
        self.intent, self.bus, self.handled, self.hidden = intent, bus, tuple(handled), tuple(hidden)
        name = intent if isinstance(intent, str) else intent.__qualname__
        names = ", ".join(sorted(kind.__qualname__ for kind in self.handled)) or "nothing yet"
        text = f"no handler for {name}; {bus} handles: {names}"
        for context in self.hidden:
            text += f"; {context} has a handler, and its inbound does not list {name}: list it there"
        super().__init__(text)


class MultipleHandlers(ModdError, LookupError):
    """More than one typed bus handles an intent that was asked.

    intent: the type of the intent.
    bus: the name of the bus around the typed buses.
    answering: the names of the typed buses.

    Register the type with one typed bus, or leave it out of the ``inbound`` of the other context.
    """

    def __init__(self, intent: type, bus: str, answering: Iterable[str]) -> None:
        self.intent, self.bus, self.answering = intent, bus, tuple(answering)
        super().__init__(
            f"{len(self.answering)} typed buses in {bus} handle {intent.__qualname__}: {', '.join(self.answering)}; "
            "register it with one of them, or leave it out of the inbound of the other's context"
        )


class NotAnswered(ModdError, RuntimeError):
    """An intent that was asked got no result, because a middleware stopped it, or would have queued it for later.

    intent: the type of the intent.
    bus: the name of the typed bus.

    Use ``dispatch``, or send the intent to the bus; neither waits for a result.
    """

    def __init__(self, intent: type, bus: str) -> None:
        self.intent, self.bus = intent, bus
        super().__init__(
            f"{intent.__qualname__} got no result in {bus}: a middleware stopped it, or would have queued it "
            "for later; use `await bus.dispatch(...)`, which returns as soon as it is queued"
        )


class MissingExtra(ModdError, ImportError):
    """A feature needs packages that are not installed.

    feature: the name of the feature, in the text.
    extra: the extra of modd to install: ``pip install modd[extra]``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs packages that are not installed: pip install modd[{extra}]")
