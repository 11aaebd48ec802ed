"""Commits of immediate transactions whose time is over before they have an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from modd.stores import TransactionTimeout, UnknownOutcome


async def outcome_of(transaction: Callable[[float], Awaitable[None]]) -> UnknownOutcome:
    """Run a transaction whose commit has no answer, and return its outcome.

    transaction: runs it with these seconds. It has more of them if its machine stood still before the commit.
    """
    for seconds in (0.5, 5.0, 50.0):
        try:
            await transaction(seconds)
        except TransactionTimeout:
            continue
        except UnknownOutcome as outcome:
            return outcome
    raise AssertionError("the commit had an answer")
