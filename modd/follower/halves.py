"""The two halves of a follower that run beside each other: the log, and the commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from modd.concurrency.cancellation import error_of
from modd.follower.command_worker import CommandWorker
from modd.follower.loop import EngineLoop


class Halves:
    """Runs the loop of the log and the worker of the commands together, and stops both when one ends.

    loop: that of the log. commands: the worker; None without flows.
    """

    def __init__(self, loop: EngineLoop, commands: CommandWorker | None) -> None:
        self._loop, self._commands = loop, commands

    async def run(self) -> None:
        """Run both until `stop`. Raises the error of the first that fails."""
        errors: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            if self._commands is not None:
                self._commands.begin()
                tasks.start_soon(self._run, self._commands.run, errors)
            await self._run(self._loop.run, errors)
        if errors:
            raise errors[0]

    def stop(self) -> None:
        """Have both end."""
        self._loop.stop()
        if self._commands is not None:
            self._commands.stop()

    async def _run(self, action: Callable[[], Awaitable[None]], errors: list[Exception]) -> None:
        error = await error_of(action)
        if error is not None:
            errors.append(error)
        self.stop()
