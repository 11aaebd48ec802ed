"""Group commit: the rows of concurrent calls in one transaction, because a commit costs more than its writes.

Example: while a commit is under way, three tasks call ``queue.ack(claim)``. The next commit deletes three rows with one
statement. If one of the three leases is lost, that commit is rolled back, and each call is made alone.

A group waits for no lane and no id that another transaction has: a call that needs one is made alone, too.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from copy import copy
from itertools import chain, islice
from time import monotonic
from typing import Any

import anyio

from modd.concurrency.cancellation import native_requests, put_off
from modd.ports.errors import StoreError
from modd.ports.items import PutResult
from modd.stores.errors import StoreClosed, UnknownOutcome
from modd.stores.postgres.advisory import LockNames, try_locks
from modd.stores.postgres.commits import LAST_WAIT, Committer, prepare
from modd.stores.postgres.session import ConnectionSession, Operation

MOST_COMMITS = 2
"""Groups that are committed at once: while one waits for the disk, the next one is written."""


MOST_ROWS = 500
"""Most rows in one group, so that no commit is long."""


class PendingCall:
    """A call that waits to be committed with others.

    rows: what it adds to the rows of the others. locks: the locks that it needs.
    unique: values of which no other call of its group may have one.
    """

    def __init__(self, operation: Operation, rows: Sequence[Any], locks: LockNames, unique: Collection[Any]) -> None:
        self.operation, self.rows, self.locks, self.unique = operation, rows, locks, unique
        self.is_tried = False
        """True if the transaction of the group has its rows."""
        self.is_taken_back = False
        self.result: Any = None
        self.error: StoreError | None = None

    def fail(self, store: str, error: StoreError) -> None:
        """Set an error of its own, because each caller raises it."""
        ids = [each.id for each in self.result or () if isinstance(each, PutResult) and not each.duplicate]
        self.error = UnknownOutcome(store, ids) if isinstance(error, UnknownOutcome) else copy(error)
        self.error.__cause__ = error.__cause__

    def take_result(self) -> Any:
        """Return the result, or raise the error."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # so that error and frame form no cycle
        return self.result


class Group:
    """Calls that are committed together. Those of one operation become one call of it, with the rows of all."""

    def __init__(self) -> None:
        self.calls: list[PendingCall] = []
        self.is_begun = False
        self.done = anyio.Event()
        self._made_at = monotonic()
        self._rows, self._unique = 0, set[Any]()
        self._scope = anyio.CancelScope(shield=True)  # the store may be used in a shield when its scope is cancelled

    def add(self, call: PendingCall) -> bool:
        """Add a call, and return True; or False if there is no room for it."""
        has_room = self._rows + len(call.rows) <= MOST_ROWS and self._unique.isdisjoint(call.unique)
        if has_room:
            self.calls.append(call)
            self._rows += len(call.rows)
            self._unique.update(call.unique)
        return has_room

    def take_back(self, call: PendingCall) -> None:
        """Remove a call; once the commit has begun, it is cancelled when all its calls are taken back."""
        call.is_taken_back = True
        if not self.is_begun:
            self.calls.remove(call)
            self._rows -= len(call.rows)
            self._unique.difference_update(call.unique)
        elif all(each.is_taken_back for each in self.calls):
            self.cancel()

    def cancel(self) -> None:
        """Cancel the commit."""
        self._scope.cancel()

    async def commit(self, committer: Committer) -> None:
        """Commit the calls; afterwards each has a result or an error, or was not tried and is to be made alone."""
        self.is_begun = True
        error: StoreError | None = StoreClosed(committer.store)
        try:
            error = await self._try(committer)
        finally:
            if error is not None:
                self._fail(committer.store, error)
            self.done.set()

    async def outlast(self) -> None:
        """Return when the commit has ended, or after `LAST_WAIT`, however often the caller is cancelled."""
        with anyio.move_on_after(LAST_WAIT, shield=True) as scope:
            while self.is_begun and not self.done.is_set() and not scope.cancel_called:
                with suppress(anyio.get_cancelled_exc_class()):
                    await self.done.wait()

    async def _try(self, committer: Committer) -> StoreError | None:
        """Commit the calls, and return the error that all of them have."""
        try:
            with self._scope:
                await committer.run(self._write, pipelined=True, waited=monotonic() - self._made_at)
                return None
        except StoreError as error:
            return error
        except Exception:  # of one call: each finds out by itself
            for call in self.calls:
                call.is_tried = False
            return None
        return StoreClosed(committer.store)  # which has cancelled the scope

    def _fail(self, store: str, error: StoreError) -> None:
        for call in self.calls:
            if call.is_tried or not isinstance(error, UnknownOutcome):
                call.fail(store, error)

    async def _write(self, session: ConnectionSession) -> None:
        await prepare(session, (), ())
        needed = {call: call.locks.numbers(session.schema) for call in self.calls}
        free = await try_locks(session, set().union(*needed.values()))
        tried: dict[Operation, list[PendingCall]] = defaultdict(list)
        for call in self.calls:
            call.is_tried = needed[call] <= free
            if call.is_tried:
                tried[call.operation].append(call)
        for operation, calls in tried.items():
            results = await operation(session, [*chain.from_iterable(call.rows for call in calls)])
            hand_out(results, calls)


def hand_out(results: list[Any] | None, calls: Sequence[PendingCall]) -> None:
    """Set the result of each call: None, or those of its rows."""
    rest = iter(results or ())
    for call in calls:
        call.result = None if results is None else [*islice(rest, len(call.rows))]


class GroupCommit:
    """Commits the rows of concurrent calls in groups, a few at once.

    committer: runs the transactions.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._waiting: deque[Group] = deque()
        self._waiting_count = anyio.Semaphore(0)
        self._under_way: set[Group] = set()
        self._is_over = False

    async def submit(
        self, operation: Operation, rows: Sequence[Any], locks: LockNames, unique: Collection[Any] = ()
    ) -> Any:
        """Run an operation on rows, perhaps with the rows of others, and return its result once it is committed.

        A caller that is cancelled takes its call back, unless it is being committed with others: then it waits for
        that a moment. Raises what the operation raises, and `StoreError`.
        """
        call = PendingCall(operation, rows, locks, unique)
        if not self._is_over and len(rows) <= MOST_ROWS:
            await self._commit_with_others(call)
        if call.is_tried or call.error is not None:
            return call.take_result()
        [result] = await self._committer.commit((), ((operation, (rows,)),))
        return result

    async def run(self) -> None:
        """Commit groups, for ever; when it is cancelled, the calls that wait are made alone."""
        try:
            while True:
                await self._waiting_count.acquire()
                if self._is_over:  # it was woken and not cancelled: the group is no longer its own
                    return
                await self._commit(self._waiting.popleft())
        finally:
            self._is_over = True
            for group in self._waiting:
                group.done.set()

    def close(self) -> None:
        """Cancel the commits under way, which are shielded, and begin no other: the calls raise `StoreClosed`."""
        self._is_over = True
        for group in self._under_way:
            group.cancel()

    async def _commit(self, group: Group) -> None:
        self._under_way.add(group)
        try:
            if group.calls:
                await group.commit(self._committer)
        finally:
            self._under_way.discard(group)

    async def _commit_with_others(self, call: PendingCall) -> None:
        group = self._join(call)
        try:
            await group.done.wait()
        except anyio.get_cancelled_exc_class() as cancelled:
            requests = native_requests()
            group.take_back(call)
            await group.outlast()
            if not group.done.is_set() or not call.is_tried or call.error is not None:
                raise
            put_off(cancelled, requests)

    def _join(self, call: PendingCall) -> Group:
        if not self._waiting or not self._waiting[-1].add(call):
            self._waiting.append(Group())
            self._waiting[-1].add(call)
            self._waiting_count.release()
        return self._waiting[-1]
