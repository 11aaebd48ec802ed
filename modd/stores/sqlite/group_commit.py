"""Group commit: the calls of concurrent tasks become one transaction, because a commit costs more than its writes.

Example: three tasks call `ack`, `put` and `ack` at once. `Batch` runs each operation once, `ack` with two calls and
`put` with one, and commits. If one call fails, say with `LeaseLost`, the transaction is rolled back, and a second one
runs each call in a savepoint: the failing call raises, and the other two are committed.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any

import msgspec

from modd.concurrency.signals import Signal, set_signal
from modd.stores.sqlite.errors import is_store_failure, translate_error
from modd.stores.sqlite.savepoint import drop_corrupt_pages, savepoint, transaction
from modd.stores.sqlite.sql import CallArgs, Connection, Operation, Refused, execute_call, execute_calls


class RolledBack(Exception):
    """A statement of the user (``INSERT OR ROLLBACK``) has rolled back the whole transaction."""


class Write(msgspec.Struct, eq=False):  # made in a third of the time of a class with `__init__`
    """A call that waits to be committed, with its result or error afterwards.

    done: set when the batch is committed or has failed.
    """

    operation: Operation
    arguments: CallArgs
    done: Signal
    result: Any = None
    error: BaseException | None = None


class Batch:
    """Writes that become one transaction; each is committed whole or not at all, whichever other one fails."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.is_finished = False
        """True once every write has its result or error, and its caller was woken."""

    @property
    def is_mixed(self) -> bool:
        """True if the last write is of a different operation than the first."""
        return bool(self.writes[0].operation != self.writes[-1].operation)

    def finish(self) -> None:
        """Wake the callers."""
        self.is_finished = True
        for write in self.writes:
            set_signal(write.done)

    def commit(self, store: str, connection: Connection) -> None:
        """Run all writes and commit; each has a result or an error afterwards."""
        try:
            with transaction(connection):
                self._run_grouped(connection)
        except Exception as error:
            self._forget_errors()  # a call may have been refused because of one that is rolled back now
            if is_store_failure(error):
                return self.fail(store, error)
            try:
                self._commit_singly(store, connection)
            except Exception as failure:
                self.fail(store, failure)

    def fail(self, store: str, error: Exception) -> None:
        """Set this error on each write that has no error yet."""
        for write in self.writes:
            write.error = write.error or translate_error(store, error)

    def refuse(self, error: Exception) -> None:
        """Fail each write with this error, without running any."""
        for write in self.writes:
            write.error = error
        self.finish()

    def _forget_errors(self) -> None:
        for write in self.writes:
            write.error = None

    def _run_grouped(self, connection: Connection) -> None:
        groups = defaultdict[Operation, list[Write]](list)
        for write in self.writes:
            groups[write.operation].append(write)
        for operation, writes in groups.items():
            results = execute_calls(connection, operation, [write.arguments for write in writes])
            for write, result in zip(writes, results, strict=True):
                if type(result) is Refused:
                    write.error = result.error
                else:
                    write.result = result

    def _commit_singly(self, store: str, connection: Connection) -> None:
        committed = False
        while not committed:  # again after each statement that rolled the transaction back, without that one
            with suppress(RolledBack), transaction(connection):
                self._run_singly(store, connection)
                committed = True

    def _run_singly(self, store: str, connection: Connection) -> None:
        for write in (write for write in self.writes if write.error is None):
            try:
                with savepoint(connection):
                    write.result = execute_call(connection, write.operation, write.arguments)
            except Exception as error:
                if is_store_failure(error):
                    raise
                drop_corrupt_pages(connection, error)
                write.error = translate_error(store, error)
                if not connection.in_transaction:
                    raise RolledBack from error
