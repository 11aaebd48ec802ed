"""Components in their places, and parts: components that are made of components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, ClassVar

import msgspec

from modd.checks import checked_subclasses
from modd.core.annotations import Accepts, Component, accepts_of_callable, name_of, parameters_of, refuse_unbound
from modd.core.identity import WeakObjects, identity_of, is_among, unique
from modd.core.message import Message
from modd.core.observer import Observer
from modd.errors import NotAComponent, NotAMessage

__all__ = [
    "Accepts",
    "Component",
    "Part",
    "Receiver",
    "accepts_of",
    "inside",
    "name_of",
    "parameters_of",
    "refuse_unbound",
]


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

    Derive from it to write your own part: give the components inside to ``super().__init__``, define ``__call__``, and
    set `accepts` if the part accepts other types than its first component. A part that wraps a bus passes on the
    boundary of the bus: a message that the bus let out does not come back through the part.

    components: the components inside.
    """

    is_bus: ClassVar[bool] = False
    grows: ClassVar[bool] = False
    """True for a part that is made to return components, as many as there are messages."""

    def __init__(self, *components: Component) -> None:
        self._around: WeakObjects[Part] = WeakObjects()
        self._inside: list[Receiver] = []
        self.observers: list[Observer] = []
        """The observers of this part alone; `composition.observe` adds and removes them."""
        self._watchers: tuple[Observer, ...] | None = None
        for component in components:
            self.adopt(component)

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
        """The components inside, each with the types that it accepts."""
        return tuple(self._inside)

    @property
    def accepts(self) -> Accepts:
        """The message types that a surrounding bus gives to this part."""
        return self._inside[0].accepts if self._inside else Accepts(everything=True)

    @property
    def boundary(self) -> Part | None:
        """The bus that this part is or wraps: a message from that bus does not come back to it."""
        return next((each.boundary for each in self._inside if each.boundary is not None), None)

    @property
    def watchers(self) -> tuple[Observer, ...]:
        """The observers of this part and of everything around it."""
        if self._watchers is None:
            around = (watcher for part in self._around for watcher in part.watchers)
            self._watchers = unique((*self.observers, *around))
        return self._watchers

    def renew(self) -> None:
        """Work out anew what depends on the parts inside and around; have everything around do so, too."""
        self._watchers = None
        for part in self._around:
            part.renew()

    def attach_to(self, part: Part) -> None:
        """Note a part that this part is a component of."""
        self._around.add(part)

    def detach_from(self, part: Part) -> None:
        """Forget a part that this part is no component of any more."""
        self._around.discard(part)

    def adopt(self, component: Component, accepts: Accepts | None = None) -> None:
        """Take in one more component. Raises `NotAComponent`, `UnresolvedAnnotation`.

        accepts: the types that the component accepts, if they are known.
        """
        accepts = accepts_of(component) if accepts is None else accepts
        self._inside.append(Receiver(component, call_of(component), accepts))
        if isinstance(component, Part):
            component.attach_to(self)

    def release(self, component: Component) -> bool:
        """Let a component go, at its first place; returns False if it is not inside."""
        wanted, parts = identity_of(component), enumerate(receiver.component for receiver in self._inside)
        at = next((at for at, part in parts if part is component or identity_of(part) == wanted), None)
        if at is None:
            return False
        del self._inside[at]
        if isinstance(component, Part) and not is_among(component, self.components):
            component.detach_from(self)
        return True


def inside(component: Component, seen: set[int] | None = None) -> Iterator[Component]:
    """Yield a component and every component inside it, depth first, each once."""
    seen = set() if seen is None else seen
    if id(component) not in seen:
        seen.add(id(component))
        yield component
        for part in component.components if isinstance(component, Part) else ():
            yield from inside(part, seen)


def accepts_of(component: Any) -> Accepts:
    """Return the message types that a component accepts: a part says so itself, a callable by its annotation.

    Raises `NotAComponent` for an object that takes no message, `UnresolvedAnnotation` for a name that cannot be found.
    """
    return component.accepts if isinstance(component, Part) else accepts_of_callable(component)


def call_of(component: Component) -> Component:
    """Return the quickest call of a component: for an object its bound ``__call__``."""
    return component if isinstance(component, _PLAIN) else component.__call__  # type: ignore[operator]


def checked_components(components: Any) -> tuple[Component, ...]:
    """Return the components of a list. Raises `NotAComponent` for anything but a list."""
    if isinstance(components, Part) or callable(components) or not isinstance(components, Iterable):
        raise NotAComponent(components, "components are given in a list: Bus([...])")
    return tuple(components)


def checked_types(option: str, types: Any) -> tuple[type[Message], ...]:
    """Return the message types of a list. Raises `InvalidOption` for anything but a list of message types."""
    return checked_subclasses(option, types, Message)


def check_message(message: object) -> None:
    """Raise `NotAMessage` unless a message was sent."""
    if not isinstance(message, Message):
        raise NotAMessage(message, "the sender")
