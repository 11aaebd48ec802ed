"""What the parts of a store have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from modd.ports.transaction import Transaction
from modd.stores.sqlite.ways import Way


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

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the whole store, for the block that it is entered for."""
        return self._host.transaction()
