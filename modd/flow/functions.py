"""The functions of a flow, checked when the flow is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from modd.aggregate import Rejected
from modd.aggregate.annotations import check_annotation, names_of
from modd.aggregate.fold import check_plain_function
from modd.checks import checked_text
from modd.core import Message, members, name_of, resolved
from modd.cqrs.intents import Command, Query
from modd.errors import InvalidOption, UnresolvedAnnotation
from modd.flow.effects import End, Go, Timeout

STEPS = (Go, End)
"""The types of steps."""


def checked_reactions(option: str, functions: Any, state: type) -> dict[type[Message], Callable[..., Any]]:
    """Return functions by type of event. Raises `InvalidOption`.

    option: "begins" or "reacts". state: the type of the states.
    """
    if not isinstance(functions, Mapping):
        raise InvalidOption(option, functions, "give a function for each type of event: {OrderPlaced: placed}")
    for kind, function in functions.items():
        _check_event_type(option, kind)
        _check_function(f"{option} of {kind.__qualname__}", function, state, kind, "event")
    return dict(functions)


def checked_timeouts(functions: Any, state: type) -> dict[str, Callable[..., Any]]:
    """Return functions by name of timeout. Raises `InvalidOption`. state: the type of the states."""
    if not isinstance(functions, Mapping):
        raise InvalidOption("timeouts", functions, 'give a function for each name: {"payment": unpaid}')
    for name, function in functions.items():
        if not checked_text("timeouts", name, "give names of timeouts, as texts"):
            raise InvalidOption("timeouts", name, "give names that are not empty")
        _check_function(f"timeouts of {name!r}", function, state, Timeout, "timeout")
    return dict(functions)


def _check_event_type(option: str, kind: Any) -> None:
    if kind is Timeout:
        raise InvalidOption(option, kind, 'give functions of timeouts by name: timeouts={"payment": unpaid}')
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        raise InvalidOption(option, kind, "give a function for each type of event")
    if issubclass(kind, (Command, Query)):
        raise InvalidOption(option, kind, "a flow hears of events; give the event that is recorded for it")
    if option == "begins" and kind is Rejected:
        raise InvalidOption(option, kind, "a rejection is about a command of a running instance; put it into reacts")


def _check_function(option: str, function: Any, state: type, event: type, noun: str) -> None:
    cure = f"give a function (state, {noun}) that returns go(...), end(...) or None"
    if isinstance(function, type):
        raise InvalidOption(option, function, cure)
    check_plain_function(option, function, cure)
    wrong = [hint for hint in _returned_by(function) if isinstance(hint, type) and not issubclass(hint, STEPS)]
    if wrong:
        raise InvalidOption(option, function, f"{cure}; {name_of(function)} is annotated to return {names_of(wrong)}")
    check_annotation(option, function, 0, state, is_exact=False)
    check_annotation(option, function, 1, event, is_exact=True)


def _returned_by(function: Any) -> list[Any]:
    """Return the types in the annotation of the returned value; none where it cannot be looked up."""
    with suppress(UnresolvedAnnotation, ValueError):
        hint = inspect.signature(function).return_annotation
        return [
            each for each in members(resolved(function, hint)) if each not in (Any, object, inspect.Signature.empty)
        ]
    return []
