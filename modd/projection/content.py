"""The interface of the two kinds of content: tables, and states by key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from modd.core import Message
from modd.ports.storage import Storage
from modd.ports.transaction import Transaction

Positioned: TypeAlias = tuple[int, Message]
"""An event with its position in the log."""


Memory: TypeAlias = dict[str, bytes | None]
"""Stored states by key, None for a key without one: those that need not be read again."""


class FailedEvent(msgspec.Struct, frozen=True):
    """An event that a function of a projection could not do.

    position: its position in the log. error: the error.
    """

    position: int
    error: Exception


class Changes(Protocol):
    """The writes that follow from some events, decided and not written yet."""

    @property
    def failed(self) -> FailedEvent | None:
        """The first event that could not be done; the writes are those of the events before it."""
        ...

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to write."""
        ...

    async def write(self, transaction: Transaction) -> None:
        """Write in the open transaction."""
        ...

    def done(self, memory: Memory) -> None:
        """Keep in memory what was written, after the commit."""
        ...


class ProjectionContent(Protocol):
    """The content of a projection in a store, in builds that are counted from 1."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables; none for states."""
        ...

    async def decide(self, store: Storage, build: int, events: Iterable[Positioned], memory: Memory) -> Changes:
        """Return the writes that follow from events, which only one at a time may do for a build.

        memory: what the build has, as far as it is known.
        """
        ...

    async def apply(self, store: Storage, transaction: Transaction, build: int, events: Sequence[Message]) -> None:
        """Write in the open transaction what follows from events, beside others that do so."""
        ...

    async def create(self, transaction: Transaction, build: int) -> None:
        """Make an empty build."""
        ...


Functions: TypeAlias = dict[type[Message], Any]
"""The functions of a projection by the type of the event."""
