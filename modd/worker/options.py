"""What a worker is made with, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from modd.checks import checked_callable, checked_count, checked_delay, checked_methods, checked_span
from modd.cqrs.retry import check_errors
from modd.errors import InvalidOption
from modd.ports.queue import Queue
from modd.worker.retry import Rules, checked_backoff

_QUEUE = ("put", "claim", "extend", "ack", "retry", "release", "bury")


class Options(msgspec.Struct, frozen=True):
    """The numbers of a worker, as `Worker` explains them. Raises `InvalidOption`."""

    concurrency: int
    attempts: int
    backoff: Any
    give_up_on: Any
    lease: float
    drain: float
    poll: float
    max_messages: int | None
    max_age: float | None
    keep_unknown: float
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        checked_count("concurrency", self.concurrency)
        checked_count("attempts", self.attempts)
        check_errors("give_up_on", self.give_up_on)
        for name in ("lease", "poll"):
            checked_span(name, getattr(self, name))
        for name in ("drain", "keep_unknown"):
            checked_delay(name, getattr(self, name))
        if self.max_messages is not None:
            checked_count("max_messages", self.max_messages)
        if self.max_age is not None:
            checked_span("max_age", self.max_age)
        checked_callable("clock", self.clock)

    @property
    def rules(self) -> Rules:
        """When to try again."""
        return Rules(self.attempts, checked_backoff(self.backoff), self.give_up_on)


def checked_queues(given: Any) -> Sequence[Queue]:
    """One queue, or several. Raises `InvalidOption`."""
    queues: list[Any] = [*given] if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    wanted = "give a modd.ports.Queue, such as MemoryQueue(), or a list of them"
    if not queues:
        raise InvalidOption("queues", given, wanted)
    return [checked_methods("queues", queue, _QUEUE, wanted) for queue in queues]


def checked_part(option: str, given: Any, methods: Iterable[str]) -> Any:
    """Something with these methods, or None. Raises `InvalidOption`."""
    if given is None:
        return None
    return checked_methods(option, given, methods, f"give something with the methods {', '.join(methods)}, or None")
