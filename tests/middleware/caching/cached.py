"""Queries and their handlers for tests of Cacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from modd.cqrs import Dispatched, Envelope, Failed, FromCache, Query


class Name(Query[str]):
    id: int = 1


class Other(Query[str]):
    id: int = 1


class Handler:
    """Handles names, and does what it is told to before it answers."""

    def __init__(self, before: Callable[[Envelope[Any]], Any] | None = None) -> None:
        self.calls = 0
        self.before = before

    async def __call__(self, envelope: Envelope[Name]) -> str:
        self.calls += 1
        await checkpoint()
        if self.before is not None:
            given = self.before(envelope)
            if given is not None:
                await given
        return f"name {self.calls}"


class Passed:
    """A middleware that counts what passes it."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, envelope: Envelope[Any], call_next: Any) -> None:
        self.count += 1
        await call_next(envelope)


def fresh(dispatched: Dispatched[Any]) -> bool:
    return not dispatched.envelope.has(FromCache)


def fail(_: Any) -> None:
    raise LookupError("gone")


class Uneasy(Handler):
    """Fails so many times, and notes how many of it run at once."""

    def __init__(self, failures: int, stamp: bool = False) -> None:
        super().__init__(self.work)
        self.failures, self.stamp = failures, stamp
        self.running = self.most = 0

    async def work(self, envelope: Envelope[Any]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await anyio.wait_all_tasks_blocked()
        self.running -= 1
        if self.calls <= self.failures and self.stamp:
            envelope.add(Failed("not today"))
        elif self.calls <= self.failures:
            raise LookupError("not today")
