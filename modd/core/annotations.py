"""The message types that a callable accepts, read from the annotation of its first parameter, and its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType
from typing import Any, TypeAlias

import msgspec

from modd.core import hints
from modd.core.hints import members
from modd.core.message import Failure, Message
from modd.errors import NotAComponent, UnresolvedAnnotation

Component: TypeAlias = Callable[[Any], Any]
"""A callable that takes a message and returns nothing, a message, a list or generator of messages, or awaits them."""


_ROUTINES = (FunctionType, MethodType, BuiltinMethodType, MethodWrapperType, partial)


_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY


_VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


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


def parameters_of(component: Any) -> list[inspect.Parameter]:
    """Return the parameters of a callable. Raises ``ValueError`` for a builtin that tells nothing of them."""
    if not isinstance(component, _ROUTINES) and not hasattr(component, "__wrapped__"):
        component = component.__call__  # inspect compares an object with builtins, and it may be equal to everything
    return _only_parameter(component) or [*inspect.signature(component).parameters.values()]


def _only_parameter(component: Any) -> list[inspect.Parameter]:
    """Return the parameter of a plain function or method that has one, in a tenth of the time; else nothing."""
    function = component.__func__ if isinstance(component, MethodType) else component
    if type(function) is not FunctionType or function.__dict__:  # it may have a signature of another function
        return []
    code, bound = function.__code__, int(function is not component)
    if code.co_argcount != bound + 1 or code.co_kwonlyargcount or code.co_flags & _VARIADIC:
        return []
    name = code.co_varnames[bound]
    default = function.__defaults__[-1] if function.__defaults__ else inspect.Parameter.empty
    annotation = function.__annotations__.get(name, inspect.Parameter.empty)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if bound >= code.co_posonlyargcount else _POSITIONAL
    return [inspect.Parameter(name, kind, default=default, annotation=annotation)]


def refuse_unbound(function: Any, first: inspect.Parameter, error: Callable[[str], Exception]) -> None:
    """Raise an error for a method that was taken from its class, and so has no object to work on."""
    owner, _, name = getattr(function, "__qualname__", "").rpartition(".")
    if isinstance(function, FunctionType) and first.name == "self" and owner and not owner.endswith("<locals>"):
        kind = owner.rpartition(".")[2]
        raise error(f"it is a method of {kind}, but of no object; give one of an object, as {kind}().{name}")


def _first_parameter(component: Component) -> inspect.Parameter:
    try:
        parameters = parameters_of(component)
    except ValueError:  # some builtins tell nothing of their parameters
        return inspect.Parameter("message", inspect.Parameter.POSITIONAL_ONLY)
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise NotAComponent(component, f"it takes no message; did you mean {name_of(component)}()?")
    refuse_unbound(component, parameters[0], partial(NotAComponent, component))
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
    if not types:
        cure = "annotate its parameter with a message type, or not at all for all messages"
        raise NotAComponent(component, f"it accepts {annotation!r}, which is no message type; {cure}")
    return Accepts(tuple(types))


def resolved(component: Component, annotation: Any) -> Any:
    """Return an annotation of a callable with its names looked up. Raises `UnresolvedAnnotation`."""
    if isinstance(annotation, type):
        return annotation
    try:
        hint = hints.evaluated(component, annotation)
        for _ in () if isinstance(hint, type) else members(hint):  # aliases and bounds are looked up only now
            pass
        return hint
    except Exception as error:
        raise UnresolvedAnnotation(name_of(component), annotation, error) from error
