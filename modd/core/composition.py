"""Composition: adding components to a bus, removing and finding them, and opening them with the bus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any, cast

from modd.core.component import Accepts, Component, Part, accepts_of, inside, name_of
from modd.core.message import Message
from modd.core.observer import Observer, tell
from modd.errors import BusInsideItself, InvalidOption, UnknownComponent


def add(bus: Any, component: Component) -> None:
    """Add a component to a bus; see `Bus.add`."""
    if any(part is bus for part in inside(component)):
        raise BusInsideItself([bus.name, *_path_to(bus, component)])
    for kind in accepts_of(component).types:
        bus.routing.know(kind)
    bus.adopt(component)
    renew_inside(bus)
    tell(bus.watchers, lambda watcher: watcher.added(component, bus))


def remove(bus: Any, component: Component) -> None:
    """Remove a component from a bus; see `Bus.remove`."""
    watchers = bus.watchers
    if not bus.release(component):
        raise UnknownComponent(name_of(component), bus.name, map(name_of, bus.components))
    renew_inside(bus)
    renew_inside(component)
    tell(watchers, lambda watcher: watcher.removed(component, bus))


def find(bus: Part, name: str) -> Component:
    """Return the first component of that name inside a bus; see `Bus.find`."""
    known = [part for component in bus.components for part in inside(component)]
    for component in known:
        if name_of(component) == name:
            return component
    raise UnknownComponent(repr(name), name_of(bus), dict.fromkeys(map(name_of, known)))


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


@contextmanager
def observe(bus: Part, observer: Observer) -> Iterator[None]:
    """Tell an observer of every delivery in a bus and inside it; see `Bus.observe`. Raises `InvalidOption`."""
    if not isinstance(observer, Observer):
        raise InvalidOption("observer", observer, "give an instance of a class derived from modd.Observer")
    bus.observers.append(observer)
    renew_inside(bus)
    try:
        yield
    finally:
        bus.observers.remove(observer)
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


def _path_to(bus: Part, component: Component) -> list[str]:
    if component is bus:
        return [name_of(bus)]
    parts = component.components if isinstance(component, Part) else ()
    on_path = (part for part in parts if any(each is bus for each in inside(part)))
    return [name_of(component), *_path_to(bus, next(on_path))]
