"""Makes of the ports in `modd.ports`, ready to use.

In the memory of one process: `MemoryCache`, `MemoryLocks`, `MemoryQueue`. They are for tests and for what may be lost
with the process. Like stores elsewhere they are points at which others get a turn and a cancellation is delivered,
always before anything is done. Their time is that of the loop.
"""

from modd.stores.memory_cache import MemoryCache
from modd.stores.memory_locks import MemoryLocks
from modd.stores.memory_queue import MemoryQueue

__all__ = ["MemoryCache", "MemoryLocks", "MemoryQueue"]
