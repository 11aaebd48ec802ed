"""Parts of apps that tests run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio


class Job:
    """A part that works until it is stopped.

    obeys: False to go on after the stop. error: raised at the end. stop_error: raised by ``stop``. log: gets the name
    when the job begins, is stopped, and ends.
    """

    def __init__(
        self,
        name: str = "job",
        *,
        obeys: bool = True,
        error: BaseException | None = None,
        stop_error: Exception | None = None,
        log: list[str] | None = None,
    ) -> None:
        self.label, self.began, self.stopped = name, anyio.Event(), anyio.Event()
        self.obeys, self.error, self.stop_error = obeys, error, stop_error
        self.log = [] if log is None else log
        self.cancelled = False

    async def run(self) -> None:
        self.began.set()
        self.log.append(f"{self.label} begins")
        try:
            await self.work()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        finally:
            self.log.append(f"{self.label} ends")

    async def work(self) -> None:
        await self.stopped.wait()
        if not self.obeys:
            await anyio.sleep_forever()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        self.log.append(f"{self.label} is stopped")
        self.stopped.set()
        if self.stop_error is not None:
            raise self.stop_error


class Failing(Job):
    """A part that raises at its start, or after an event."""

    def __init__(self, error: BaseException, name: str = "failing", after: anyio.Event | None = None) -> None:
        super().__init__(name, error=error)
        self.after = after

    async def work(self) -> None:
        if self.after is not None:
            await self.after.wait()
        if self.error is not None:
            raise self.error


class Brief(Job):
    """A part that returns by itself, at once or after an event."""

    def __init__(self, name: str = "brief", after: anyio.Event | None = None) -> None:
        super().__init__(name)
        self.after = after

    async def work(self) -> None:
        if self.after is not None:
            await self.after.wait()


class Timed(Job):
    """A part that is told to stop before others, as timers and gateways are."""

    stops_first = True


class Slow(Job):
    """A part that does its work only after a while, and tells how it is."""

    def __init__(self, name: str = "slow", ready: Callable[[], Awaitable[None]] | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self.may_be_ready, self.words = anyio.Event(), list[str]()
        self.ready = ready

    async def wait_ready(self) -> None:
        await (self.ready or self.may_be_ready.wait)()

    def problem(self) -> str | None:
        return self.words[0] if self.words else None


class Plain:
    """A part that belongs to no loop: it can be run in one loop after the other."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self) -> None:
        self.runs += 1
        self.stopped = anyio.Event()
        await self.stopped.wait()

    def stop(self) -> None:
        self.stopped.set()
