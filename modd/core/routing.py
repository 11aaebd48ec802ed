"""What a bus is made of: its components, its boundary, and who receives what (MO-4, MO-16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from modd.checks import checked_limit, checked_name
from modd.core.component import Accepts, Component, Part, Receiver, accepts_of, inside, name_of
from modd.core.graph import Graph
from modd.core.message import Failure, Message, wire_name
from modd.core.observer import Observer, tell
from modd.core.options import checked_list, checked_types
from modd.errors import BusInsideItself, DuplicateName, InvalidOption, UnknownComponent


def carefully(message: Any) -> Any:
    """Stands for the receivers of a message that the loop of `Bus` must leave to `delivery`; gives back itself."""
    return carefully


Routes = dict[type, tuple[Component, ...]]
"""Who is called for a type of message, where the loop of `Bus` can do that by itself."""


CAREFULLY = (carefully,)
"""Who is called for all others."""


class Wiring(Part):
    """The still part of a bus: everything but its turns."""

    def __init__(
        self,
        components: Iterable[Component],
        *,
        name: str,
        inbound: Iterable[type[Message]] | None,
        outbound: Iterable[type[Message]],
        concurrent: bool,
        limit: int | None,
    ) -> None:
        super().__init__()
        self.name = checked_name(name)
        self.limit = checked_limit(limit)
        self.concurrent = bool(concurrent)
        self.inbound = None if inbound is None else checked_types("inbound", inbound)
        listed = checked_types("outbound", outbound)
        self.outbound = tuple(kind for kind in listed if kind is not Failure)
        self.lets_failures_out = Failure in listed
        self._names: dict[str, type] = {}
        self._routes: Routes = {}
        """Who is called for a type, where the loop of `Bus` can do it; filled as types come, emptied by `renew`."""
        self._observers: list[Observer] = []
        self._watchers: tuple[Observer, ...] | None = None
        known: tuple[type[Message], ...] = (Failure, *(self.inbound or ()), *self.outbound)
        for kind in known:
            self.know(kind)
        for component in checked_list(components):
            self.add(component)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(map(name_of, self.components))}>"

    def add(self, component: Component) -> None:
        """Add a component; it gets messages from the next one taken, in a running turn too (MO-5).

        Raises `NotAComponent`, `UnresolvedAnnotation`, `DuplicateName`, `BusInsideItself`.
        """
        if self in inside(component):
            raise BusInsideItself([self.name, *_path_to(self, component)])
        for kind in accepts_of(component).types:
            self.know(kind)
        self._adopt(component)
        self._renew_all()
        tell(self.watchers, lambda watcher: watcher.added(component, self))

    def remove(self, component: Component) -> None:
        """Remove a component; it gets no message any more. Raises `UnknownComponent`."""
        at = next((i for i, receiver in enumerate(self._inside) if receiver.component is component), None)
        if at is None:
            raise UnknownComponent(name_of(component), self.name, map(name_of, self.components))
        watchers = self.watchers
        del self._inside[at]
        if isinstance(component, Part) and component not in self.components:
            component._around.discard(self)
        self._renew_all()
        for part in inside(component):
            if isinstance(part, Part):
                part.renew()
        tell(watchers, lambda watcher: watcher.removed(component, self))

    def find(self, name: str) -> Component:
        """The first component of that name in the bus, to any depth. Raises `UnknownComponent`."""
        known = [part for component in self.components for part in inside(component)]
        for component in known:
            if name_of(component) == name:
                return component
        raise UnknownComponent(repr(name), self.name, dict.fromkeys(map(name_of, known)))

    def graph(self) -> Graph:
        """The wiring as it is now, to print (``str``) or to draw (``.mermaid()``) (MO-26)."""
        return Graph(self)

    @contextmanager
    def observe(self, observer: Observer) -> Iterator[None]:
        """Tell the observer of every delivery here and in nested buses, for as long as the block lasts (MO-26)."""
        if not isinstance(observer, Observer):
            raise InvalidOption("observer", observer, "give an instance of a class derived from modd.Observer")
        self._observers.append(observer)
        self._renew_all()
        try:
            yield
        finally:
            self._observers.remove(observer)
            self._renew_all()

    @property
    def accepts(self) -> Accepts:
        """What the bus lets in as a component of another: ``inbound``, or what its components accept."""
        if self.inbound is not None:
            return Accepts(self.inbound, everything=Message in self.inbound, catches=False)
        offers = [receiver.accepts.without_failures() for receiver in self._inside]
        narrow = [offer for offer in offers if not offer.everything]
        types = tuple(dict.fromkeys(kind for offer in narrow for kind in offer.types))
        alone = not types and any(offer.everything for offer in offers)
        return Accepts(types, everything=alone, catches=False)

    @property
    def boundary(self) -> Part | None:
        """The bus itself: what it let out is not given back to it."""
        return self

    @property
    def watchers(self) -> tuple[Observer, ...]:
        """Who observes this bus: its own observers and those of everything around."""
        if self._watchers is None:
            self._watchers = tuple(dict.fromkeys((*self._observers, *super().watchers)))
        return self._watchers

    def receivers(self, kind: type) -> tuple[Receiver, ...]:
        """The components that accept a message type, in their order; worked out once for the loop of `Bus`."""
        self.know(kind)
        receivers = tuple(receiver for receiver in self._inside if receiver.accepts.takes(kind))
        plain = all(receiver.boundary is None or isinstance(receiver.component, Wiring) for receiver in receivers)
        if plain and not (self.watchers or self.concurrent or issubclass(kind, Failure)):
            self._routes[kind] = tuple(receiver.call for receiver in receivers)
        return receivers

    def receiver_of(self, call: Component) -> Receiver:
        """The component that is called this way; it may have removed itself meanwhile."""
        known = (receiver for receiver in self._inside if receiver.call is call)
        return next(known, None) or Receiver(getattr(call, "__self__", call), call, Accepts())

    def know(self, kind: type) -> None:
        """Hold message types to one name each. Raises `DuplicateName` (MO-4)."""
        name = wire_name(kind)
        known = self._names.setdefault(name, kind)
        if known is not kind:
            raise DuplicateName(name, known, kind, self.name)

    def renew(self) -> None:
        """Work routes out anew; the loop of a running turn sees it at the next message."""
        self._routes.clear()
        self._watchers = None
        super().renew()

    def _renew_all(self) -> None:
        """Renew everything inside, too: who observes the bus observes that as well."""
        for part in inside(self):
            if isinstance(part, Part):
                part.renew()


def _path_to(bus: Part, component: Component) -> list[str]:
    """The names from a component down to a bus inside it."""
    if component is bus:
        return [name_of(bus)]
    parts = component.components if isinstance(component, Part) else ()
    return next([name_of(component), *_path_to(bus, part)] for part in parts if bus in inside(part))
