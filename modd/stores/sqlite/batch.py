"""Calls that are committed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from modd.concurrency.signals import Signal, set_signal
from modd.stores.sqlite.errors import TransactionInUse, is_damage, is_of_store, translated
from modd.stores.sqlite.sql import Call, Connection, Operation


class Undone(Exception):
    """A statement of a user (``INSERT OR ROLLBACK``) has undone the whole transaction, and with it what others did."""


class Job:
    """A call that waits to be committed, and what came of it."""

    __slots__ = ("call", "done", "error", "operation", "result")

    def __init__(self, operation: Operation, call: Call, done: Signal) -> None:
        self.operation, self.call, self.done = operation, call, done
        self.result: Any = None
        self.error: BaseException | None = None


class Batch:
    """Jobs that become one transaction; each is done whole or not at all, and no other for its failure."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.told = False
        """Whether those who wait know what came of it."""

    def tell(self) -> None:
        """Let all who wait for it go on."""
        self.told = True
        for job in self.jobs:
            set_signal(job.done)

    def commit(self, store: str, connection: Connection) -> None:
        """Do all jobs and commit; every one of them has a result or an error then."""
        try:
            with transaction(connection):
                self._do_together(connection)
        except Exception as together:
            if is_of_store(together):
                return self.fail(store, together)
            try:
                self._commit_singly(connection)
            except Exception as singly:
                self.fail(store, singly)

    def fail(self, store: str, error: Exception) -> None:
        """All of it failed, so each job has the error for that, unless it has one of its own."""
        for job in self.jobs:
            job.error = job.error or translated(store, error)

    def refuse(self, error: Exception) -> None:
        """It is never committed."""
        for job in self.jobs:
            job.error = error
        self.tell()

    def _do_together(self, connection: Connection) -> None:
        alike: dict[Operation, list[Job]] = {}
        for job in self.jobs:
            alike.setdefault(job.operation, []).append(job)
        for operation, jobs in alike.items():
            for job, result in zip(jobs, operation(connection, [job.call for job in jobs]), strict=True):
                job.result = result

    def _commit_singly(self, connection: Connection) -> None:
        undone = True
        while undone:
            with suppress(Undone), transaction(connection):
                self._do_singly(connection)
                undone = False

    def _do_singly(self, connection: Connection) -> None:
        for job in (job for job in self.jobs if job.error is None):
            try:
                with savepoint(connection):
                    [job.result] = job.operation(connection, (job.call,))
            except Exception as error:
                if is_of_store(error):
                    raise
                job.error = error
                if not connection.in_transaction:
                    raise Undone from error


def begin(connection: Connection) -> None:
    """Begin a transaction that writes."""
    roll_back(connection)  # the disk failed, and then did not even let this be done
    connection.execute("BEGIN IMMEDIATE")


def roll_back(connection: Connection) -> None:
    """End the transaction, if one is open, as if it had not been."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def forget(connection: Connection, error: BaseException) -> None:
    """Read all from the disk again, if it made no sense: perhaps it was read wrong, and it would be kept as it is."""
    if is_damage(error):
        connection.execute("PRAGMA shrink_memory")


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """One transaction that writes, for the block: it is committed, or rolled back when anything fails."""
    begin(connection)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        roll_back(connection)
        forget(connection, error)
        raise


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """A part of a transaction that is undone when it fails."""
    connection.execute("SAVEPOINT modd")
    try:
        yield
    except BaseException:
        undo(connection, "modd")
        raise
    connection.execute("RELEASE modd")


def done_inside(connection: Connection, operation: Operation, call: Call) -> Any:
    """Do a call in the transaction that is open, whole or not at all."""
    if not connection.in_transaction:  # ``INSERT OR ROLLBACK``; what is written now would be committed by itself
        raise TransactionInUse("to write", is_open=False)
    with savepoint(connection):
        return operation(connection, (call,))


def undo(connection: Connection, name: str) -> None:
    """Undo what was written since a savepoint, unless all is undone."""
    if connection.in_transaction:
        connection.execute(f"ROLLBACK TO {name}")
        connection.execute(f"RELEASE {name}")
