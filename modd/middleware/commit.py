"""The commit that a middleware depends on: writes that join it, work after it, and transactions without their role."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from types import CodeType
from typing import Any

from modd.core import name_of
from modd.errors import InvalidOption
from modd.ports.transaction import usable_transaction

NAMES = frozenset({"atomic", "begin", "begin_nested", "commit", "rollback", "start_transaction", "transaction"})
"""Names in the code of a middleware that is a transaction."""


async def run_after_commit(action: Callable[[], Awaitable[None]]) -> None:
    """Run an action at once, or in a transaction after its commit: a failed commit must not leave a stored result."""
    transaction = usable_transaction()
    if transaction is None:
        await action()
    else:
        transaction.on_commit(action)


def joining_write(cache: Any) -> Callable[[str, bytes, float], Awaitable[None]] | None:
    """Return the write of a cache that is committed with the open transaction; None if it cannot join that."""
    transaction = usable_transaction()
    store = getattr(cache, "store", None)
    if store is None or getattr(transaction, "store", None) is not store:
        return None
    return getattr(cache, "set_on_commit", None)


def check_roles(outer: str, inside: Iterable[Any]) -> None:
    """Raise `InvalidOption` for a middleware that seems to be a transaction and has no role.

    outer: the name of the middleware outside that must know of its commit.
    """
    for middleware in inside:
        names = [] if hasattr(middleware, "role") else sorted(NAMES.intersection(_names_in(middleware)))
        if names:
            reason = f"{name_of(middleware)} is inside {outer} and seems to be a transaction: it uses {names[0]!r}"
            cure = 'give it role = "transaction", so that no result is stored without its commit, or "" if it is none'
            raise InvalidOption("role", None, f"{reason}; {cure}")


def _names_in(middleware: Any) -> Iterator[str]:
    """Yield the names that the code of a middleware uses, with those of the functions inside."""
    while isinstance(middleware, partial):
        middleware = middleware.func
    function = inspect.unwrap(middleware if inspect.isroutine(middleware) else type(middleware).__call__)
    pending: list[Any] = [getattr(function, "__code__", None)]
    while pending:
        code = pending.pop()
        if isinstance(code, CodeType):
            yield from code.co_names
            pending += code.co_consts
