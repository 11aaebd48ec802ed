"""Which middleware must not be outside which: the rules, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modd.accepts import name_of
from modd.cqrs.errors import UnsafeOrder


class Rule(msgspec.Struct, frozen=True):
    """A middleware that plays the one role must not be outside one that plays the other."""

    outer: str
    inner: str
    reason: str


RULES = (
    Rule("cacher", "authorizer", "a result from the cache would go to those who may not see it"),
    Rule("idempotency", "authorizer", "a result kept would go to those who may not see it"),
    Rule("enqueue", "authorizer", "what nobody may do would be queued, and done"),
    Rule("enqueue", "validator", "what is not valid would be queued, and fail where nobody waits for it"),
    Rule("transaction", "idempotency", "the result would be kept though the transaction may still fail"),
    Rule("transaction", "retryer", "every attempt would run in the one transaction, which the first error has ended"),
)
"""Roles are named by the class variable ``role`` of a middleware."""


def role_of(middleware: Any) -> str:
    """What a middleware is for, as far as the order matters: its ``role``."""
    return str(getattr(middleware, "role", ""))


def check_order(middleware: Sequence[Any], bus: str) -> None:
    """Raise `UnsafeOrder` for the first rule that is broken."""
    for at, outer in enumerate(middleware):
        for inner in middleware[at + 1 :]:
            for rule in RULES:
                if (role_of(outer), role_of(inner)) == (rule.outer, rule.inner):
                    raise UnsafeOrder(name_of(outer), name_of(inner), bus, rule.reason)
