"""The order of the middleware of a bus: the rules that keep one middleware from undoing the purpose of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modd.core import name_of
from modd.cqrs.errors import UnsafeOrder


class OrderRule(msgspec.Struct, frozen=True):
    """A middleware of the first role must not be outside a middleware of the second."""

    outer: str
    inner: str
    reason: str


ORDER_RULES = (
    OrderRule("cacher", "authorizer", "a cached result would be returned to actors who may not see it"),
    OrderRule("idempotency", "authorizer", "a stored result would be returned to actors who may not see it"),
    OrderRule("enqueue", "authorizer", "a forbidden intent would be queued and then handled"),
    OrderRule("enqueue", "validator", "an invalid intent would be queued, and fail when no caller waits for it"),
    OrderRule("transaction", "idempotency", "the result would be stored although the transaction may still fail"),
    OrderRule("transaction", "retryer", "every attempt would run in one transaction, which the first error has ended"),
)
"""Middleware have their role in the class variable ``role``."""


def check_order(middleware: Sequence[Any], bus: str) -> None:
    """Raise `UnsafeOrder` for the first rule that the middleware of a bus break."""
    reasons = {(rule.outer, rule.inner): rule.reason for rule in ORDER_RULES}
    for position, outer in enumerate(middleware):
        for inner in middleware[position + 1 :]:
            reason = reasons.get((role_of(outer), role_of(inner)))
            if reason is not None:
                raise UnsafeOrder(name_of(outer), name_of(inner), bus, reason)


def role_of(middleware: Any) -> str:
    """Return the role of a middleware; an empty text if it has none."""
    return str(getattr(middleware, "role", ""))
