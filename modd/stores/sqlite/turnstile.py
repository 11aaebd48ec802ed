"""Taking turns with other processes at writing.

SQLite itself looks less and less often whether a file is free, so one who writes without a pause keeps others out for
seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import uniform
from time import monotonic, sleep
from typing import TypeVar

from modd.stores.sqlite.link import Link, Loop
from modd.stores.sqlite.presence import Locked
from modd.stores.sqlite.sql import Connection

T = TypeVar("T")


class Turnstile:
    """A lock on a file of its own, held for each transaction. Who waits for it looks again every millisecond or so.

    Only SQLite's own locks keep the file whole: this one is for fairness alone, and nobody waits for it for ever.

    timeout: for how many seconds to wait for a turn, before it is left to SQLite to say that the file is locked.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._locked, self._timeout = Locked(f"{path}-modd-turn", path), timeout
        self._works = self._locked.works()

    def run(self, work: Callable[[Connection], T], connection: Connection) -> T:
        """Do the work in a turn. One who has a transaction open has the file, and waits for nobody."""
        if connection.in_transaction or not self._works:
            return work(connection)
        self._wait()
        try:
            return work(connection)
        finally:
            with suppress(OSError):
                self._locked.leave()

    def close(self) -> None:
        """Take no turns any more."""
        self._locked.close()

    def _wait(self) -> None:
        end = monotonic() + self._timeout
        with suppress(OSError):  # no turns are to be had now
            while not self._locked.alone() and monotonic() < end:
                sleep(uniform(0.0005, 0.0015))  # in a thread


class FairLink(Link):
    """A connection that takes turns with other processes, as long as there are any."""

    def __init__(
        self, connect: Callable[[], Connection], loop: Loop | None, turnstile: Turnstile, has_others: Callable[[], bool]
    ) -> None:
        super().__init__(connect, loop)
        self._turnstile, self._has_others = turnstile, has_others

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of work to its end, whoever is cancelled meanwhile, and return what it returns."""
        return await super().run(partial(self._turnstile.run, work) if self._has_others() else work)
