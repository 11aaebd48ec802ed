"""The description of a program by its parts: buses with their components, and what is in no bus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modd.aggregate import Aggregate
from modd.catalog.entries import (
    AggregateEntry,
    BusEntry,
    Catalog,
    CommandEntry,
    ComponentEntry,
    ContextEntry,
    EventEntry,
    FunctionEntry,
    HandledEntry,
)
from modd.catalog.named_types import types_named_in
from modd.catalog.processes import describe_flow, describe_projection
from modd.catalog.types import (
    describe_function,
    describe_message,
    describe_state,
    kind_of,
    names_of_types,
)
from modd.core import Bus, Message, Part, accepts_of, name_of, returned_by, unique, wire_name
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption
from modd.flow import Flow
from modd.follower import Follower
from modd.projection import Projection

WANTED = "buses, typed buses, aggregates, flows, projections or followers"


def describe_parts(*parts: Any) -> Catalog:
    """Return the description of a program as plain data; nothing of it is run.

    parts: a `Bus`, a `modd.cqrs.TypedBus`, a `modd.aggregate.Aggregate`, a `modd.flow.Flow`, a
        `modd.projection.Projection`, a `modd.follower.Follower`, or lists of these. Of a part that is in several
        places the first counts.

    Raises:
        InvalidOption: one is none of these, or there is none.
    """
    alone, catalog, seen = ContextEntry(""), Catalog([]), set[int]()
    given = [*_checked(parts)]
    if not given:
        raise InvalidOption("parts", parts, f"give {WANTED}")
    for part in given:
        _add(part, alone, catalog, seen)
    if alone != ContextEntry(""):
        catalog.contexts.insert(0, alone)
    return catalog


def outermost_parts(values: Iterable[Any]) -> list[Any]:
    """Return the values that `describe_parts` takes, but for those that are in others of them."""
    parts = [value for value in unique(values) if _is_describable(value)]
    inner = {id(each) for part in parts for each in _parts_in(part)}
    return [part for part in parts if id(part) not in inner and not (isinstance(part, Part) and part.around)]


def _is_describable(value: Any) -> bool:
    return isinstance(value, (Part, Flow, Projection, Follower))


def _checked(parts: Iterable[Any]) -> Iterator[Any]:
    """Yield the parts in lists. Raises `InvalidOption` for anything else."""
    for part in parts:
        if isinstance(part, (list, tuple)):
            yield from _checked(part)
        elif _is_describable(part):
            yield part
        else:
            raise InvalidOption("parts", part, f"give {WANTED}, or lists of these")


def _add(part: Any, context: ContextEntry, catalog: Catalog, seen: set[int]) -> None:
    """Add a part, and those inside it, to its context; of several places the first counts."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, Aggregate):
        context.aggregates.append(describe_aggregate(part))
    elif isinstance(part, TypedBus):
        context.buses.append(describe_bus(part))
    elif isinstance(part, Flow):
        context.flows.append(describe_flow(part))
    elif isinstance(part, Projection):
        context.projections.append(describe_projection(part))
    elif isinstance(part, (Bus, Follower)):
        context = _context_of(part, context.name)
        catalog.contexts.append(context)
    elif not (isinstance(part, Part) and part.components):
        context.components.append(describe_component(part))
    for inner in _parts_in(part):
        _add(inner, context, catalog, seen)


def _parts_in(part: Any) -> Iterable[Any]:
    """Return the components of a part, the parts of a follower, and the projections that an aggregate writes."""
    if isinstance(part, Aggregate):
        return [each for each in part.inline if isinstance(each, Projection)]
    if isinstance(part, Part):
        return () if isinstance(part, TypedBus) else part.components
    return part.parts if isinstance(part, Follower) else ()


def _context_of(bus: Bus | Follower, around: str) -> ContextEntry:
    """Return the context of a bus or a follower, without its parts."""
    if isinstance(bus, Follower):
        return ContextEntry(bus.name, "follower")
    name = f"{around}.{bus.name}" if around else bus.name
    return ContextEntry(name, "context", names_of_types(bus.accepts.types), names_of_types(bus.outbound))


def describe_aggregate(aggregate: Aggregate[Any]) -> AggregateEntry:
    """Describe an aggregate."""
    identity = aggregate.identity
    return AggregateEntry(
        aggregate.name,
        identity if identity is None or isinstance(identity, str) else name_of(identity),
        describe_state(aggregate.initial),
        [_command(aggregate, kind, chain) for kind, chain in aggregate.command_chains.items()],
        [_event(aggregate, kind, function) for kind, function in aggregate.event_functions.items()],
        [*map(describe_function, aggregate.middleware)],
        [each.name for each in aggregate.inline if isinstance(each, Projection)],
    )


def _command(aggregate: Aggregate[Any], kind: type[Message], chain: Iterable[Any]) -> CommandEntry:
    functions = [*chain]
    events = aggregate.event_functions
    recorded = [each for each in types_named_in(functions, Message, events) if each in events]
    return CommandEntry(describe_message(kind), [*map(describe_function, functions)], names_of_types(recorded))


def _event(aggregate: Aggregate[Any], kind: type[Message], function: Any) -> EventEntry:
    versions = aggregate.event_codec.versions[wire_name(kind)]
    return EventEntry(describe_message(kind), describe_function(function), [*versions])


def describe_bus(bus: TypedBus) -> BusEntry:
    """Describe a typed bus."""
    return BusEntry(
        bus.name,
        kind_of(bus.kind),
        [_handled(bus, kind) for kind in bus.types],
        names_of_types(bus.emitted),
        [*map(describe_function, bus.middleware)],
    )


def _handled(bus: TypedBus, kind: type[Message]) -> HandledEntry:
    functions = {name_of(each): describe_function(each) for each in bus.functions}
    names = bus.handler_names(kind)
    return HandledEntry(describe_message(kind), [functions.get(name, FunctionEntry(name)) for name in names])


def describe_component(component: Any) -> ComponentEntry:
    """Describe a component of a bus that is none of the others."""
    accepts = accepts_of(component)
    returned = () if isinstance(component, Part) else returned_by(component)
    own = names_of_types(accepts.types), accepts.everything, names_of_types(returned)
    return ComponentEntry(describe_function(component), *own)
