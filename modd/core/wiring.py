"""The check of the wiring of a bus: faults that show before a message is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from modd.core.answerer import Answerer, answerers_in
from modd.core.component import Part, Receiver, inside, name_of
from modd.core.flow import asked_by, emitted_by, may_emit, may_send
from modd.core.identity import is_among, unique
from modd.core.message import Failure, Intent, Message
from modd.core.naming import UNNAMED, parts_with_place, placed_name
from modd.core.routing import takes_by_name
from modd.errors import InvalidWiring


class Finding(msgspec.Struct, frozen=True):
    """A fault in the wiring of a bus, as `Bus.check` returns it.

    text: the fault. cure: the change that mends it. error: True if the bus cannot be opened with it; False, the
    default, for a warning in the log.
    """

    text: str
    cure: str
    error: bool = False

    def __str__(self) -> str:
        return f"{self.text}; {self.cure}"


def findings_in(bus: Any) -> tuple[Finding, ...]:
    """Return the faults in the wiring of a bus and of all buses inside; see `Bus.check`."""
    buses: list[Any] = [part for part in inside(bus) if isinstance(part, Part) and part.is_bus]
    found = [*_same_names(bus), *_circles(bus, buses)]
    for each in buses:
        found += [*_inbound_untaken(each), *_outbound_unemitted(each), *_unreached(each), *_not_let_out(each)]
    return tuple(found)


def check_on_opening(bus: Any) -> None:
    """Log each finding as a warning. Raises `InvalidWiring` for findings with which a bus cannot be opened."""
    found = findings_in(bus)
    _refuse(bus, found)
    for finding in found:
        logging.getLogger("modd").warning("%s: %s", bus.name, finding)


def check_names(bus: Any) -> None:
    """Raise `InvalidWiring` if two typed buses, or two contexts of one bus, have the same name."""
    _refuse(bus, _same_names(bus))


def _refuse(bus: Any, found: Iterable[Finding]) -> None:
    errors = tuple(finding for finding in found if finding.error)
    if errors:
        raise InvalidWiring(bus.name, errors)


def _same_names(bus: Any) -> Iterator[Finding]:
    """Find typed buses of one name, and contexts of one name side by side: a name is part of keys and of errors."""
    places = {id(part): place for part, place in reversed([*parts_with_place(bus)])}
    typed: dict[str, list[str]] = {}
    contexts: dict[tuple[str, str], list[str]] = {}
    for part in unique(part for part, _ in parts_with_place(bus)):
        if isinstance(part, Answerer):
            typed.setdefault(part.name, []).append(f"{part!r} in {places[id(part)]}")
        elif part.is_bus and name_of(part) != UNNAMED:
            contexts.setdefault((places[id(part)], name_of(part)), []).append(repr(part))
    cure = "give each a name of its own, or leave `name` out and put each into a context with a name of its own"
    for name, buses in typed.items():
        if len(buses) > 1:
            yield Finding(f"{len(buses)} typed buses are named {name!r}: {' and '.join(buses)}", cure, error=True)
    for (place, name), buses in contexts.items():
        if len(buses) > 1:
            text = f"{len(buses)} contexts in {place} are named {name!r}: {' and '.join(buses)}"
            yield Finding(text, "give each a name of its own", error=True)


def _inbound_untaken(bus: Any) -> Iterator[Finding]:
    """Find types in ``inbound`` that no component inside takes; a catch-all takes no intents."""
    grows = any(isinstance(each, Part) and each.grows for each in inside(bus))
    for kind in () if grows else bus.inbound or ():
        derived = any(issubclass(each, kind) for receiver in bus.inside for each in receiver.accepts.types)
        taken = takes_by_name(bus.inside, kind) or (
            not issubclass(kind, Intent) and any(receiver.accepts.takes(kind) for receiver in bus.inside)
        )
        if not (derived or taken or kind in (Message, Failure)):
            name = kind.__qualname__
            yield Finding(
                f"{_name(bus)} lists {name} in inbound, and nothing inside takes it",
                f"register a handler of {name} there, or leave it out of inbound",
            )


def _outbound_unemitted(bus: Any) -> Iterator[Finding]:
    """Find types in ``outbound`` that the components inside are known never to return or to emit."""
    for kind in bus.outbound if bus.components else ():
        if not any(may_emit(component, kind) for component in bus.components):
            name = kind.__qualname__
            yield Finding(
                f"{_name(bus)} lists {name} in outbound, and nothing inside returns or emits it",
                f"return or emit {name} there, or leave it out of outbound",
            )


def _unreached(bus: Any) -> Iterator[Finding]:
    """Find handlers in the contexts of a bus that the ``inbound`` of a context keeps from every message.

    A typed bus that queues gets its messages from a worker, too, whatever ``inbound`` says.
    """
    for receiver in bus.inside:
        context: Any = receiver.component
        if not receiver.is_bus or context.inbound is None:
            continue
        handled = dict.fromkeys(kind for part in answerers_in(context) if not part.may_queue for kind in part.types)
        for kind in handled:
            if not receiver.accepts.takes(kind) and not _comes_from_inside(context, kind):
                name = kind.__qualname__
                yield Finding(
                    f"nothing reaches the handler of {name} in {_name(context)}: the inbound of {_name(context)} does "
                    f"not list {name}, and nothing inside returns, emits or dispatches it",
                    f"list {name} in the inbound of {_name(context)}",
                )


def _comes_from_inside(context: Any, kind: type[Message]) -> bool:
    """Return True if a listed type, or a component inside that is no bus, may bring a message of a type."""
    parts = [each for each in inside(context) if not (isinstance(each, Part) and each.is_bus)]
    return (
        any(issubclass(each, kind) for each in context.inbound)
        or any(may_emit(each, kind) for each in parts)
        or any(asked is kind for each in parts for asked in asked_by(each))
    )


def _not_let_out(bus: Any) -> Iterator[Finding]:
    """Find events that a context emits and keeps inside, although a component beside it waits for them.

    Silent if the event may have a way out, or if the component may get it in another way.
    """
    known = _receivers_by_type(bus)  # so that the work is linear
    for context in (receiver.component for receiver in bus.inside if receiver.is_bus):
        emitted = dict.fromkeys(kind for each in context.components for kind in emitted_by(each))
        for kind in emitted:
            receivers = [each for base in kind.__mro__ for each in known.get(base, ()) if each.component is not context]
            takers = [] if not receivers or _may_leave(context, kind) else _waiting_for(bus, context, kind, receivers)
            if takers:
                name, here = kind.__qualname__, _name(context)
                there = " and ".join(_name(taker) if isinstance(taker, Part) else name_of(taker) for taker in takers)
                yield Finding(
                    f"{there} never gets {name}, which {here} emits: the outbound of {here} does not list {name}",
                    f"list {name} in the outbound of {here}",
                )


def _may_leave(context: Any, kind: type[Message]) -> bool:
    """Return True if a message of a type may leave a context: through its outbound, or sent on by a component."""
    parts = (each for each in inside(context) if isinstance(each, Part))
    takers = (each for part in parts for each in part.inside if not each.is_bus and each.accepts.takes(kind))
    return issubclass(kind, (Intent, Failure)) or may_emit(context, kind) or any(may_send(t.component) for t in takers)


def _receivers_by_type(bus: Any) -> dict[type, list[Receiver]]:
    found: dict[type, list[Receiver]] = {}
    for receiver in bus.inside:
        for kind in receiver.accepts.types:
            found.setdefault(kind, []).append(receiver)
    return found


def _waiting_for(bus: Any, context: Any, kind: type[Message], receivers: Iterable[Receiver]) -> list[Any]:
    """Return the components among these receivers that take a type by name, and that nothing else may bring it to."""
    if any(may_emit(component, kind) for component in bus.components if component is not context):
        return []
    takers = unique(receiver.component for receiver in receivers if takes_by_name((receiver,), kind))
    return [taker for taker in takers if not any(may_emit(part, kind) for part in _leaves_of(taker))]


def _leaves_of(component: Any) -> Iterator[Any]:
    """Yield the components in a bus that are no buses, to any depth; nothing for another component."""
    within = inside(component) if isinstance(component, Part) and component.is_bus else ()
    return (each for each in within if not (isinstance(each, Part) and each.is_bus))


def _circles(bus: Any, buses: list[Any]) -> Iterator[Finding]:
    """Find contexts whose turns do not overlap, and that are known to ask each other in a circle.

    Two turns in an outer bus whose turns do not overlap are never at the same time, so the outermost such buses count.
    """
    exclusive = [each for each in buses if each.gate is not None]
    contexts = [each for each in exclusive if not any(is_among(each, inside(o)) for o in exclusive if o is not each)]
    if len(contexts) < 2:
        return
    asked = {id(each): _asked_contexts(bus, each, contexts) for each in contexts}
    told: set[frozenset[int]] = set()
    for start in contexts:
        circle = _path_back(start, asked)
        if circle and frozenset(map(id, circle)) not in told:
            told.add(frozenset(map(id, circle)))
            yield Finding(
                f"{' asks '.join(map(_name, (*circle, circle[0])))}, and turns of each run one after another: turns at "
                "the same time wait for each other",
                "let turns of one of them overlap (exclusive=False or a key), or send an event in place of asking",
                error=True,
            )


def _asked_contexts(bus: Any, asker: Any, contexts: list[Any]) -> list[Any]:
    """Return the contexts that the components of another one ask, as far as it is known."""
    kinds = dict.fromkeys(kind for component in inside(asker) for kind in asked_by(component))
    answering = [answerer for kind in kinds for answerer in answerers_in(bus, kind)]
    others = (each for each in contexts if each is not asker)
    return [each for each in others if any(is_among(answerer, inside(each)) for answerer in answering)]


def _path_back(start: Any, asked: dict[int, list[Any]]) -> list[Any]:
    """Return the shortest path on which a bus asks itself, without its end; nothing if there is none."""
    paths, seen = [[start]], set[int]()
    for path in paths:
        for other in asked[id(path[-1])]:
            if other is start:
                return path
            if id(other) not in seen:
                seen.add(id(other))
                paths.append([*path, other])
    return []


def _name(bus: Any) -> str:
    return name_of(bus) if isinstance(bus, Answerer) else placed_name(bus, name_of(bus))
