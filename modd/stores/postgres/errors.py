"""The errors of a store for those of psycopg: each names the store and the cure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from modd.concurrency.blocks import block
from modd.errors import ModdError
from modd.ports.errors import StoreError
from modd.stores.errors import StoreBusy
from modd.texts import escape_control

E = TypeVar("E", bound=BaseException)


class DatabaseRefused(StoreError):
    """The database does not let the store in, or not do what it needs: a password, a right or a database is missing.

    store: the name of the store.
    cause: the text of the database, in the text.
    cure: the words for the way to mend it, in the text.

    Look at the address, the user and its rights: a store needs all rights in its schema. If a table of yours is
    missing, create it.
    """

    def __init__(
        self,
        store: str,
        cause: object = "",
        cure: str = "look at the address, the user and its rights: a store needs all rights in its schema",
    ) -> None:
        super().__init__(store, f"the database refuses it ({cause}); {cure}")


class DatabaseFailed(StoreError):
    """The database could not do what it was asked for: its disk is full, it is read-only, or it is damaged.

    store: the name of the store.
    cause: the text of the database, in the text.

    Look at the log of the server; acknowledged writes are safe, and the store goes on when the server does.
    """

    def __init__(self, store: str, cause: object = "") -> None:
        super().__init__(
            store,
            f"the database failed ({cause}); look at the log of the server; acknowledged writes are safe, and the "
            "store goes on when the server does",
        )


class InRecovery(psycopg.OperationalError):
    """A server in recovery, such as a standby, takes no writes; another one at the address, or a later one, may do."""


ENDED = (
    errors.IdleInTransactionSessionTimeout,
    getattr(errors, "TransactionTimeout", errors.IdleInTransactionSessionTimeout),  # psycopg 3.2 may not have it
)
"""Errors of a server that ends a transaction which takes too long, by a limit that somebody has set there."""


KINDS: tuple[tuple[tuple[type[Exception], ...], type[StoreError]], ...] = (
    (
        (
            errors.InvalidAuthorizationSpecification,
            errors.InvalidPassword,
            errors.InsufficientPrivilege,
            errors.InvalidCatalogName,
            errors.InvalidSchemaName,
            errors.UndefinedTable,
        ),
        DatabaseRefused,
    ),
    (
        (
            errors.DiskFull,
            errors.ReadOnlySqlTransaction,
            errors.DataCorrupted,
            errors.IndexCorrupted,
            errors.InternalError_,
            errors.IoError,
            InRecovery,
        ),
        DatabaseFailed,
    ),
    ((psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, PoolClosed, TooManyRequests, *ENDED), StoreBusy),
)
"""The error of the store for each error of psycopg, the first that fits; all others are about statements and values."""


REPEATABLE = (errors.SerializationFailure, errors.DeadlockDetected)
"""Errors of a transaction that may succeed if it is run again."""


BUSY: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
    (
        REPEATABLE,
        "other transactions were in the way, however often it was tried",
        "try again, or have fewer transactions that write the same rows in another order",
    ),
    (
        errors.LockNotAvailable,
        "another transaction has a lock that this one needs",
        "end that transaction, perhaps one in which this task has put with `using`, or do slow work before it begins",
    ),
    (
        ENDED,
        "the server has ended the transaction, which took longer than it allows",
        "do slow work before the transaction, or set a longer idle_in_transaction_session_timeout or "
        "transaction_timeout on the server",
    ),
    (
        Exception,
        "the database does not answer",
        "the next call finds it when it is back; look at the server, or give the store a longer timeout",
    ),
)
"""The problem and the cure of each error for which a store is busy, the first that fits."""


@block
def translate_errors(store: str) -> Iterator[None]:
    """Raise errors of psycopg in the block as the matching `StoreError`, caused by that."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests) as error:
        translated = translate_error(store, error)
        if translated is error:
            raise
        raise translated from error


def translate_error(store: str, error: Exception) -> Exception:
    """Return the `StoreError` for an error of psycopg; any other error as it is."""
    kind = next((kind for types, kind in KINDS if isinstance(error, types)), None)
    if is_refused(error):
        kind = DatabaseRefused
    if kind is None or isinstance(error, ModdError):
        return error
    cause = f"{type(error).__name__}: {escape_control(' '.join(str(error).split()))}"
    if isinstance(error, errors.UndefinedTable):
        cure = "create this table, or write its schema before its name; `migrate` creates those of modd"
        return DatabaseRefused(store, cause, cure)
    if kind is StoreBusy:
        return StoreBusy(store, cause, *next(words for types, *words in BUSY if isinstance(error, types)))
    return kind(store, cause)


REFUSALS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "permission denied",
)
"""Words of a server, or of libpq, that let no one in: an error of a connection that is not made has no code."""


LOST = (
    errors.ConnectionException,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.TooManyConnections,
)
"""Errors that a server tells before it ends a connection; if it is gone, the error has no code."""


def is_refused(error: BaseException) -> bool:
    """Return True for an error of a connection that the server does not let in."""
    text = str(error)
    return isinstance(error, psycopg.OperationalError) and not error.sqlstate and any(each in text for each in REFUSALS)


def is_lost(error: BaseException) -> bool:
    """Return True for an error that ends a connection, so that another one may do."""
    if isinstance(error, psycopg.OperationalError) and not isinstance(error, PoolClosed):
        return isinstance(error, LOST) or not error.sqlstate
    return isinstance(error, psycopg.InterfaceError)
