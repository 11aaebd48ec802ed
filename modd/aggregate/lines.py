"""Lines of commands: one at a time for an instance, first come, first served; those of other instances beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
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
        self._in_transactions: WeakKeyDictionary[Transaction, dict[str, Any]] = WeakKeyDictionary()
        """The streams whose line a transaction holds up."""

    @async_block
    async def enter(self, stream: str, transaction: Transaction | None) -> AsyncIterator[None]:
        """Wait for the commands before, and keep others waiting while the block lasts. Raises `Deadlock`."""
        if transaction is None:
            async with hold(self._gate_of(stream)):
                yield
            return
        streams = self._in_transactions.setdefault(transaction, {})
        if stream not in streams:
            stack = AsyncExitStack()
            await stack.enter_async_context(hold(self._gate_of(stream)))
            streams[stream] = None
            transaction.on_end(stack.aclose)
        yield

    def _gate_of(self, stream: str) -> Gate:
        gate = self._gates.get(stream)
        return self._gates.setdefault(stream, Gate(f"{self._name} {stream!r}")) if gate is None else gate
