"""The intents that the tests of typed buses use, and a few middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from modd import Message
from modd.cqrs import Command, Envelope, Event, Next, Query


class Create(Command[int]):
    name: str = "Ada"


class Rename(Command[None]):
    name: str = "Ada"


class Charge(Command[str]):
    amount: int = 1


class Get(Query[str]):
    id: int = 1


class Find(Query[list[str]]):
    text: str = ""


class Created(Event):
    name: str = "Ada"


class Welcomed(Event):
    name: str = "Ada"


class CreatedByAdmin(Created):
    pass


class Plain(Message):
    """A message that is no intent."""


def numbered(prefix: str = "id-") -> Callable[[], str]:
    """Makes ids that a test can foresee: id-1, id-2, ..."""
    numbers: Iterator[int] = count(1)
    return lambda: f"{prefix}{next(numbers)}"


class Noting:
    """A middleware that notes when it is passed, in and out."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        self.log.append(f"{self.name} in")
        await call_next(envelope)
        self.log.append(f"{self.name} out")


async def stop(envelope: Envelope[Any], call_next: Next) -> None:
    """A middleware that goes no further."""


async def swallow(envelope: Envelope[Any], call_next: Next) -> None:
    """A middleware that lets no error through."""
    try:
        await call_next(envelope)
    except Exception:
        return


def noting(log: list[Any], text: Any, result: Any = None) -> Callable[[Any], Any]:
    """A handler that notes that it was called."""

    def handle(message: Any) -> Any:
        log.append(text)
        return result

    return handle


def giving(result: Any = None) -> Callable[[Any], Any]:
    """A handler that gives the same result each time."""
    return noting([], None, result)
