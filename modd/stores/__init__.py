"""Makes of the ports in `modd.ports`, ready to use.

In the memory of one process: `MemoryQueue`, `MemoryOutbox`, `MemoryInbox`, `MemoryEventStore`, `MemoryCache`,
`MemoryLocks`. They are for tests and for what may be lost with the process. Like stores elsewhere they are points at
which others get a turn and a cancellation is delivered, always before anything is done. Their time is that of the loop,
but for what says when something was recorded.

In one SQLite file, with transactions: `SqliteStore`, which gives all of them, and the errors that it raises. Those that
are about the file derive from `modd.ports.StoreError`.
"""

from modd.stores.memory.cache import MemoryCache
from modd.stores.memory.events import MemoryEventStore
from modd.stores.memory.inbox import MemoryInbox
from modd.stores.memory.locks import MemoryLocks
from modd.stores.memory.outbox import MemoryOutbox
from modd.stores.memory.queue import MemoryQueue
from modd.stores.sqlite.errors import (
    AnswerNeeded,
    NewerStore,
    NotAStore,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreElsewhere,
    StoreFailed,
    StoreForked,
    StoreFull,
    StoreReadOnly,
    TransactionInUse,
    TransactionTimeout,
)
from modd.stores.sqlite.journal import NotDurable
from modd.stores.sqlite.store import SqliteStore

__all__ = [
    "AnswerNeeded",
    "MemoryCache",
    "MemoryEventStore",
    "MemoryInbox",
    "MemoryLocks",
    "MemoryOutbox",
    "MemoryQueue",
    "NewerStore",
    "NotAStore",
    "NotDurable",
    "SqliteStore",
    "StoreBusy",
    "StoreClosed",
    "StoreCorrupt",
    "StoreElsewhere",
    "StoreFailed",
    "StoreForked",
    "StoreFull",
    "StoreReadOnly",
    "TransactionInUse",
    "TransactionTimeout",
]
