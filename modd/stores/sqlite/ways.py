"""The ways in which a part of a store gets its reads and writes done: by itself, or as a part of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar

from modd.stores.sqlite.readers import Readers
from modd.stores.sqlite.sql import Connection, Operation
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
