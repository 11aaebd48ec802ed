"""Lines of commands: one at a time for an instance, first come, first served; those of other instances beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from weakref import WeakKeyDictionary, WeakValueDictionary

from modd.concurrency.blocks import async_block
from modd.core import Gate, hold
from modd.ports.transaction import Transaction


class Lines:
    """The lines of an aggregate, by stream.

    name: the name of the aggregate.

    In a transaction a command keeps its place until that is over, because nobody else sees its events before.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._gates: WeakValueDictionary[str, Gate] = WeakValueDictionary()
        self._in_transactions: WeakKeyDictionary[Transaction, set[str]] = WeakKeyDictionary()
        """The streams whose line a transaction holds up."""

    def enter(self, stream: str, transaction: Transaction | None) -> AbstractAsyncContextManager[None]:
        """Return a block that waits for the commands before, and keeps others waiting while it lasts.

        Entering it raises `Deadlock` if the commands before wait for this one.
        """
        return hold(self._gate_of(stream)) if transaction is None else self._enter_until_end(stream, transaction)

    @async_block
    async def _enter_until_end(self, stream: str, transaction: Transaction) -> AsyncIterator[None]:
        streams = self._in_transactions.setdefault(transaction, set())
        if stream not in streams:
            stack = AsyncExitStack()
            await stack.enter_async_context(hold(self._gate_of(stream)))
            streams.add(stream)
            transaction.on_end(stack.aclose)
        yield

    def _gate_of(self, stream: str) -> Gate:
        gate = self._gates.get(stream)
        return self._gates.setdefault(stream, Gate(f"{self._name} {stream!r}")) if gate is None else gate
