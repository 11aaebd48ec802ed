"""What modd asks of the outside, as protocols over bytes: `Cache`, `Locks`, `Queue`.

`modd.stores` has makes of them that are ready to use. For a make of your own write the methods, without a base class,
and run the suite of `modd.testing.conformance` on it.
"""

from modd.ports.cache import Cache
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Dead, Item, Stats
from modd.ports.locks import Locks
from modd.ports.queue import Queue

__all__ = ["Cache", "Claim", "Dead", "Item", "LeaseLost", "Locks", "Queue", "Stats"]
