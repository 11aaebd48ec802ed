"""pure: a function runs under a guard that finds calls which are not pure, also deep inside and swallowed ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from types import GeneratorType
from typing import Any, ParamSpec, TypeVar

from modd.core import name_of
from modd.errors import InvalidOption
from modd.service.watch import Watch, begin_watch

P = ParamSpec("P")


R = TypeVar("R")


current_watch: ContextVar[Watch | None] = ContextVar("modd_watch", default=None)
"""The watch of the innermost guard around the current code."""


def pure(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs under a guard: a call that is not pure raises `ImpureCall`.

    Use it in tests: ``pure(join)(command, room)``. The guard refuses the clock, chance, ids that are made of them, the
    environment, files, sockets, processes and printing. It finds such a call in every function that the guarded one
    calls, and if it is swallowed, at the end. An import inside does not count, nor does a `random.Random` that is
    passed in: its values follow from its seed.

    The guard sees calls that are made by Python code in this thread. It does not see a call that code in C makes for
    itself, such as each one of ``map(time.time_ns, ...)`` or a ``default_factory`` of a struct. Nothing is patched, and
    nothing is left behind: a profiler that was set is set again.

    function: a function that is not async; of a generator each step is guarded.

    Raises:
        InvalidOption: ``function`` is async, or cannot be called.
    """
    name = name_of(check_sync("function", function))

    @wraps(function)
    def guarded(*args: P.args, **options: P.kwargs) -> R:
        returned: Any = run_guarded(name, function, args, options)
        return _guard_steps(name, returned) if isinstance(returned, GeneratorType) else returned  # type: ignore[return-value]

    return guarded


def check_sync(option: str, function: Any) -> Any:
    """Return a function that is not async. Raises `InvalidOption`."""
    if not callable(function):
        raise InvalidOption(option, function, "give a function")
    for code in (function, getattr(type(function), "__call__", None)):  # noqa: B004  # the function itself is wanted
        if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
            raise InvalidOption(option, function, "it is async; a pure function waits for nothing: remove the async")
    return function


def run_guarded(name: str, function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Call a function under the guard. Raises `ImpureCall`, and its errors. name: its name in `ImpureCall`."""
    watch = Watch(name, current_watch.get(), run_guarded.__code__)
    token = current_watch.set(watch)
    stop = begin_watch(watch)
    try:
        returned = function(*args, **options)
    except BaseException:
        watch.end()
        raise
    finally:
        stop()
        current_watch.reset(token)
    watch.end()
    return returned


def _guard_steps(name: str, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run a generator, each step under the guard, and nothing else between two steps."""
    try:
        while True:
            try:
                item = run_guarded(name, next, (steps,), {})
            except StopIteration as end:
                return end.value
            yield item
    finally:
        steps.close()
