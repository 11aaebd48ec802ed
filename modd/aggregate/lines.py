"""Lines of commands: one at a time for an instance, first come, first served; those of other instances beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from weakref import WeakKeyDictionary

from modd.concurrency.blocks import async_block
from modd.core import Gate, Turn, hold, hold_if_free, let_go
from modd.errors import Deadlock
from modd.ports.transaction import Transaction


class Lines:
    """The lines of an aggregate, by stream.

    kept: the number of lines that may be kept while nobody is in them, which saves a tenth of a command in memory.

    In a transaction a command keeps its place until that is over, because nobody else sees its events before. In an
    immediate one it passes by those before it, because they cannot record anything until that is over.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._gates: dict[str, Gate] = {}
        """The gates of the streams whose line somebody holds, and of others for the next command."""
        self._in_transactions: WeakKeyDictionary[Transaction, set[str]] = WeakKeyDictionary()
        """The streams whose line a transaction holds up."""
        self._in_chains: WeakKeyDictionary[Transaction, list[str]] = WeakKeyDictionary()
        """The streams about which a transaction decides now, a decision within a decision included."""

    def enter_free(self, stream: str) -> Turn | None:
        """Enter a line in which nobody is, outside of a transaction, and return the place for `leave`; else None."""
        return hold_if_free(self.gate_of(stream))

    def leave(self, place: Turn) -> None:
        """Let the next command enter a line that was free."""
        let_go(place, keep=len(self._gates) <= self._kept)

    def enter(self, stream: str, transaction: Transaction | None) -> AbstractAsyncContextManager[None]:
        """Return a block that waits for the commands before, and keeps others waiting while it lasts.

        Entering it raises `Deadlock` if the commands before wait for this one.
        """
        return hold(self.gate_of(stream)) if transaction is None else self._enter_in(stream, transaction)

    @async_block
    async def _enter_in(self, stream: str, transaction: Transaction) -> AsyncIterator[None]:
        deciding = self._in_chains.setdefault(transaction, [])
        if stream in deciding:
            raise Deadlock(deciding[deciding.index(stream) :])
        if is_deferred(transaction) or self.gate_of(stream).holder is None:
            await self._wait(stream, transaction)
        deciding.append(stream)
        try:
            yield
        finally:
            deciding.remove(stream)

    async def _wait(self, stream: str, transaction: Transaction) -> None:
        streams = self._in_transactions.setdefault(transaction, set())
        if stream not in streams:
            stack = AsyncExitStack()
            await stack.enter_async_context(hold(self.gate_of(stream)))
            streams.add(stream)
            transaction.on_end(stack.aclose)

    def gate_of(self, stream: str) -> Gate:
        """Return the gate of a stream's line, to be held at once."""
        gate = self._gates.get(stream)
        return self._gates.setdefault(stream, Gate(stream, None, self._gates, stream)) if gate is None else gate


def is_deferred(transaction: Transaction) -> bool:
    """Return True if the writes of a transaction are done at its end, so that others may write before."""
    return getattr(transaction, "is_deferred", True)
