"""The parts of a follower, checked, and as sources of tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from logging import Logger
from types import CodeType
from typing import Any

from modd.aggregate import Aggregate
from modd.checks import checked_list, checked_methods
from modd.core import Message
from modd.cqrs.intents import Command
from modd.errors import InvalidOption
from modd.flow import Flow
from modd.follower.command_items import CommandItems
from modd.follower.command_worker import CommandWorker
from modd.follower.direct import DirectCommands
from modd.follower.flow_track import FlowTrack
from modd.follower.instance_work import FlowRules
from modd.follower.projection_track import ProjectionSource
from modd.follower.track import TrackSource
from modd.ports.storage import Storage
from modd.projection import Projection
from modd.worker.buses import ServedBuses
from modd.worker.retry import RetryRules


def checked_storage(store: Any) -> Storage:
    """Return a store that has all ports. Raises `InvalidOption`."""
    checked_methods("store", store, ("transaction", "documents", "queue"), "give a store, such as a SqliteStore")
    return store  # type: ignore[no-any-return]


def checked_parts(parts: Any) -> tuple[Any, ...]:
    """Return flows and projections, each with a unique name. Raises `InvalidOption`."""
    listed = tuple(checked_list("parts", parts))
    if not listed:
        raise InvalidOption("parts", listed, "give at least one flow or projection")
    for number, part in enumerate(listed):
        if not isinstance(part, (Flow, Projection)):
            raise InvalidOption("parts", part, "give flows and projections")
        if part.name in [earlier.name for earlier in listed[:number]]:
            raise InvalidOption("parts", part, f"two parts have the name {part.name!r}; give each a name of its own")
    return listed


def checked_command_buses(parts: Sequence[Any], commands: Any, store: Storage) -> ServedBuses | None:
    """Return the typed buses that handle the commands of flows; None for no flows. Raises `InvalidOption`.

    They must handle the commands that the flows name in their code, and aggregates must record in the store.
    """
    flows = [part for part in parts if isinstance(part, Flow)]
    if flows and commands is None:
        cure = "flows send commands; give the typed bus that handles them, such as Follower(..., commands=desk)"
        raise InvalidOption("commands", commands, cure)
    if commands is None:
        return None
    if not flows:
        raise InvalidOption("commands", commands, "no part is a flow, so that nothing sends commands; leave it out")
    buses = _served(commands)
    for flow in flows:
        for kind in commands_of(flow):
            if not buses.find(kind, {}):
                cure = f"{flow.name} sends {kind.__qualname__}, which {buses.name} does not handle"
                raise InvalidOption("commands", commands, cure)
    for bus in buses.buses:
        if isinstance(bus, Aggregate) and bus.store is not store:
            cure = f"{bus.name} records in {bus.store!r}, whose log nothing follows here; give {bus.name}.stored(store)"
            raise InvalidOption("commands", commands, cure)
    return buses


def _served(commands: Any) -> ServedBuses:
    try:
        return ServedBuses(commands)
    except InvalidOption:
        cure = "give the typed bus that handles the commands, or a Bus around several: Bus([orders, stock])"
        raise InvalidOption("commands", commands, cure) from None


def commands_of(flow: Flow[Any]) -> tuple[type[Message], ...]:
    """Return the types of command that the functions of a flow name in their code, as far as that tells."""
    functions = (*flow.begins.values(), *flow.reacts.values(), *flow.timeouts.values())
    found = (kind for function in functions for kind in _named_in(function))
    return tuple(dict.fromkeys(kind for kind in found if isinstance(kind, type) and issubclass(kind, Command)))


def _named_in(function: Any) -> Iterator[Any]:
    """Yield the values of the global names in the code of a function."""
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    if isinstance(code, CodeType):
        for each in _codes_in(code):
            yield from (scope[name] for name in each.co_names if name in scope)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes_in(each)


def sources_of(
    parts: Iterable[Any], store: Storage, commands: CommandWorker | None, retry: RetryRules, log: Logger
) -> dict[str, TrackSource]:
    """Return the source of tracks of each part, by its name."""
    return {part.name: _source_of(part, store, commands, retry, log) for part in parts}


def _source_of(
    part: Any, store: Storage, commands: CommandWorker | None, retry: RetryRules, log: Logger
) -> TrackSource:
    if isinstance(part, Projection):
        return ProjectionSource(part, store, log)
    assert commands is not None  # as flows have them
    direct = DirectCommands(commands.buses, commands.outbox, log)
    return FlowTrack(FlowRules(part, CommandItems(commands.buses), direct, retry), store, commands.queue, log)
