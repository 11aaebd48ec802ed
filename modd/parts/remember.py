"""Remember: a component that also gets the latest messages of other types (MO-21)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from inspect import Parameter
from typing import Any

from modd.core import Accepts, Component, Message, Part, Receiver, accepts_of, name_of
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, checked_types, widened


class Remember(NamedPart):
    """Gives a component the latest message of each named type, besides the message itself (MO-21).

    Use it where handling one message needs what others said before, and the component is to keep no state:
    ``Remember(checkout, CartTotals)`` for ``def checkout(message: AtCheckout, totals: CartTotals | None)``.

    component: a component that takes an argument more per type, in their order, None as long as there was no such
        message (parameters by position, those with a default as well); or one that takes the message alone, a bus for
        example: it is given the latest of each type, as messages, just ahead of each message.
    types: the types to remember; subclasses count. Those that the component does not accept are remembered as well.

    A message is remembered before it is given to the component (it is itself the latest of its type) and stays so
    whatever comes of it. To remember a failure is not to handle it. A component that fails with one that is given
    ahead is not given the message. Raises `InvalidOption`, `NotAComponent`, `UnresolvedAnnotation`.
    """

    def __init__(self, component: Callable[..., Any], *types: type[Message]) -> None:
        self._types = checked_types("types", types)
        self._latest: dict[type[Message], Message] = {}
        self._as_arguments = _takes_more(component, self._types)
        super().__init__(*[] if self._as_arguments else [component], of=[component])
        if self._as_arguments:  # outside of a Remember it would be no component, so Part would not take it
            self._inside.append(Receiver(component, component, _accepts_of_first(component)))

    def __call__(self, message: Any, /) -> Any:
        """Remember the message if it is of a type to remember; give it to the component if that accepts it."""
        kinds = [kind for kind in self._types if isinstance(message, kind)]
        self._latest.update(dict.fromkeys(kinds, message))
        inner = self._inside[0]
        if kinds and not inner.accepts.takes(type(message)):
            return None
        if self._as_arguments:
            return inner.call(message, *[self._latest.get(kind) for kind in self._types])
        return self._after_latest(message)

    @property
    def accepts(self) -> Accepts:
        """What the component accepts, and the types to remember."""
        return widened(super().accepts, self._types)

    def _after_latest(self, message: Message) -> Iterator[Any]:
        latest = {id(self._latest[kind]): self._latest[kind] for kind in self._types if kind in self._latest}
        for earlier in latest.values():
            if earlier is not message:
                yield self._inside[0].call(earlier)
        yield self._inside[0].call(message)


def _takes_more(component: Component, types: tuple[type[Message], ...]) -> bool:
    """Whether the component takes the latest as arguments; raises `InvalidOption` if it cannot take so many."""
    if isinstance(component, Part):
        return False
    first, *others = _parameters(component) or [Parameter("message", Parameter.POSITIONAL_ONLY)]
    more = [other for other in others if other.kind in (other.POSITIONAL_ONLY, other.POSITIONAL_OR_KEYWORD)]
    required = sum(other.default is other.empty for other in more)
    several = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in (first, *others))
    if not (more or several):
        _check_takes_all(component, types)
    elif not required <= len(types) <= (len(types) if several else len(more)):
        wanted = f"{name_of(component)} takes {len(more)} arguments besides the message; name a type for each"
        raise InvalidOption("types", types, wanted)
    return bool(more or several)


def _check_takes_all(component: Component, types: tuple[type[Message], ...]) -> None:
    accepts = accepts_of(component)
    for kind in types:
        if not accepts.takes(kind):
            cure = f"have it take one more argument per type, or accept {kind.__name__}"
            raise InvalidOption("types", types, f"{name_of(component)} could not be given {kind.__name__}; {cure}")


def _parameters(component: Component) -> list[Parameter]:
    if isinstance(component, type) or not callable(component):
        accepts_of(component)  # says what is wrong with it
    try:
        return list(inspect.signature(component).parameters.values())
    except ValueError:  # some builtins tell nothing of their parameters
        return []


def _accepts_of_first(component: Component) -> Accepts:
    """What the component accepts, as if it took the message and nothing else by position."""
    head = partial(component)
    first, *others = _parameters(component)
    named = [other for other in others if other.kind is other.KEYWORD_ONLY]
    vars(head)["__signature__"] = inspect.Signature([first, *named])
    return accepts_of(head)
