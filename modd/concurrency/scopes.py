"""Scopes in context variables: what a task is inside of, such as a turn, an origin, a transaction.

A scope is set in a context variable and never reset: tasks that were started inside it keep their copy of the variable
when it ends. So each scope says itself if it is still open, and has the scope around it as `outer`. A scope that ends
lets go of the scopes around it that have ended before it: else each of a chain of scopes that overlap would hold all
earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

S = TypeVar("S", bound=Any)


def open_scopes(scope: S | None) -> Iterator[S]:
    """Yield a scope and the scopes around it, innermost first, as far as they are still open."""
    while scope is not None:
        if scope.open:
            yield scope
        scope = scope.outer


def close_scope(scope: Any) -> None:
    """Close a scope; what still runs inside it is then in the innermost open scope around it."""
    scope.open = False
    scope.outer = open_scope(scope.outer)


def open_scope(scope: S | None) -> S | None:
    """Return the innermost scope that is still open: this scope, or one around it."""
    while scope is not None and not scope.open:
        scope = scope.outer
    return scope
