"""Transactions on a NATS server, deferred and immediate: each ends with one commit, stored whole or not at all.

A *deferred* transaction collects its writes and plans them at its end. An *immediate* one plans each call at once, so
that its block reads its own writes. Neither keeps other writers off. If something that was read has changed at the end,
all calls are planned anew; if a result that the block has seen would be another one now, the transaction is a conflict.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar, NamedTuple, TypeVar

import anyio

from modd.concurrency.blocks import async_block
from modd.ports.errors import ReadConflict
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.collecting_transaction import CollectingTransaction
from modd.stores.errors import SqlNotSupported, TransactionTimeout, UnknownOutcome
from modd.stores.nats.access import Committer, NatsParts, Operation
from modd.stores.nats.errors import WrongSequence
from modd.stores.nats.overlay import Overlay
from modd.stores.transaction import StoreTransaction

T = TypeVar("T")


class NatsTransaction(StoreTransaction[NatsParts]):
    """An open transaction of a `NatsStore`; see `modd.ports.Transaction`. It has no SQL."""

    async def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Raise `SqlNotSupported`."""
        raise SqlNotSupported("execute", "NatsStore")

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int | None:
        """Raise `SqlNotSupported`."""
        raise SqlNotSupported("execute_many", "NatsStore")

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Raise `SqlNotSupported`."""
        raise SqlNotSupported("fetch", "NatsStore")


class DeferredNatsTransaction(CollectingTransaction[NatsParts], NatsTransaction):
    """A transaction that collects its writes, and plans them when its block ends. It does not read its own."""

    def __init__(self, store: NatsParts, committer: Committer) -> None:
        super().__init__(store)
        self._committer, self._reads = committer, committer.overlay()
        self._titles: dict[str, str] = {}

    async def read(self, title: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that reads; the commit finds out if something that it has read has changed."""
        result = await operation(self._reads, *arguments)
        for filter in self._reads.guards:
            self._titles.setdefault(filter, title)
        return result

    async def _commit(self) -> None:
        if self._writes:
            is_done, _ = await self._committer.attempt(self._plan)
            if not is_done:
                await self._committer.run_again(self._plan_anew)
        elif len(self._reads.guards) > 1:  # in one state
            await self._check_reads()

    async def _plan_anew(self) -> tuple[Overlay, None]:
        await self._check_reads()
        return await self._plan()

    async def _plan(self) -> tuple[Overlay, None]:
        overlay = self._committer.overlay().continues(self._reads)
        try:
            for operation, arguments in self._writes:
                await self._committer.apply(overlay, operation, *arguments)
        except Exception:
            await self._check_reads()  # a decision that rests on old reads is wrong for that reason
            raise
        return overlay, None

    async def _check_reads(self) -> None:
        """Raise `ReadConflict` if something that was read has changed."""
        changed = await self._committer.find_changed(self._reads.guards)
        if changed is not None:
            raise ReadConflict(self._titles[changed])


class _Call(NamedTuple):
    """A call of an immediate transaction, and its outcome: a result, or the type of an error."""

    title: str
    operation: Operation
    arguments: tuple[Any, ...]
    result: Any
    error: type[Exception] | None

    async def is_the_same_on(self, overlay: Overlay, committer: Committer) -> bool:
        """Run it on another overlay; True if it has the same outcome. Raises its error if it had none before."""
        mark = overlay.mark()
        try:
            result = await committer.apply(overlay, self.operation, *self.arguments)
        except WrongSequence:
            raise
        except Exception as error:
            if self.error is None:
                raise
            overlay.undo_to(mark)
            return type(error) is self.error
        return self.error is None and bool(result == self.result)


class ImmediateNatsTransaction(NatsTransaction):
    """A transaction that plans each call at once, so that its block reads its own writes.

    It does not keep other writers off, and so may end with `modd.ports.Conflict`, or with the error that a call would
    raise by now, such as `modd.ports.AlreadyHandled`.
    """

    is_deferred: ClassVar[bool] = False

    def __init__(self, store: NatsParts, committer: Committer, max_seconds: float) -> None:
        super().__init__(store)
        self._committer, self._overlay, self._max_seconds = committer, committer.overlay(), max_seconds
        self._calls: list[_Call] = []
        self._is_committing = False
        self._is_repeatable = True
        """False after a savepoint that failed: the block may know what was read in it."""

    async def write(self, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that writes, and return its result."""
        return await self._run(operation.__name__.strip("_").replace("_", " "), operation, arguments)

    async def write_for_result(self, call: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that writes, and return its result."""
        return await self._run(call, operation, arguments)

    async def read(self, title: str, operation: Operation, *arguments: Any) -> Any:
        """Run an operation that reads, the writes of the transaction included."""
        return await self._run(title, operation, arguments)

    @async_block
    async def savepoint(self) -> AsyncIterator[NatsTransaction]:
        """Run a block whose writes are dropped if it fails."""
        self.check_usable("savepoint")
        writes, calls, mark = self._overlay.mark(), len(self._calls), self.mark()
        try:
            yield self
        except BaseException:
            self._overlay.undo_to(writes)
            self._is_repeatable = self._is_repeatable and len(self._calls) == calls
            self.undo_to(mark)
            raise

    @async_block
    async def run(self) -> AsyncIterator[NatsTransaction]:
        """Run the block, then commit.

        Raises `TransactionTimeout` if the block takes longer than ``max_seconds``, and `UnknownOutcome` if its commit
        has no answer by then.
        """
        token = open_transaction.set(self)
        try:
            try:
                with anyio.move_on_after(self._max_seconds) as scope:
                    yield self
                    await self._commit()
                if scope.cancelled_caught:
                    raise self._late()
            finally:
                self.end()
                open_transaction.reset(token)
            await self.run_commit_hooks()
        finally:
            await self.run_end_hooks()

    async def _run(self, title: str, operation: Operation, arguments: tuple[Any, ...]) -> Any:
        mark = self._overlay.mark()
        try:
            result = await self._committer.apply(self._overlay, operation, *arguments)
        except Exception as error:
            self._overlay.undo_to(mark)
            self._calls.append(_Call(title, operation, arguments, None, type(error)))
            if isinstance(error, WrongSequence):
                raise ReadConflict(title) from None
            raise
        self._calls.append(_Call(title, operation, arguments, result, None))
        return result

    async def _commit(self) -> None:
        if not self._overlay.writes:
            if len(self._overlay.guards) > 1:  # in one state
                await self._check_reads()
            return
        self._is_committing = True
        if not await self._committer.try_to_commit(self._overlay):
            self._is_committing = False
            if not self._is_repeatable:
                raise ReadConflict(self._calls[0].title)
            await self._committer.run_again(self._plan_anew)

    def _late(self) -> Exception:
        """Return the error if the time is over: once writes are sent, nothing tells if they are stored."""
        if self._is_committing:
            return UnknownOutcome(self.store.name, self._overlay.ids)
        return TransactionTimeout(self.store.name, self._max_seconds)

    async def _check_reads(self) -> None:
        if await self._committer.find_changed(self._overlay.guards) is not None:
            raise ReadConflict(self._calls[0].title)

    async def _plan_anew(self) -> tuple[Overlay, None]:
        self._is_committing = False  # what was sent before was refused
        overlay = self._committer.overlay()
        for call in self._calls:
            if not await call.is_the_same_on(overlay, self._committer):
                raise ReadConflict(call.title)
        self._is_committing = True
        return overlay, None
