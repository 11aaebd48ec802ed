"""Workers: what is in queues is handled by typed buses (`docs/durability.md`).

To read it: `worker` (what is used, and its loop), `handling` (what is done for a claim), `work` (a claim until it is
settled), `slots` and `leases` (how claims are worked on side by side), `expansion` (events), `outcome` (failures).
"""

from modd.worker.errors import AlreadyRunning, DuplicateHandler
from modd.worker.group import run_workers
from modd.worker.worker import Worker

__all__ = ["AlreadyRunning", "DuplicateHandler", "Worker", "run_workers"]
