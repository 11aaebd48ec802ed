"""Remember: a part that gives a component the latest messages of other types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from inspect import Parameter
from typing import Any

from modd.core import Accepts, Component, Message, Part, Receiver, accepts_of, name_of
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, checked_message_types, widen
from modd.texts import amount

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Remember(NamedPart):
    """Gives a component the latest message of other types together with each message (Rx: withLatestFrom).

    Use it if a component needs earlier messages and should keep no state itself:
    ``Remember(checkout, CartTotals)`` for ``def checkout(message: AtCheckout, totals: CartTotals | None)``.

    component: a component with one more positional parameter for each type, in their order; an argument is None until a
        message of its type has arrived. Or a component that takes the message alone, such as a bus: it first gets the
        latest message of each type, then the message.
    types: the types to remember, whether the component accepts them or not; subclasses count.

    A message is remembered before the component gets it, so it is itself the latest of its type, and it stays
    remembered if the component fails. To remember a failure does not handle it. If a component fails with a remembered
    message, it does not get the message after that.

    Raises:
        InvalidOption: a type is no message type, or the number of types does not fit the parameters.
        NotAComponent: ``component`` cannot take a message.
        UnresolvedAnnotation: the annotation of its parameter cannot be resolved.
    """

    def __init__(self, component: Callable[..., Any], *types: type[Message]) -> None:
        self._types = checked_message_types("types", types)
        self._latest: dict[type[Message], Message] = {}
        self._as_arguments = _takes_latest(component, self._types)
        super().__init__(*[] if self._as_arguments else [component], of=[component])
        if self._as_arguments:  # Part would refuse it, because a component takes one argument
            self._inside.append(Receiver(component, component, _accepts_of_first(component)))

    def __call__(self, message: Any, /) -> Any:
        """Remember the message if its type is named; pass it to the component if that accepts it."""
        kinds = [kind for kind in self._types if isinstance(message, kind)]
        self._latest.update(dict.fromkeys(kinds, message))
        inner = self._inside[0]
        if kinds and not inner.accepts.takes(type(message)):
            return None
        if self._as_arguments:
            return inner.call(message, *[self._latest.get(kind) for kind in self._types])
        return self._call_with_latest(message)

    @property
    def accepts(self) -> Accepts:
        """The types that the component accepts, and the types to remember."""
        return widen(super().accepts, self._types)

    def _call_with_latest(self, message: Message) -> Iterator[Any]:
        latest = {id(self._latest[kind]): self._latest[kind] for kind in self._types if kind in self._latest}
        for earlier in latest.values():
            if earlier is not message:
                yield self._inside[0].call(earlier)
        yield self._inside[0].call(message)


def _takes_latest(component: Component, types: tuple[type[Message], ...]) -> bool:
    """True if the component takes the latest messages as arguments. Raises `InvalidOption` if their number differs."""
    if isinstance(component, Part):
        return False
    first, *rest = _parameters(component) or [Parameter("message", Parameter.POSITIONAL_ONLY)]
    extra = [parameter for parameter in rest if parameter.kind in _POSITIONAL]
    required = sum(parameter.default is parameter.empty for parameter in extra)
    is_variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in (first, *rest))
    if not (extra or is_variadic):
        _check_accepts_all(component, types)
    elif not required <= len(types) <= (len(types) if is_variadic else len(extra)):
        cure = f"{name_of(component)} takes {amount(len(extra), 'argument')} besides the message; name a type for each"
        raise InvalidOption("types", types, cure)
    return bool(extra or is_variadic)


def _check_accepts_all(component: Component, types: tuple[type[Message], ...]) -> None:
    accepts = accepts_of(component)
    for kind in types:
        if not accepts.takes(kind):
            cure = f"add a parameter for each type, or let it accept {kind.__name__}"
            raise InvalidOption("types", types, f"{name_of(component)} cannot take {kind.__name__}; {cure}")


def _parameters(component: Component) -> list[Parameter]:
    if isinstance(component, type) or not callable(component):
        accepts_of(component)  # raises an error that explains the problem
    try:
        return list(inspect.signature(component).parameters.values())
    except ValueError:  # some builtins have no signature
        return []


def _accepts_of_first(component: Component) -> Accepts:
    """Return the types of the first parameter, as if the component had no other positional parameters."""
    head = partial(component)
    first, *rest = _parameters(component)
    keyword_only = [parameter for parameter in rest if parameter.kind is parameter.KEYWORD_ONLY]
    vars(head)["__signature__"] = inspect.Signature([first, *keyword_only])
    return accepts_of(head)
