"""Group commit: the rows of concurrent calls in one transaction, because a commit costs more than its writes.

Example: while a commit is under way, three tasks call ``queue.ack(claim)``. The next commit deletes three rows with one
statement. If one of the three leases is lost, that commit is rolled back, and each call is made alone.

A group waits for no lock of another transaction: a call whose locks are not free is made alone, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from copy import copy
from itertools import chain, islice
from typing import Any

import anyio

from modd.concurrency.cancellation import put_off
from modd.ports.errors import StoreError
from modd.ports.items import PutResult
from modd.stores.errors import StoreClosed, UnknownOutcome
from modd.stores.postgres.advisory import LockNames, try_locks
from modd.stores.postgres.commits import Committer, prepare
from modd.stores.postgres.session import ConnectionSession, Operation

COMMITS = 2
"""Groups that are committed at once: while one waits for the disk, the next one is written."""


MOST_CALLS = 500
"""Most calls in one group, so that no commit is long."""


class PendingCall:
    """A call that waits to be committed with others.

    rows: what it adds to the rows of the others. locks: the locks that it needs.
    unique: values of which no other call of its group may have one.
    """

    def __init__(self, rows: Sequence[Any], locks: LockNames, unique: Collection[Any]) -> None:
        self.rows, self.locks, self.unique = rows, locks, unique
        self.is_alone = True
        """True if it is to be made alone."""
        self.is_taken_back = False
        self.result: Any = None
        self.error: StoreError | None = None

    def fail(self, store: str, error: StoreError) -> None:
        """Set an error of its own, because each caller raises it."""
        ids = [each.id for each in self.result or () if isinstance(each, PutResult) and not each.duplicate]
        self.error = UnknownOutcome(store, ids) if isinstance(error, UnknownOutcome) else copy(error)
        self.error.__cause__ = error.__cause__
        self.is_alone = False


class Group:
    """Calls of one operation, which takes the rows of all, and returns None or a result for each row."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.calls: list[PendingCall] = []
        self.is_begun = False
        self.done = anyio.Event()
        self._unique: set[Any] = set()
        self._scope = anyio.CancelScope(shield=True)

    def add(self, call: PendingCall) -> bool:
        """Add a call, and return True; or False if there is no room for it."""
        has_room = len(self.calls) < MOST_CALLS and self._unique.isdisjoint(call.unique)
        if has_room:
            self.calls.append(call)
            self._unique.update(call.unique)
        return has_room

    def take_back(self, call: PendingCall) -> None:
        """Remove a call; once the commit has begun, it is cancelled when all its calls are taken back."""
        call.is_taken_back = True
        if not self.is_begun:
            self.calls.remove(call)
            self._unique.difference_update(call.unique)
        elif all(each.is_taken_back for each in self.calls):
            self.cancel()

    def cancel(self) -> None:
        """Cancel the commit."""
        self._scope.cancel()

    async def commit(self, committer: Committer) -> None:
        """Commit the calls; each has a result or an error afterwards, or is to be made alone."""
        self.is_begun = True
        failed: StoreError | None = StoreClosed(committer.store)  # if it is cancelled
        try:
            with self._scope:
                await committer.run(self._write, pipelined=True)
                failed = None
        except StoreError as error:
            failed = error
        except Exception:  # of one call: each finds out by itself
            failed = None
            for call in self.calls:
                call.is_alone = True
        finally:
            if failed is not None:
                for call in self.calls:
                    call.fail(committer.store, failed)
            self.done.set()

    async def outlast(self) -> None:
        """Return when the commit has ended, if it has begun, however often the caller is cancelled."""
        with anyio.CancelScope(shield=True):
            while self.is_begun and not self.done.is_set():
                with suppress(anyio.get_cancelled_exc_class()):
                    await self.done.wait()

    async def _write(self, session: ConnectionSession) -> None:
        await prepare(session, (), ())
        needed = {call: call.locks.numbers(session.schema) for call in self.calls}
        free = await try_locks(session, set().union(*needed.values()))
        calls = [call for call in self.calls if needed[call] <= free]
        results = await self.operation(session, [*chain.from_iterable(call.rows for call in calls)])
        rest = iter(results or ())
        for call in self.calls:
            call.is_alone = not needed[call] <= free
            call.result = None if call.is_alone or results is None else [*islice(rest, len(call.rows))]


class GroupCommit:
    """Commits the rows of concurrent calls in groups, a few at once.

    committer: runs the transactions.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._waiting: deque[Group] = deque()
        self._count = anyio.Semaphore(0)
        """The number of groups that wait."""
        self._under_way: set[Group] = set()
        self._is_over = False

    async def submit(
        self, operation: Operation, rows: Sequence[Any], locks: LockNames, unique: Collection[Any] = ()
    ) -> Any:
        """Run an operation on rows, perhaps with the rows of others, and return its result once it is committed.

        A caller that is cancelled takes its call back, unless it is being committed with others: then it waits for
        that. Raises what the operation raises, and `StoreError`.
        """
        call = PendingCall(rows, locks, unique)
        if not self._is_over:
            await self._commit_with_others(operation, call)
        if call.error is not None:
            raise call.error
        if not call.is_alone:
            return call.result
        [result] = await self._committer.commit((), ((operation, (rows,)),))
        return result

    async def run(self) -> None:
        """Commit groups, for ever; when it is cancelled, the calls that wait are made alone."""
        try:
            while True:
                await self._count.acquire()
                await self._commit(self._waiting.popleft())
        finally:
            self._is_over = True
            for group in self._waiting:
                group.done.set()

    def close(self) -> None:
        """Cancel the commits under way: their calls raise `StoreClosed`."""
        for group in self._under_way:
            group.cancel()

    async def _commit(self, group: Group) -> None:
        self._under_way.add(group)
        try:
            if group.calls:
                await group.commit(self._committer)
        finally:
            self._under_way.discard(group)

    async def _commit_with_others(self, operation: Operation, call: PendingCall) -> None:
        group = self._join(operation, call)
        try:
            await group.done.wait()
        except anyio.get_cancelled_exc_class() as cancelled:
            group.take_back(call)
            await group.outlast()
            if call.is_alone or call.error is not None:
                raise
            put_off(cancelled)

    def _join(self, operation: Operation, call: PendingCall) -> Group:
        for group in self._waiting:
            if group.operation == operation and group.add(call):
                return group
        group = Group(operation)
        group.add(call)
        self._waiting.append(group)
        self._count.release()
        return group
