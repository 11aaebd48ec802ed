"""Implementations of the ports in `modd.ports`.

In the memory of one process, for tests and for data that may be lost with the process: `MemoryStore`, which has an
implementation of each port, with transactions, and each implementation alone: `MemoryQueue`, `MemoryOutbox`,
`MemoryInbox`, `MemoryEventStore`, `MemoryDocuments`, `MemoryFeed`, `MemoryCache`, `MemoryLocks`. Each of their calls is
a checkpoint, as in other stores: other tasks run and a cancellation is delivered, before anything is done. They measure
time with the loop's clock, and note the time of events and of items of feeds in seconds since 1970.

In one SQLite file, with transactions: `SqliteStore`, which has an implementation of each port, and the errors that it
raises. Errors of the file derive from `modd.ports.StoreError`.
"""

from modd.stores.errors import (
    NotDurable,
    ResultNeeded,
    SqlNotSupported,
    StoreBusy,
    StoreClosed,
    TransactionInUse,
    TransactionTimeout,
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
from modd.stores.sqlite.errors import (
    NewerStore,
    NotAStore,
    StoreCorrupt,
    StoreFailed,
    StoreForked,
    StoreFull,
    StoreInOtherThread,
    StoreReadOnly,
)
from modd.stores.sqlite.store import SqliteStore

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
    "ResultNeeded",
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
    "TransactionInUse",
    "TransactionTimeout",
]
