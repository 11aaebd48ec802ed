"""Objects that `run_workers` runs beside workers."""

from __future__ import annotations

import anyio

from modd.worker import Worker


class Failing:
    """Fails before anything else has begun."""

    async def run(self) -> None:
        raise ValueError("broken")

    def stop(self) -> None:
        pass


class Job:
    """Something with run() and stop()."""

    def __init__(self, *, obeys: bool = True, error: Exception | None = None, after: anyio.Event | None = None) -> None:
        self.began, self.stopped, self.cancelled = anyio.Event(), anyio.Event(), False
        self.obeys, self.error, self.after = obeys, error, after

    async def run(self) -> None:
        self.began.set()
        if self.error is not None:
            await (self.after or self.stopped).wait()
            raise self.error
        try:
            await self.stopped.wait()
            if not self.obeys:
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise

    def stop(self) -> None:
        self.stopped.set()


class Told:
    """A worker, and when it has ended."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.ended = worker, anyio.Event()

    async def run(self) -> None:
        await self.worker.run()
        self.ended.set()

    def stop(self) -> None:
        self.worker.stop()
