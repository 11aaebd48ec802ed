"""The loop of a follower: it has the engine move the tracks until it is stopped."""

from __future__ import annotations

from logging import Logger

import anyio

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.cancellation import error_of
from modd.concurrency.polling import Polling
from modd.follower.engine import Engine
from modd.ports.errors import raise_misuse


class EngineLoop:
    """Has an engine work until it is stopped; failures of the store pass, its misuse does not.

    engine: the engine. polling: notes the looks at the log that succeeded. log: gets failures.
    """

    def __init__(self, engine: Engine, polling: Polling, log: Logger) -> None:
        self._engine, self.polling, self._log = engine, polling, log
        self._stopped = self.is_running = False
        self._watchers: list[anyio.Event] = []

    def begin(self) -> None:
        """Note that `run` is about to work."""
        self.is_running = True

    def end(self) -> None:
        """Note that `run` is over, and let no caller wait for it."""
        self.is_running = self._stopped = False
        self.polling.end()
        self._tell(self._watchers)

    def stop(self) -> None:
        """Have `run` end after the commit that is under way."""
        self._stopped = True
        self._engine.wake()

    async def run(self) -> None:
        """Move the tracks until stopped; failures of the store are logged, and the pauses after them grow.

        Raises: the error of a store that is used in a wrong way, such as one that is closed.
        """
        pause = DoublingPause()
        async with self._engine.session():
            while not self._stopped:
                error = await error_of(self._turn)
                if error is None:
                    pause.reset()
                    continue
                raise_misuse(error)
                seconds = pause.next()
                self._log.error("the log cannot be followed; next try in %g s", seconds, exc_info=error)
                await self._engine.pause(seconds)

    async def pass_end(self) -> bool:
        """Wait until the tracks have come to the end of the log from now on; False if `run` is over."""
        if self.is_running:
            passed = anyio.Event()
            self._watchers.append(passed)
            self._engine.wake()
            await passed.wait()
        return self.is_running

    async def _turn(self) -> None:
        watchers, self._watchers = self._watchers, []
        try:
            has_moved = await self._engine.advance()
        except BaseException:
            self._watchers += watchers
            raise
        self.polling.note()
        if has_moved:
            self._watchers += watchers
            return
        self._tell(watchers)
        if not (self._watchers or self._stopped):
            await self._engine.wait()

    def _tell(self, watchers: list[anyio.Event]) -> None:
        for each in watchers:
            each.set()
        watchers.clear()
