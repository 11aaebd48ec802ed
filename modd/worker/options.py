"""The options of a worker, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from modd.checks import (
    checked_callable,
    checked_count,
    checked_delay,
    checked_methods,
    checked_span,
    checked_subclasses,
)
from modd.cqrs.retry import check_errors
from modd.errors import InvalidOption
from modd.ports.queue import Queue
from modd.worker.retry import LONGEST_IN_TESTS, MAX_DELAY, RetryRules, checked_backoff

_QUEUE = ("put", "claim", "extend", "ack", "retry", "release", "bury", "announce", "fan_out", "leave", "claim_left")


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers among the options of a `Worker`, which explains them. Raises `InvalidOption`."""

    concurrency: int
    attempts: int
    backoff: Any
    give_up_on: Any
    lease: float
    drain: float
    poll: float
    max_messages: int | None
    max_age: float | None
    retention: float
    immediate: Any
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        checked_count("concurrency", self.concurrency)
        checked_count("attempts", self.attempts)
        check_errors("give_up_on", self.give_up_on)
        for name in ("lease", "poll"):
            checked_span(name, getattr(self, name))
        for name in ("drain", "retention"):
            checked_delay(name, getattr(self, name))
        if self.max_messages is not None:
            checked_count("max_messages", self.max_messages)
        if self.max_age is not None:
            checked_span("max_age", self.max_age)
        self.immediate_types()
        checked_callable("clock", self.clock)

    def immediate_types(self) -> tuple[type, ...]:
        """Return the types of message that are handled in an immediate transaction."""
        if isinstance(self.immediate, bool):
            return (object,) if self.immediate else ()
        return checked_subclasses("immediate", self.immediate, object, single=True)

    def retry_rules(self, *, is_test: bool = False) -> RetryRules:
        """Return the options that decide about retries; is_test: those of a run until the worker is idle."""
        longest = LONGEST_IN_TESTS if is_test else MAX_DELAY
        return RetryRules(self.attempts, checked_backoff(self.backoff, longest), self.give_up_on)


def checked_queues(queues: Any) -> Sequence[Queue]:
    """Return one queue or several as a list. Raises `InvalidOption`."""
    listed: list[Any] = [*queues] if isinstance(queues, Iterable) and not isinstance(queues, str) else [queues]
    wanted = "give a modd.ports.Queue, such as MemoryQueue(), or a list of them"
    if not listed:
        raise InvalidOption("queues", queues, wanted)
    return [checked_methods("queues", queue, _QUEUE, wanted) for queue in listed]


def checked_optional(option: str, value: Any, methods: Iterable[str]) -> Any:
    """Return an object that has these methods, or None. Raises `InvalidOption`."""
    if value is None:
        return None
    return checked_methods(option, value, methods, f"give something with the methods {', '.join(methods)}, or None")
