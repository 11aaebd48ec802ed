"""What the parts share: a name to be read in errors and journeys, and what a part accepts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modd.component import Accepts, Component, Part, name_of
from modd.failure import Failure
from modd.message import Message


class NamedPart(Part):
    """A part that is called after what it is made of: ``Filter(cart)``, ``Merge(Ordered, Paid)``."""

    def __init__(self, *components: Component, of: Iterable[Any]) -> None:
        super().__init__(*components)
        names = [kind.__name__ if isinstance(kind, type) else name_of(kind) for kind in of]
        self.name = f"{type(self).__name__}({', '.join(names)})" if names else type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Narrowed(Accepts, frozen=True):
    """What another accepts, as far as it is allowed and not denied."""

    whole: Accepts = Accepts()
    allow: tuple[type[Message], ...] = ()
    deny: tuple[type[Message], ...] = ()

    def takes(self, kind: type) -> bool:
        """Whether a message of this type is given to the component."""
        return self.whole.takes(kind) and issubclass(kind, self.allow) and not issubclass(kind, self.deny)


def narrowed(whole: Accepts, allow: tuple[type[Message], ...], deny: tuple[type[Message], ...]) -> Narrowed:
    """The same with fewer types. ``Failure`` is only among them if it was: to see failures is not to handle them."""
    offered: tuple[type[Message], ...] = (*whole.types, Message) if whole.everything else whole.types
    common = [_narrower(t, a) for t in offered for a in allow if issubclass(a, t) or issubclass(t, a)]
    types = tuple(
        kind
        for kind in dict.fromkeys(common)
        if kind is not Message and not issubclass(kind, deny) and (kind is not Failure or whole.handles_failures)
    )
    return Narrowed(types, whole.everything and Message in allow, whole.catches, whole, allow, deny)


def _narrower(one: type[Message], other: type[Message]) -> type[Message]:
    return one if issubclass(one, other) else other


class Widened(Accepts, frozen=True):
    """What another accepts, and types that are seen besides: a failure among them is not handled by that."""

    seen: tuple[type[Message], ...] = ()

    def takes(self, kind: type) -> bool:
        """Whether a message of this type is given to the component."""
        return issubclass(kind, self.seen) or super().takes(kind)


def widened(whole: Accepts, seen: tuple[type[Message], ...]) -> Widened:
    """The same with types that are seen besides."""
    more = tuple(kind for kind in seen if kind is not Failure and kind not in whole.types)
    return Widened((*whole.types, *more), whole.everything, whole.catches, seen)
