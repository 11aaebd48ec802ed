"""The function that ``run`` is told to take the app from."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from inspect import Parameter, isasyncgenfunction, iscoroutinefunction, signature, unwrap
from operator import attrgetter
from typing import Any, NamedTuple

from modd.app import Settings
from modd.cli.errors import UsageError
from modd.core import resolved, take_apart
from modd.errors import MissingExtra, UnresolvedAnnotation
from modd.texts import describe

CURE = "give an async context manager function without a parameter, or with one that is annotated with a Settings class"


_MODULE = re.compile(r"[^./\\]+(\.[^./\\]+)*")
"""The name of a module, from the current folder on: no path, and not relative to a package."""


class FailedImport(UsageError):
    """The import of the module raised an error, which is the cause."""


class RunTarget(NamedTuple):
    """A function that gives an app.

    settings: the class of its parameter, None if it has none. keyword: the parameter, if it has to be named.
    """

    spec: str
    factory: Any
    settings: type[Settings] | None = None
    keyword: str | None = None

    def open(self, settings: Settings | None) -> Any:
        """Return the context manager for an app. Raises `UsageError` if the function returns another thing."""
        positional = [] if settings is None or self.keyword else [settings]
        made = self.factory(*positional, **({self.keyword: settings} if self.keyword else {}))
        if not hasattr(type(made), "__aenter__"):
            raise UsageError(f"run {self.spec}: it returned {type_words(made)}, no async context manager; {CURE}")
        return made


def load_target(spec: str) -> RunTarget:
    """Return the function at ``module:name``; the current folder is importable. Raises `UsageError`."""
    module_name, _, name = spec.partition(":")
    if not (name and _MODULE.fullmatch(module_name)):
        raise UsageError(f"run {spec}: give MODULE:NAME, such as shop.main:shop")
    module = _import(spec, module_name)
    try:
        factory = attrgetter(name)(module)
    except AttributeError:
        found = ", ".join(_factories_in(module)) or "no async context manager function"
        raise UsageError(f"run {spec}: {module_name} has no {name}; it has: {found}") from None
    return _checked(spec, factory)


def type_words(value: object) -> str:
    """Return the words for a value, which may be a secret: its type alone."""
    return describe(value) if isinstance(value, type) else f"an object of type {type(value).__name__}"


def _import(spec: str, name: str) -> Any:
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return import_module(name)
    except MissingExtra:
        raise
    except ModuleNotFoundError as missing:
        where = "" if f"{name}.".startswith(f"{missing.name}.") else f", which {name} imports"
        raise UsageError(f"run {spec}: there is no module {missing.name}{where}") from missing
    except (Exception, SystemExit) as error:  # a program that ends itself when it is imported
        raise FailedImport(f"run {spec}: the import of {name} failed with {type(error).__name__}") from error


def _checked(spec: str, factory: Any) -> RunTarget:
    """Return a target. Raises `UsageError` for anything but a function of settings, or of nothing."""
    problem = _problem_of(factory)
    if problem:
        raise UsageError(f"run {spec}: {problem}")
    parameters = [*signature(factory).parameters.values()]
    if not parameters:
        return RunTarget(spec, factory)
    kind = _type_of(factory, parameters[0])
    if len(parameters) > 1 or not (isinstance(kind, type) and issubclass(kind, Settings)):
        raise UsageError(f"run {spec}: its parameters are {signature(factory)}; {CURE}")
    [parameter] = parameters
    return RunTarget(spec, factory, kind, parameter.name if parameter.kind is Parameter.KEYWORD_ONLY else None)


def _problem_of(value: Any) -> str:
    if isasyncgenfunction(value):
        return "it is an async generator; put @asynccontextmanager above it"
    if iscoroutinefunction(value):
        return "it is async and yields nothing; have it yield the App, and put @asynccontextmanager above it"
    return "" if callable(value) and not isinstance(value, type) else f"it is {type_words(value)}; {CURE}"


def _type_of(factory: Any, parameter: Parameter) -> Any:
    """Return the class that a parameter is annotated with; None for one that cannot be resolved."""
    try:
        return take_apart(resolved(unwrap(factory), parameter.annotation)).origin
    except UnresolvedAnnotation:
        return None


def _factories_in(module: Any) -> Iterable[str]:
    """Return the names of the async context manager functions that are defined in a module."""
    return sorted(
        name
        for name, value in vars(module).items()
        if callable(value)
        and value is not unwrap(value)
        and isasyncgenfunction(unwrap(value))
        and getattr(value, "__module__", None) == module.__name__
    )
