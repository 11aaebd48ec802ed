"""The fold: event functions make the state of an instance from its events."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any, Generic, TypeVar

import msgspec

from modd.aggregate.annotations import PLACES, annotated_types, check_annotation
from modd.aggregate.errors import UnknownEvent, WrongState
from modd.core import Message, name_of, wire_name
from modd.cqrs.handlers import yields
from modd.errors import InvalidOption

S = TypeVar("S")


class Fold(Generic[S]):
    """The event functions of an aggregate, and its initial state.

    aggregate: the name of the aggregate, for errors.
    initial: the state of an instance without events.
    functions: a function ``(state, event) -> state`` for each type of event.
    """

    def __init__(self, aggregate: str, initial: S, functions: Mapping[type[Message], Callable[[S, Any], S]]) -> None:
        self.aggregate, self.initial, self.functions = aggregate, initial, dict(functions)
        self.kind: type = type(initial)
        """The type of the states."""

    @property
    def names(self) -> list[str]:
        """The names of the events on the wire."""
        return [wire_name(kind) for kind in self.functions]

    def apply(self, state: S, event: Any) -> S:
        """Return the state after an event. Raises `UnknownEvent`, and `WrongState` if a function returns no state."""
        function = self.functions.get(type(event))
        if function is None:
            raise UnknownEvent(_name_of_event(event), self.aggregate, self.names)
        changed = function(state, event)
        if not isinstance(changed, self.kind):
            raise WrongState(name_of(function), self.kind, type(changed))
        return changed

    def apply_all(self, state: S, events: Iterable[Any]) -> S:
        """Return the state after events, in order. Raises as `apply` does.

        It calls the functions itself, because a call in between takes a quarter of the time of a replay.
        """
        functions, kind = self.functions, self.kind
        for event in events:
            function = functions.get(type(event))
            changed: Any = None if function is None else function(state, event)
            if type(changed) is not kind:
                changed = self.apply(state, event)
            state = changed
        return state


def checked_state(state: Any) -> Any:
    """Return the initial state: a value, or an instance of a class. Raises `InvalidOption`.

    A value that can be changed in place is refused: all instances begin with the same one.
    """
    initial = state
    if isinstance(state, type):
        try:
            initial = state()
        except Exception as error:
            cure = f"give a class whose fields have defaults, or an initial value ({error})"
            raise InvalidOption("state", state, cure) from None
    if _is_mutable(initial):
        cure = "all instances begin with it, so it must not change in place: give a frozen class, such as a modd.Value"
        raise InvalidOption("state", state, cure)
    return initial


def _is_mutable(value: Any) -> bool:
    if isinstance(value, msgspec.Struct):
        return not value.__struct_config__.frozen
    if is_dataclass(value):
        return not getattr(type(value), "__dataclass_params__").frozen  # noqa: B009  # unknown to type checkers
    return isinstance(value, (list, dict, set, bytearray))


FOLD = "(state, event) -> state"
"""The form of event functions, for errors."""


def checked_events(
    events: Any, other: type, form: str = FOLD, position: int = 1
) -> dict[type[Message], Callable[[Any, Any], Any]]:
    """Return event functions by type, from a mapping or from a list of annotated functions. Raises `InvalidOption`.

    other: the type of the values for their other parameter. form: their form, for errors. position: that of the
    parameter for the event, from 0.
    """
    pairs = events.items() if isinstance(events, Mapping) else _by_annotation(events, position)
    found: dict[type[Message], Callable[[Any, Any], Any]] = {}
    for kind, function in pairs:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise InvalidOption("events", kind, "give a function for each type of event")
        check_plain_function("events", function, f"give a function {form} for {kind.__qualname__}")
        if kind in found:
            raise InvalidOption("events", kind, f"it has a function already: {name_of(found[kind])}")
        option = f"events of {kind.__qualname__}"
        check_annotation(option, function, position, kind, is_exact=True)
        check_annotation(option, function, 1 - position, other, is_exact=False)
        found[kind] = function
    if not found:
        raise InvalidOption("events", events, f"give a function {form} for each type of event")
    return found


def check_event_function(option: str, function: Any, events: str) -> None:
    """Raise `InvalidOption` for anything but a function that takes a state and an event, and returns at once.

    events: the names of the events, for the error.
    """
    check_plain_function(option, function, f"give a function {FOLD} for {events}")


def check_plain_function(option: str, function: Any, cure: str) -> None:
    """Raise `InvalidOption` for anything but a function that takes two values, and returns at once."""
    if not callable(function):
        raise InvalidOption(option, function, cure)
    if yields(function) or any(map(inspect.iscoroutinefunction, (function, type(function).__call__))):
        raise InvalidOption(option, function, f"{cure}, neither async nor a generator")
    try:
        signature = inspect.signature(function)
    except ValueError:  # the parameters of some builtins cannot be read
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise InvalidOption(option, function, f"{cure} ({error})") from None


def _by_annotation(events: Any, position: int) -> list[tuple[type[Message], Any]]:
    """Return the functions of a list, with the types in the annotation of the parameter for the event."""
    if callable(events) or isinstance(events, str) or not isinstance(events, Iterable):
        raise InvalidOption("events", events, "give a mapping from type to function, or a list of functions")
    return [(kind, function) for function in events for kind in _types_of(function, position)]


def _types_of(function: Any, position: int) -> Iterable[type[Message]]:
    types = annotated_types(function, position) if callable(function) else ()
    if not types:
        place = PLACES[position]
        cure = f"annotate its {place} parameter with the type of event, or give a mapping from type to function"
        raise InvalidOption("events", function, cure)
    return types


def _name_of_event(event: Any) -> str:
    return wire_name(type(event)) if isinstance(event, Message) else type(event).__qualname__
