"""Implementations of the ports in `modd.ports`.

In the memory of one process, for tests and for data that may be lost with the process: `MemoryStore`, which has an
implementation of each port, with transactions, and each implementation alone: `MemoryQueue`, `MemoryOutbox`,
`MemoryInbox`, `MemoryEventStore`, `MemoryDocuments`, `MemoryFeed`, `MemoryCache`, `MemoryLocks`. Each of their calls is
a checkpoint, as in other stores: other tasks run and a cancellation is delivered, before anything is done. They measure
time with the loop's clock, and note the time of events and of items of feeds in seconds since 1970.

In one SQLite file, with transactions: `SqliteStore`, which has an implementation of each port, and the errors that it
raises. Errors of the file derive from `modd.ports.StoreError`.

On a NATS server or a cluster of them, with transactions: `NatsStore`, which has an implementation of each port. It is
imported when it is used, and needs the extra ``nats``.

In a schema of a PostgreSQL database, with transactions: `PostgresStore`, which has an implementation of each port, and
its errors `DatabaseRefused` and `DatabaseFailed`; `sqlalchemy_session` opens a session of SQLAlchemy in the transaction
of the store. They are imported when they are used, and need the extra
``postgres``.
"""

from typing import TYPE_CHECKING, Any  # noqa: TID251  # for type checkers, of names that are imported lazily; no cycle is hidden

from modd.extras import import_lazily
from modd.stores.errors import (
    NewerStore,
    NotDurable,
    OlderStore,
    ResultNeeded,
    SqlNotSupported,
    StoreBusy,
    StoreClosed,
    TransactionInUse,
    TransactionTimeout,
    UnknownOutcome,
)
from modd.stores.memory.cache import MemoryCache
from modd.stores.memory.documents import MemoryDocuments
from modd.stores.memory.events import MemoryEventStore
from modd.stores.memory.feed import MemoryFeed
from modd.stores.memory.inbox import MemoryInbox
from modd.stores.memory.locks import MemoryLocks
from modd.stores.memory.outbox import MemoryOutbox
from modd.stores.memory.queue import MemoryQueue
from modd.stores.memory.store import MemoryStore
from modd.stores.nats.errors import ServerTooOld, TooMany
from modd.stores.sqlite.errors import (
    NotAStore,
    StoreCorrupt,
    StoreFailed,
    StoreForked,
    StoreFull,
    StoreInOtherThread,
    StoreReadOnly,
)
from modd.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from modd.stores.nats.store import NatsStore as NatsStore
    from modd.stores.postgres.errors import DatabaseFailed as DatabaseFailed
    from modd.stores.postgres.errors import DatabaseRefused as DatabaseRefused
    from modd.stores.postgres.sqlalchemy_session import sqlalchemy_session as sqlalchemy_session
    from modd.stores.postgres.store import PostgresStore as PostgresStore


_LAZY = {
    "DatabaseFailed": ("modd.stores.postgres.errors", "postgres"),
    "DatabaseRefused": ("modd.stores.postgres.errors", "postgres"),
    "NatsStore": ("modd.stores.nats.store", "nats"),
    "PostgresStore": ("modd.stores.postgres.store", "postgres"),
    "sqlalchemy_session": ("modd.stores.postgres.sqlalchemy_session", "postgres"),
}
"""The module and the extra of each name that needs an extra."""


__all__ = [
    "MemoryCache",
    "MemoryDocuments",
    "MemoryEventStore",
    "MemoryFeed",
    "MemoryInbox",
    "MemoryLocks",
    "MemoryOutbox",
    "MemoryQueue",
    "MemoryStore",
    "NewerStore",
    "NotAStore",
    "NotDurable",
    "OlderStore",
    "ResultNeeded",
    "ServerTooOld",
    "SqlNotSupported",
    "SqliteStore",
    "StoreBusy",
    "StoreClosed",
    "StoreCorrupt",
    "StoreFailed",
    "StoreForked",
    "StoreFull",
    "StoreInOtherThread",
    "StoreReadOnly",
    "TooMany",
    "TransactionInUse",
    "TransactionTimeout",
    "UnknownOutcome",
]


def __getattr__(name: str) -> Any:
    return import_lazily(__name__, name, _LAZY)
