"""Transactions and savepoints of SQLite, on one connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modd.concurrency.blocks import block
from modd.stores.errors import TransactionInUse
from modd.stores.sqlite.errors import is_corrupt
from modd.stores.sqlite.sql import CallArgs, Connection, Operation, execute_call


def begin(connection: Connection) -> None:
    """Begin a transaction that writes."""
    roll_back(connection)  # one may be left from a disk that failed, and then failed to roll back
    connection.execute("BEGIN IMMEDIATE")


def roll_back(connection: Connection) -> None:
    """Roll back the transaction, if one is open."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@block
def one_state(connection: Connection) -> Iterator[None]:
    """Let all statements of the block read one state of the file: that of the open transaction, or of a new one."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        roll_back(connection)


@block
def transaction(connection: Connection) -> Iterator[None]:
    """Run the block in one transaction that writes: commit it, or roll it back if anything fails."""
    begin(connection)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        roll_back(connection)
        drop_corrupt_pages(connection, error)
        raise


@block
def savepoint(connection: Connection, name: str = "modd") -> Iterator[None]:
    """Run the block in a savepoint: its writes are undone if it fails."""
    connection.execute(f"SAVEPOINT {name}")
    try:
        yield
    except BaseException:
        undo_savepoint(connection, name)
        raise
    connection.execute(f"RELEASE {name}")


def undo_savepoint(connection: Connection, name: str) -> None:
    """Undo the writes since a savepoint, unless the whole transaction was rolled back."""
    if connection.in_transaction:
        connection.execute(f"ROLLBACK TO {name}")
        connection.execute(f"RELEASE {name}")


def run_in_savepoint(connection: Connection, operation: Operation, arguments: CallArgs) -> Any:
    """Run one call of an operation in the open transaction, and return its result; undo its writes if it fails.

    Raises `TransactionInUse` if a statement such as ``INSERT OR ROLLBACK`` has ended the transaction, because a write
    would be committed alone then.
    """
    if not connection.in_transaction:
        raise TransactionInUse("to write", is_open=False)
    with savepoint(connection):
        return execute_call(connection, operation, arguments)


def drop_corrupt_pages(connection: Connection, error: BaseException) -> None:
    """Drop the page cache after an error about corrupt pages: the disk may have misread them, and SQLite keeps them."""
    if is_corrupt(error):
        connection.execute("PRAGMA shrink_memory")
