"""The interfaces to storage, as protocols over bytes.

`Queue`, `Outbox` and `Inbox` carry work, `EventStore` keeps events for ever, `Documents` the latest state of things,
`Feed` items for clients that follow and resume, `Cache` and `Locks` support middleware.
`modd.stores` has implementations in memory and on SQLite. Any object with these methods is an implementation; test your
own with the suites of `modd.testing.conformance`.
"""

from modd.ports.cache import Cache
from modd.ports.documents import Documents
from modd.ports.errors import (
    AlreadyHandled,
    Conflict,
    DocumentConflict,
    FeedGap,
    LeaseLost,
    NoTransaction,
    QueryConflict,
    ReadConflict,
    RevisionConflict,
    StoreError,
)
from modd.ports.events import EventPage, EventStore, PositionedBody, RecordedEvent, Snapshot
from modd.ports.feed import Feed, Posted
from modd.ports.inbox import Inbox
from modd.ports.items import Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects, Unique
from modd.ports.locks import Locks
from modd.ports.outbox import Outbox
from modd.ports.queue import Queue
from modd.ports.storage import Storage
from modd.ports.tagged import TYPE_HEADER, Alternative, Tagged
from modd.ports.transaction import SupportsTransactions, Transaction

__all__ = [
    "TYPE_HEADER",
    "AlreadyHandled",
    "Alternative",
    "Cache",
    "Claim",
    "Conflict",
    "DeadLetter",
    "DocumentConflict",
    "Documents",
    "EventPage",
    "EventStore",
    "Feed",
    "FeedGap",
    "Inbox",
    "Item",
    "LeaseLost",
    "Locks",
    "NoTransaction",
    "Outbox",
    "PositionedBody",
    "Posted",
    "PutResult",
    "QueryConflict",
    "Queue",
    "ReadConflict",
    "RecordedEvent",
    "RevisionConflict",
    "Snapshot",
    "Stats",
    "Storage",
    "StoreError",
    "Subscription",
    "SupportsTransactions",
    "Suspects",
    "Tagged",
    "Transaction",
    "Unique",
]
