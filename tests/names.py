"""Messages and helpers that many tests use."""

from __future__ import annotations

import re

from modd import Message


class Start(Message):
    """What most tests send."""


class A(Message):
    """A message without fields."""


class B(Message):
    """Another one."""


class C(Message):
    """A third one."""


class N(Message):
    """A message with a number."""

    n: int


def stable_id(value: object) -> str:
    """Return a value as text without addresses, which differ from one worker of pytest-xdist to the next."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def failures_of(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """The errors in a group and in the groups within it, by repr, in their order."""
    found: list[str] = []
    for error in group.exceptions:
        found += failures_of(error) if isinstance(error, BaseExceptionGroup) else [repr(error)]
    return found
