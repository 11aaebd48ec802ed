"""The access of a part in memory to its content: alone, or together with the other parts of a store."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, ClassVar, Protocol, TypeVar

from anyio.lowlevel import checkpoint

from modd.stores.undo_log import UndoLog

T = TypeVar("T")


class MemoryAccess(Protocol):
    """Runs functions that read or change parts, outside of a transaction or in the open one.

    A function decides before it changes anything, and awaits nothing: it is done whole or not at all.
    """

    is_deferred: ClassVar[bool]
    """True if changes are made only when the transaction commits, so that they have no result before."""

    async def write(self, operation: Callable[..., T], *arguments: Any) -> Any:
        """Run a function that changes a part, and return its result; None where changes are deferred."""
        ...

    async def write_for_result(self, call: str, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that changes a part, and return its result.

        Raises `ResultNeeded`, which names the ``call``, where changes are deferred.
        """
        ...

    async def read(self, title: str, operation: Callable[..., T], *arguments: Any, version: Any = None) -> T:
        """Run a function that reads a part, and return its result.

        title: the words for the read in a `modd.ports.ReadConflict`.
        version: a function of the same arguments whose result changes whenever that of the read does, and that is
            cheaper to compare; None, the default, for the read itself.
        """
        ...


class MemoryOwner(Protocol):
    """The owner of a part: a `MemoryStore`, or for a part without a store an `Alone`."""

    @property
    def undo_log(self) -> UndoLog:
        """The undo log in which the part notes its changes."""
        ...

    def access(self, call: str, *, at_once: bool = False) -> MemoryAccess:
        """Return the access for a call.

        call: its name, for errors. at_once: not in a transaction that defers its changes.
        """
        ...


class Alone:
    """The owner of a part that belongs to no store: each call acts at once."""

    is_deferred: ClassVar[bool] = False

    def __init__(self) -> None:
        self.undo_log = UndoLog()
        self._lock = Lock()  # for loops in several threads

    def access(self, call: str, *, at_once: bool = False) -> MemoryAccess:
        """Return itself."""
        return self

    async def write(self, operation: Callable[..., T], *arguments: Any) -> Any:
        """Run a function that changes the part, and return its result."""
        await checkpoint()
        with self._lock:
            return operation(*arguments)

    async def write_for_result(self, call: str, operation: Callable[..., T], *arguments: Any) -> T:
        """Run a function that changes the part, and return its result."""
        await checkpoint()
        with self._lock:
            return operation(*arguments)

    async def read(self, title: str, operation: Callable[..., T], *arguments: Any, version: Any = None) -> T:
        """Run a function that reads the part, and return its result."""
        await checkpoint()
        with self._lock:
            return operation(*arguments)
