"""Workers claim messages from queues and have typed buses handle them (`docs/understand/workers.md`).

Begin reading at `worker` (the public class) and `run` (its loop). Then follow a claim:

- `source` claims it from a queue; `pool` handles claims side by side; `modd.concurrency.lease` renews their leases.
- `claim_handler` decodes the message and dispatches it to one of the `buses`; `emitted` publishes its events.
- `fan_out` replaces an event with one delivery for each handler that workers have announced; `subscriptions` has the
  handlers that this worker announces, and the names of messages that are left to it.
- `claim` settles it; `retry` decides about the next attempt; `dead_letters` makes dead letters.
- `group` runs workers together, each as a `member`, until SIGTERM (`termination`); `idleness` ends a run in tests.
"""

from modd.worker.errors import AlreadyRunning, DuplicateHandler
from modd.worker.group import run_workers
from modd.worker.worker import Worker

__all__ = ["AlreadyRunning", "DuplicateHandler", "Worker", "run_workers"]
