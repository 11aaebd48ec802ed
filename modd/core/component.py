"""Components in their places, and parts: components that are made of components (MO-16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, ClassVar
from weakref import WeakSet

import msgspec

from modd.core.annotations import Accepts, Component, accepts_of_callable, name_of
from modd.core.message import Message
from modd.core.observer import Observer
from modd.errors import InvalidOption, NotAComponent, NotAMessage

__all__ = ["Accepts", "Component", "Part", "Receiver", "accepts_of", "inside", "name_of"]


_PLAIN = (FunctionType, MethodType, BuiltinFunctionType, partial)


class Receiver(msgspec.Struct, frozen=True, eq=False):
    """A component in its place in a part or bus: how to call it most quickly, and its declared types."""

    component: Component
    call: Component
    declared: Accepts

    @property
    def accepts(self) -> Accepts:
        """The message types; a part is asked anew, because the components inside it may have changed."""
        return self.component.accepts if isinstance(self.component, Part) else self.declared

    @property
    def is_bus(self) -> bool:
        """True for a bus, which always returns a tuple of the messages that left it."""
        return isinstance(self.component, Part) and self.component.is_bus

    @property
    def boundary(self) -> Part | None:
        """The bus that the component is or wraps, if any."""
        return self.component.boundary if isinstance(self.component, Part) else None


class Part:
    """A component made around other components; a bus is one, and so is each of `modd.parts`.

    Derive from it to write a part of your own: give the components inside to ``super().__init__``, define
    ``__call__``, and set `accepts` when it is not what the one component inside accepts. A part that wraps a bus
    passes on its boundary: what the bus let out is not given back to it (MO-16).
    """

    is_bus: ClassVar[bool] = False

    def __init__(self, *components: Component) -> None:
        self._around: WeakSet[Part] = WeakSet()
        self._inside: list[Receiver] = []
        for component in components:
            self._adopt(component)

    def __call__(self, message: Any, /) -> Any:
        """Give the message to the component inside."""
        return self._inside[0].call(message)

    @property
    def components(self) -> tuple[Component, ...]:
        """The components inside, in the order in which they were given."""
        return tuple(receiver.component for receiver in self._inside)

    @property
    def around(self) -> tuple[Part, ...]:
        """The parts that this one is a component of."""
        return tuple(self._around)

    @property
    def inside(self) -> tuple[Receiver, ...]:
        """The components inside with what each accepts."""
        return tuple(self._inside)

    @property
    def accepts(self) -> Accepts:
        """What a surrounding bus gives to this part."""
        return self._inside[0].accepts if self._inside else Accepts(everything=True)

    @property
    def boundary(self) -> Part | None:
        """The bus whose boundary this part is or passes on: what came from it is not given back to it."""
        return next((receiver.boundary for receiver in self._inside if receiver.boundary), None)

    @property
    def watchers(self) -> tuple[Observer, ...]:
        """Who observes what happens here: the observers of everything around."""
        return tuple(dict.fromkeys(watcher for part in tuple(self._around) for watcher in part.watchers))

    def renew(self) -> None:
        """What is inside has changed: have everything around look again."""
        for part in tuple(self._around):
            part.renew()

    def attach_to(self, part: Part) -> None:
        """Note a part that this part is a component of."""
        self._around.add(part)

    def detach_from(self, part: Part) -> None:
        """Forget a part that this part is no component of any more."""
        self._around.discard(part)

    def _adopt(self, component: Component) -> None:
        accepts = accepts_of(component)
        self._inside.append(Receiver(component, call_of(component), accepts))
        if isinstance(component, Part):
            component.attach_to(self)


def inside(component: Component, seen: set[int] | None = None) -> Iterator[Component]:
    """The component and everything in it, depth first, each once."""
    seen = set() if seen is None else seen
    if id(component) not in seen:
        seen.add(id(component))
        yield component
        for part in component.components if isinstance(component, Part) else ():
            yield from inside(part, seen)


def accepts_of(component: Any) -> Accepts:
    """What a component accepts: a part says it itself, of a callable it is read (MO-13).

    Raises `NotAComponent` for what cannot take a message, `UnresolvedAnnotation` for a name that cannot be found.
    """
    return component.accepts if isinstance(component, Part) else accepts_of_callable(component)


def call_of(component: Component) -> Component:
    """The quickest way to call a component: an object by its bound ``__call__``."""
    return component if isinstance(component, _PLAIN) else component.__call__  # type: ignore[operator]


def checked_components(components: Any) -> tuple[Component, ...]:
    """Return the components of a list. Raises `NotAComponent` for anything but a list."""
    if isinstance(components, Part) or callable(components) or not isinstance(components, Iterable):
        raise NotAComponent(components, "components are given in a list: Bus([...])")
    return tuple(components)


def checked_types(option: str, types: Any) -> tuple[type[Message], ...]:
    """Return the message types of a list. Raises `InvalidOption` for anything but a list of message types."""
    listed = tuple(types) if isinstance(types, Iterable) else (types,)
    if not isinstance(types, Iterable) or not all(
        isinstance(kind, type) and issubclass(kind, Message) for kind in listed
    ):
        raise InvalidOption(option, types, "give a list of message types")
    return listed


def check_message(message: object) -> None:
    """Raise `NotAMessage` unless a message was sent."""
    if not isinstance(message, Message):
        raise NotAMessage(message, "the sender")
