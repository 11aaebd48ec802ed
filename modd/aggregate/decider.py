"""Deciders: two functions, one that decides about commands, and one that makes the state from events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from modd.aggregate.annotations import PLACES, annotated_types, check_annotation
from modd.aggregate.fold import check_event_function
from modd.core import Message, name_of, parameters_of
from modd.errors import InvalidOption

C = TypeVar("C", bound=Message)


E = TypeVar("E", bound=Message)


S = TypeVar("S")


class Decider(Generic[C, E, S]):
    """The decisions of an aggregate as two pure functions: ``Aggregate("invoice", decider=Decider(...), ...)``.

    Use it in place of ``state``, ``commands`` and ``events`` if you like functions. The types of commands and events
    are those in the annotations.

    decide: a function ``(command, state)`` that returns an event, a list of events, none, or `Rejected`.
    evolve: a function ``(state, event)`` that returns the new state.
    initial: the state of an instance without events.

    Raises:
        InvalidOption: an annotation is missing, names no types of messages, or names another state than ``initial``.
    """

    def __init__(self, decide: Callable[[C, S], Any], evolve: Callable[[S, E], S], initial: S) -> None:
        self.decide, self.evolve, self.initial = decide, evolve, initial
        self.commands: Sequence[type[Message]] = _types_of("decide", decide, 0)
        """The types of commands."""
        self.events: Sequence[type[Message]] = _types_of("evolve", evolve, 1)
        """The types of events."""
        check_event_function("evolve", evolve, " | ".join(kind.__qualname__ for kind in self.events))
        for option, function, position in (("decide", decide, 1), ("evolve", evolve, 0)):
            check_annotation(option, function, position, type(initial), is_exact=False)


def _types_of(option: str, function: Any, position: int) -> Sequence[type[Message]]:
    """Return the types in the annotation of a parameter."""
    cure = f"annotate its {PLACES[position]} parameter with a union of message types, such as `Issue | Pay`"
    if not callable(function):
        raise InvalidOption(option, function, "give a function")
    if len(parameters_of(function)) < 2:
        raise InvalidOption(option, function, f"{name_of(function)} takes two parameters; {cure}")
    found = annotated_types(function, position)
    if not found or not all(isinstance(kind, type) and issubclass(kind, Message) for kind in found):
        raise InvalidOption(option, function, cure)
    return found
