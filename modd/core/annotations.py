"""The message types that a callable accepts, read from the annotation of its first parameter, and its name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType, UnionType
from typing import Annotated, Any, NewType, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from modd.core.message import Failure, Message
from modd.errors import NotAComponent, UnresolvedAnnotation

Component: TypeAlias = Callable[[Any], Any]
"""A callable that takes a message and returns nothing, a message, a list or generator of messages, or awaits them."""


_EVERYTHING = (Any, object, Message, inspect.Parameter.empty)


class Accepts(msgspec.Struct, frozen=True):
    """The message types that a component accepts.

    types: message types; subclasses count. everything: True for a component that takes all types, by default False.
    catches: True (default) if ``everything`` includes failures: for a component it does, for a bus only if it lists
        ``Failure``.
    """

    types: tuple[type[Message], ...] = ()
    everything: bool = False
    catches: bool = True

    def takes(self, kind: type) -> bool:
        """Return True if the component gets messages of this type."""
        if issubclass(kind, Failure):
            return self.handles_failures or (self.everything and self.catches)
        return self.everything or issubclass(kind, self.types)

    @property
    def handles_failures(self) -> bool:
        """True if ``Failure`` is named, so that a failure which the component gets counts as handled."""
        return Failure in self.types

    def without_failures(self) -> Accepts:
        """Return the same types as the default boundary of a bus: failures stay inside."""
        return Accepts(tuple(t for t in self.types if t is not Failure), self.everything, catches=False)


def name_of(component: Any) -> str:
    """Return a component's name for errors and journeys: its ``name``, else the name of its function or class."""
    if isinstance(component, partial):
        return name_of(component.func)
    name = getattr(component, "name", None) or getattr(component, "__qualname__", None) or type(component).__qualname__
    return str(name).replace(".<locals>", "")


def accepts_of_callable(component: Any) -> Accepts:
    """Return the message types that a callable accepts. Raises `NotAComponent`, `UnresolvedAnnotation`."""
    if isinstance(component, type):
        cure = (
            "give it in a list of types" if issubclass(component, Message) else f"did you mean {component.__name__}()?"
        )
        raise NotAComponent(component, f"it is a class; {cure}")
    if not callable(component):
        raise NotAComponent(component, "it cannot be called; give a function or an object with __call__")
    return _accepts_of_annotation(component, _first_parameter(component).annotation)


def _first_parameter(component: Component) -> inspect.Parameter:
    try:
        parameters = list(inspect.signature(component).parameters.values())
    except ValueError:  # some builtins tell nothing of their parameters
        return inspect.Parameter("message", inspect.Parameter.POSITIONAL_ONLY)
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise NotAComponent(component, f"it takes no message; did you mean {name_of(component)}()?")
    for more in parameters[1:]:
        if more.default is more.empty and more.kind not in (more.VAR_POSITIONAL, more.VAR_KEYWORD):
            cure = f"functools.partial({name_of(component)}, {more.name}=...)"
            raise NotAComponent(component, f"it requires {more.name!r} besides the message; give it with {cure}")
    return parameters[0]


def _accepts_of_annotation(component: Component, annotation: Any) -> Accepts:
    types: dict[type[Message], None] = {}
    for hint in members(resolved(component, annotation)):
        if hint in _EVERYTHING:
            return Accepts(tuple(types), everything=True)
        if not (isinstance(hint, type) and issubclass(hint, Message)):
            raise NotAComponent(
                component, f"it accepts {hint!r}, which is not a message type; derive it from modd.Message"
            )
        types[hint] = None
    return Accepts(tuple(types))


def members(hint: Any) -> Iterator[Any]:
    """Yield the plain types in a hint: unions, Annotated, NewType, type variables and generics are taken apart."""
    origin = get_origin(hint)
    if origin is Union or origin is UnionType:
        for member in get_args(hint):
            yield from members(member)
    elif origin is Annotated:
        yield from members(get_args(hint)[0])
    elif isinstance(hint, NewType):
        yield from members(hint.__supertype__)
    elif isinstance(hint, TypeVar):
        for bound in hint.__constraints__ or (hint.__bound__ or Message,):
            yield from members(bound)
    elif hint is not type(None):
        yield origin or hint


def resolved(component: Component, annotation: Any) -> Any:
    """Return an annotation of a callable with its names looked up. Raises `UnresolvedAnnotation`."""
    function = _function_of(component)
    try:
        holder: Any = type("holder", (), {"__annotations__": {"message": annotation}})
        return get_type_hints(holder, *_namespaces(function), include_extras=True)["message"]
    except Exception as error:
        raise UnresolvedAnnotation(name_of(component), annotation, error) from error


def _function_of(component: Any) -> Any:
    """Return the function that has the annotations of a component."""
    while isinstance(component, partial):
        component = component.func
    if not isinstance(component, (FunctionType, MethodType)):
        component = type(component).__call__
    component = inspect.unwrap(component)
    return getattr(component, "__func__", component)


def _namespaces(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the namespaces of a postponed annotation: the globals of the function's module, and its closure."""
    closure: dict[str, Any] = {}
    if isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # not there yet: the bus that the component is being given to, for example
                closure[name] = cell.cell_contents
    module = sys.modules.get(getattr(function, "__module__", None) or "", None)
    return getattr(function, "__globals__", vars(module) if module else {}), closure
