"""Given, when, then: a test that reads like a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from modd.aggregate import Aggregate
from modd.core import Bus, Message
from modd.cqrs.stamps import Actor, Stamp
from modd.cqrs.typed_bus import TypedBus
from modd.errors import InvalidOption
from modd.flow import Flow
from modd.projection import Projection
from modd.service import Service
from modd.testing.aggregate_scenario import GivenAggregate
from modd.testing.bus_scenario import Given, Sending, Sent, stamps_of
from modd.testing.flow_events import Happening
from modd.testing.flow_scenario import GivenFlow
from modd.testing.projection_scenario import GivenProjection
from modd.testing.service_scenario import GivenService

S = TypeVar("S")


C = TypeVar("C")


P = ParamSpec("P")


@overload
def given(  # type: ignore[overload-overlap]  # an aggregate is a typed bus, too: the first one counts
    bus: Aggregate[S], *messages: Message, by: Actor | None = ..., stamps: Iterable[Stamp] = ...
) -> GivenAggregate[S]: ...
@overload
def given(bus: Flow[S], *messages: Happening) -> GivenFlow[S]: ...
@overload
def given(bus: Projection[S], *messages: Message) -> GivenProjection[S]: ...
@overload
def given(bus: Service[C, P], /, *model: P.args, **options: P.kwargs) -> GivenService[C]: ...
@overload
def given(bus: Bus | TypedBus, *messages: Sent, by: Actor | None = ..., stamps: Iterable[Stamp] = ...) -> Given: ...
def given(  # type: ignore[misc]  # a model has no argument of these names
    bus: Any, *messages: Any, by: Any = None, stamps: Any = (), **options: Any
) -> Any:
    """Begin a scenario: ``await given(bus, Added("a")).when(Paid()).then(Shipped("a"))``.

    bus: the bus to test; a typed bus that is in no other bus is tested alone, an aggregate without its middleware
        and inline parts, in a store of its own; a flow and a service under the guard of `modd.service.pure`; flows,
        services and projections are tested without ``await``.
    messages: messages that are sent first, one after another, to set up the state of the bus; for an aggregate the
        events of its past, for a flow the events and timeouts of an instance, for a projection the events that it has
        seen, for a service the model that the decision rests on.
    by: the actor of these messages; None, the default, for no actor.
    stamps: further stamps for these messages; by default none.

    Raises:
        InvalidOption: ``bus`` is no bus, or a typed bus in another bus; ``by`` is no actor, or ``stamps`` has others.
    """
    known = stamps_of(by, stamps)
    begin = next((begin for kind, begin in SUBJECTS.items() if isinstance(bus, kind)), None)
    if begin is None:
        raise InvalidOption(
            "bus", bus, "give a bus, an aggregate, a flow, a projection or a service to test: given(bus, ...)"
        )
    return begin(bus, messages, known, options)


def _given_service(service: Any, model: Sequence[Any], stamps: Sequence[Stamp], options: Mapping[str, Any]) -> Any:
    if stamps:
        raise InvalidOption("stamps", stamps, "a service sees no stamps and no actor; give the model alone")
    return GivenService(service, model, options)


def _given_flow(flow: Any, past: Sequence[Any], stamps: Sequence[Stamp], options: Mapping[str, Any]) -> Any:
    _refuse_options(options)
    _refuse_stamps("flow", stamps)
    return GivenFlow(flow, past)


def _given_projection(
    projection: Any, events: Sequence[Any], stamps: Sequence[Stamp], options: Mapping[str, Any]
) -> Any:
    _refuse_options(options)
    _refuse_stamps("projection", stamps)
    return GivenProjection(projection, events)


def _given_aggregate(aggregate: Any, past: Sequence[Any], stamps: Sequence[Stamp], options: Mapping[str, Any]) -> Any:
    _refuse_options(options)
    return GivenAggregate(aggregate, past, stamps)


def _given_bus(bus: Any, messages: Sequence[Any], stamps: Sequence[Stamp], options: Mapping[str, Any]) -> Any:
    _refuse_options(options)
    if isinstance(bus, TypedBus) and bus.around:
        raise InvalidOption("bus", bus, f"it is in {bus.around[0]!r}; give the outermost bus, which has its events")
    return Given(bus, Sending(messages, stamps))


def _refuse_stamps(subject: str, stamps: Sequence[Stamp]) -> None:
    if stamps:
        cure = f"the functions of a {subject} see no stamps and no actor; give events alone"
        raise InvalidOption("stamps", stamps, cure)


def _refuse_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        raise InvalidOption(
            name, value, "given takes by= and stamps=; only the model of a service may have other names"
        )


SUBJECTS: Mapping[type, Callable[[Any, Sequence[Any], Sequence[Stamp], Mapping[str, Any]], Any]] = {
    Service: _given_service,
    Flow: _given_flow,
    Projection: _given_projection,
    Aggregate: _given_aggregate,  # before the typed bus that it is, too
    Bus: _given_bus,
    TypedBus: _given_bus,
}
"""The beginning of a scenario by the type of its subject; the first that fits counts."""
