"""Guards of the objects that hypercorn makes for clients, in servers of modd alone."""

from __future__ import annotations

from typing import Any


def guard(module: Any, name: str, *guards: type) -> None:
    """Have hypercorn make objects with further methods for guarded servers; it has no hook for that.

    module: the module that makes them. name: the name of their class in it. guards: classes with the methods.
    """
    plain = getattr(module, name)
    if isinstance(plain, type):
        setattr(module, name, _Factory(plain, type(name, (*guards, plain), {})))


def set_guarded(config: Any) -> None:
    """Have a server with this configuration make guarded objects."""
    config.is_guarded = True


class _Factory:
    """Makes guarded objects for servers that are to have them, and plain ones for others in the process."""

    def __init__(self, plain: Any, guarded: Any) -> None:
        self._plain, self._guarded = plain, guarded

    def __call__(self, *args: Any) -> Any:
        is_guarded = any(getattr(each, "is_guarded", False) is True for each in args)
        return (self._guarded if is_guarded else self._plain)(*args)
