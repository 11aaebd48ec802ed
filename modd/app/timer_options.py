"""Checks of the options of timers: each mistake that can be seen is found when the timer is made."""

from __future__ import annotations

from inspect import Parameter
from typing import Any

from modd.checks import checked_text
from modd.core import Message, Part, accepts_of, name_of, parameters_of, wire_name
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption, NotAComponent, UnresolvedAnnotation


def checked_source(what: Any) -> Any:
    """Return a message, or a function that can be called without arguments."""
    if isinstance(what, Message):
        return what
    cure = "give a message, or a function without parameters that returns messages"
    if isinstance(what, type) and issubclass(what, Message):
        raise InvalidOption("what", what, f"{cure}; did you mean {what.__name__}()?")
    if isinstance(what, type) or not callable(what):
        raise InvalidOption("what", what, cure)
    needed = [each.name for each in _parameters(what) if each.default is each.empty and each.kind in _NAMED]
    if needed:
        raise InvalidOption("what", what, f"{cure}; this one requires {', '.join(needed)}")
    return what


def checked_target(to: Any, what: Any) -> Any:
    """Return a typed bus, or a component, that takes the message."""
    if isinstance(to, TypedBus):
        _check_handler(to, what)
        return to
    try:
        accepts = accepts_of(to)
    except (NotAComponent, UnresolvedAnnotation) as error:
        raise InvalidOption("to", to, f"give a typed bus or a component; {error}") from error
    if isinstance(what, Message) and not isinstance(to, Part) and not accepts.takes(type(what)):
        raise InvalidOption("to", to, f"it takes no {type(what).__qualname__}; give a component that does")
    return to


def _check_handler(bus: TypedBus, what: Any) -> None:
    """Raise `InvalidOption` for a message that the bus would refuse; those of a function are not known yet."""
    if not isinstance(what, Message):
        return
    kind = type(what)
    if not isinstance(what, bus.kind):
        raise InvalidOption("to", bus, f"it takes no {kind.__qualname__}; give a bus that does")
    if bus.strict and not bus.handler_names(kind):
        raise InvalidOption(
            "to", bus, f"it has no handler for {kind.__qualname__}; register one before the timer is made"
        )


def timer_name(name: str | None, what: Any) -> str:
    """Return the name of a timer: the given one, else that of its message on the wire, or of its function."""
    cure = 'give a text that is not empty: name="..."'
    if name is None:
        name = wire_name(type(what)) if isinstance(what, Message) else name_of(what).rpartition(".")[2]
        if name == "<lambda>":
            raise InvalidOption("name", None, 'a lambda has no name; give the timer one: name="..."')
    if not checked_text("name", name, cure):
        raise InvalidOption("name", name, cure)
    return name


_NAMED = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _parameters(function: Any) -> list[Parameter]:
    try:
        return parameters_of(function)
    except ValueError:  # some builtins tell nothing of their parameters
        return []
