"""Composition: adding components to a bus, removing and finding them, and opening them with the bus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar, cast, overload

from modd.concurrency.blocks import block
from modd.core.answerer import Answerer
from modd.core.component import Accepts, Component, Part, accepts_of, inside, name_of
from modd.core.identity import is_among, remove_from
from modd.core.message import Message
from modd.core.naming import name_inside
from modd.core.observer import Observer, tell
from modd.errors import BusInsideItself, InvalidOption, NotAComponent, UnknownComponent

C = TypeVar("C")


MOST_GROWTH = 100
"""The most messages for which a component may return components, unless some are removed."""


def add(bus: Any, component: Component) -> None:
    """Add a component to a bus; see `Bus.add`."""
    is_part = isinstance(component, Part)
    if is_part and is_among(bus, inside(component)):
        raise BusInsideItself([bus.name, *_path_to(bus, component)])
    if is_part:
        _check_stored_names(bus, component)
    accepts = accepts_of(component)
    for kind in accepts.types:
        bus.routing.know(kind)
    bus.adopt(component, accepts)
    if is_part:
        renew_inside(component)
    bus.renew()
    tell(bus.watchers, lambda watcher: watcher.added(component, bus))


def _check_stored_names(bus: Any, component: Component) -> None:
    """Raise `InvalidOption` for a part beside another of its name, if both store under their names."""
    new = [*_storing(component)]
    if not new:
        return
    others = {each.name: each for root in _outermost(bus) for each in _storing(root)}
    for part in new:
        if others.setdefault(part.name, part) is not part:
            cure = (
                f"{bus.name} has another part that stores under the name {part.name!r}; give each a name of its own, "
                "or put in one of them: a copy with another store takes the place of its original"
            )
            raise InvalidOption("components", part, cure)


def _storing(component: Component) -> Iterator[Answerer]:
    return (part for part in inside(component) if isinstance(part, Answerer) and part.stores_by_name)


def _outermost(part: Part) -> Iterator[Part]:
    """Yield the parts around a part that have nothing around, or the part itself."""
    if not part.around:
        yield part
    for each in part.around:
        yield from _outermost(each)


def add_returned(bus: Any, giver: Component, component: Any, *, first: bool) -> None:
    """Add a component that a component inside returned. Raises `NotAComponent` if it does so again and again.

    first: True for the first component that it returned for a message.
    """
    if first and bus.routing.count_growth(giver) > MOST_GROWTH and not any(_grows(part) for part in inside(giver)):
        reason = (
            f"{name_of(giver)} has returned components for {MOST_GROWTH} messages, and {bus.name} keeps them all; "
            "return messages, return a component once, use modd.parts.Spawn, or remove components that are done"
        )
        raise NotAComponent(component, reason)
    bus.add(component)


def _grows(component: Component) -> bool:
    return isinstance(component, Part) and component.grows


def remove(bus: Any, component: Component) -> None:
    """Remove a component from a bus; see `Bus.remove`."""
    watchers = bus.watchers
    if not bus.release(component):
        raise UnknownComponent(name_of(component), bus.name, map(name_of, bus.components))
    bus.routing.forget_names()
    renew_inside(component)
    bus.renew()
    tell(watchers, lambda watcher: watcher.removed(component, bus))


@overload
def find(bus: Any, name: str) -> Component: ...
@overload
def find(bus: Any, name: str, kind: type[C]) -> C: ...
def find(bus: Any, name: str, kind: Any = object) -> Any:
    """Return the first component of that name in the bus, to any depth.

    Of the name of a typed bus, such as "billing.commands", contexts in front may be left out if only one fits.

    kind: the class of the component, which is then known to type checkers: ``bus.find("billing", CommandBus)``; any by
        default.

    Raises `UnknownComponent`, and `InvalidOption` for a kind that is no class.
    """
    if not isinstance(kind, type):
        raise InvalidOption("kind", kind, "give a class, such as CommandBus")
    known = [part for component in bus.components for part in inside(component) if isinstance(part, kind)]
    found = [part for wanted in (name, name_inside(bus, name)) for part in known if name_of(part) == wanted]
    placed = [part for part in known if isinstance(part, Answerer) and part.name.endswith(f".{name}")]
    if found or len(placed) == 1:
        return (found or placed)[0]
    wanted = repr(name) if kind is object else f"{name!r} that is a {kind.__qualname__}"
    raise UnknownComponent(wanted, name_of(bus), dict.fromkeys(map(name_of, known)))


def accepted_by(bus: Part, inbound: tuple[type[Message], ...] | None) -> Accepts:
    """Return the message types that a bus takes as a component of another bus: inbound, or all of its components.

    Catch-alls do not widen it, but a bus of catch-alls alone takes everything; failures only cross if they are listed.
    """
    if inbound is not None:
        return Accepts(inbound, everything=Message in inbound, catches=False)
    offers = [receiver.accepts.without_failures() for receiver in bus.inside]
    narrow = [offer for offer in offers if not offer.everything]
    types = tuple(dict.fromkeys(kind for offer in narrow for kind in offer.types))
    alone = not types and any(offer.everything for offer in offers)
    return Accepts(types, everything=alone, catches=False)


@block
def observe(bus: Part, observer: Observer) -> Iterator[None]:
    """Tell an observer of every delivery in a bus and inside it; see `Bus.observe`. Raises `InvalidOption`."""
    if not isinstance(observer, Observer):
        raise InvalidOption("observer", observer, "give an instance of a class derived from modd.Observer")
    bus.observers.append(observer)
    renew_inside(bus)
    try:
        yield
    finally:
        remove_from(bus.observers, observer)
        renew_inside(bus)


def renew_inside(component: Component) -> None:
    """Have a component and all parts inside it work out anew who receives and who observes."""
    for part in inside(component):
        if isinstance(part, Part):
            part.renew()


async def enter_inside(bus: Part, stack: AsyncExitStack) -> None:
    """Enter on a stack every component inside a bus that is an async context manager; a bus inside is open, too."""
    for component in inside(bus):
        if component is bus:
            continue
        if isinstance(component, Part) and component.is_bus:
            cast(Any, component).lifespan.join(stack)
        elif hasattr(type(component), "__aenter__"):
            await stack.enter_async_context(cast(AbstractAsyncContextManager[Any], component))
            if isinstance(component, Answerer):
                cast(Any, bus).lifespan.bind_like(component.lifespan)


def _path_to(bus: Part, component: Component) -> list[str]:
    if component is bus:
        return [name_of(bus)]
    parts = component.components if isinstance(component, Part) else ()
    return next([name_of(component), *_path_to(bus, part)] for part in parts if is_among(bus, inside(part)))
