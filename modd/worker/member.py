"""The members of a group: objects that run, are told to stop, and raise errors."""

from __future__ import annotations

import inspect
from dis import get_instructions
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any, Literal, Protocol

import anyio

from modd.checks import checked_methods
from modd.concurrency.cancellation import call
from modd.errors import InvalidOption


class Runnable(Protocol):
    """An object that `run_workers` can run, such as a worker or a relay."""

    async def run(self) -> None:
        """Work until `stop` is called."""

    def stop(self) -> None:
        """Have `run` end."""


class GroupMember:
    """Runs an object once, and notes the errors that it raises.

    part: the object.
    """

    def __init__(self, part: Runnable) -> None:
        self.part = part
        self.state: Literal["waiting", "running", "ended"] = "waiting"
        self.errors: list[Exception] = []
        self._is_told = False
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Run the object, unless it was told to stop before: it would end its next run instead."""
        try:
            if not self._is_told:
                self.state = "running"
                with self._scope:
                    await call(self.part.run)
        except Exception as error:
            self.errors.append(error)
        finally:
            self.state = "ended"

    def stop(self) -> None:
        """Tell the object to stop, once and if it runs; cancel it if it cannot be told."""
        if self._is_told:
            return
        self._is_told = True
        if self.state == "running":
            try:
                self.part.stop()
            except Exception as error:
                self.errors.append(error)
                self._scope.cancel()


def check_runnable(option: str, part: Any, cure: str) -> None:
    """Raise `InvalidOption` for an object that cannot be run and stopped. cure: that for one without the methods."""
    checked_methods(option, part, ("run", "stop"), cure)
    if inspect.iscoroutinefunction(part.stop):
        raise InvalidOption(option, part, "its stop() is async; make it a plain method that has run() end")
    if _is_never_awaitable(part.run):
        raise InvalidOption(option, part, "its run() returns nothing to await; make it async: `async def run(self)`")


def _is_never_awaitable(function: Any) -> bool:
    """Return True for a function in Python whose code is known to return nothing that can be awaited."""
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType):
        return False
    code = function.__code__
    if code.co_flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE):
        return False
    return bool(code.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR)) or _returns_none(code)


def _returns_none(code: CodeType) -> bool:
    """Return True if each return of a code is known to be that of None."""
    return all(
        before.opname == "LOAD_CONST" and before.argval is None and not each.is_jump_target
        if each.opname == "RETURN_VALUE"
        else each.argval is None
        for before, each in pairwise(get_instructions(code))
        if each.opname in ("RETURN_VALUE", "RETURN_CONST")
    )
