"""What the parts of a store have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol, TypeVar

import anyio

from modd.checks import checked_delay
from modd.ports.items import Claim
from modd.ports.transaction import Transaction
from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.sql import Call, Connection, Operation
from modd.stores.sqlite.writer import Writer

T = TypeVar("T")


class Way(Protocol):
    """How reads and writes are done."""

    collects: ClassVar[bool]
    """Whether writes are done later, so that they have no result yet."""

    async def note(self, operation: Operation, *call: Any) -> Any:
        """Have something written; the result is None where writes are collected."""
        ...

    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Have something written, and get the result now."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something."""
        ...


class Alone:
    """Each call is committed by itself, together with what others want written at the same time."""

    collects: ClassVar[bool] = False

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._readers, self.note = readers, writer.submit
        self._submit = writer.submit

    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Have something written, and get the result."""
        return await self._submit(operation, *call)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something that was committed."""
        return await self._readers.read(work)


PEEK = 0.1
"""Seconds after which a part that is waited at is looked at again, for what other processes have written."""


class Host(Protocol):
    """The store, as its parts see it."""

    name: str
    clock: Callable[[], float]

    def way(self, what: str, *, aside: bool = False) -> Way:
        """How to read and write here: alone, or in the transaction that is open.

        aside: not in one that collects its writes, because others are to see at once what is written.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the whole store."""
        ...


class Part:
    """A part of a store, whose calls join the transaction that is open."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._host.name}>"

    @property
    def store(self) -> Host:
        """The store that it is a part of; what has the same one can be in one transaction with it."""
        return self._host

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the whole store, for the block that it is entered for."""
        return self._host.transaction()


class Waited(Part, ABC):
    """A part from which items are claimed, and at which one can wait for some."""

    sure: ClassVar[bool] = False
    """Whether it is woken only when there may be something to claim, so that it need not be looked at then."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._changed: anyio.Event | None = None
        self._drained = False
        """Whether nothing was left at the last claim and nothing has come since, but for what others wrote."""

    async def wait(self, seconds: float) -> None:
        """Return as soon as there may be something to claim, at the latest after so many seconds."""
        with anyio.move_on_after(checked_delay("seconds", seconds)):
            look = not self._drained
            while True:
                changed = self._changed = self._changed or anyio.Event()
                if look and await self.is_claimable():
                    return
                with anyio.move_on_after(PEEK):
                    await changed.wait()
                if self.sure and changed.is_set():
                    return
                look = True

    def wake(self) -> None:
        """Tell those who wait that something was written."""
        self._drained = False
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    @abstractmethod
    async def is_claimable(self) -> bool:
        """Whether there is something that may be claimed."""


def held(claim: Claim) -> Call:
    """Place, token, id and key of what is claimed."""
    place, _, token = claim.token.partition(".")
    try:
        return int(place, 16), int(token, 16), claim.id, claim.key
    except ValueError:  # a claim of another make: nobody holds that here
        return -1, -1, claim.id, claim.key
