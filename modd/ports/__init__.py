"""What modd asks of the outside, as protocols over bytes.

`Queue`, `Outbox` and `Inbox` carry work, `EventStore` keeps what has happened, `Cache` and `Locks` help. `modd.stores`
has makes of them that are ready to use. For a make of your own write the methods, without a base class, and run the
suite of `modd.testing.conformance` on it.
"""

from modd.ports.cache import Cache
from modd.ports.errors import AlreadyHandled, Conflict, LeaseLost, NoTransaction, StoreError
from modd.ports.events import EventStore, RecordedEvent, Snapshot
from modd.ports.inbox import Inbox
from modd.ports.items import Claim, DeadLetter, Item, Stats
from modd.ports.locks import Locks
from modd.ports.outbox import Outbox
from modd.ports.queue import Queue
from modd.ports.transaction import Transaction, Transactional

__all__ = [
    "AlreadyHandled",
    "Cache",
    "Claim",
    "Conflict",
    "DeadLetter",
    "EventStore",
    "Inbox",
    "Item",
    "LeaseLost",
    "Locks",
    "NoTransaction",
    "Outbox",
    "Queue",
    "RecordedEvent",
    "Snapshot",
    "Stats",
    "StoreError",
    "Transaction",
    "Transactional",
]
