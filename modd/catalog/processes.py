"""The description of flows and projections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modd.catalog.entries import FlowEntry, ProjectionEntry, ReactionEntry
from modd.catalog.named_types import types_named_in
from modd.catalog.types import describe_function, describe_state, names_of_types
from modd.core import Message, name_of, wire_name
from modd.cqrs.intents import Command
from modd.flow import Flow
from modd.projection import Projection


def describe_flow(flow: Flow[Any]) -> FlowEntry:
    """Describe a flow."""
    begins, reacts = (_reactions(functions) for functions in (flow.begins, flow.reacts))
    timeouts = [_reaction(name, function) for name, function in flow.timeouts.items()]
    state = describe_state(flow.state)
    return FlowEntry(flow.name, flow.version, _text_of(flow.identity), state, begins, reacts, timeouts)


def describe_projection(projection: Projection[Any]) -> ProjectionEntry:
    """Describe a projection."""
    tables = dict(projection.tables or {})
    state = None if projection.state is None else describe_state(projection.state)
    key = None if projection.key is None else _text_of(projection.key)
    events = _reactions(projection.events)
    return ProjectionEntry(projection.name, projection.version, events, tables, state, key)


def _reactions(functions: Mapping[type[Message], Callable[..., Any]]) -> list[ReactionEntry]:
    return [_reaction(wire_name(kind), function) for kind, function in functions.items()]


def _reaction(name: str, function: Callable[..., Any]) -> ReactionEntry:
    return ReactionEntry(name, describe_function(function), names_of_types(types_named_in([function], Command)))


def _text_of(field: Any) -> str:
    """Return the name of a field, or that of the function in its place."""
    return field if isinstance(field, str) else name_of(field)
