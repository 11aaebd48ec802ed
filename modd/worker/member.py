"""The members of a group: objects that run, are told to stop, and raise errors."""

from __future__ import annotations

from typing import Literal, Protocol

import anyio

from modd.concurrency.cancellation import call


class Runnable(Protocol):
    """An object that `run_workers` can run, such as a worker or a relay."""

    async def run(self) -> None:
        """Work until `stop` is called."""

    def stop(self) -> None:
        """Have `run` end."""


class GroupMember:
    """Runs an object once, and notes the errors that it raises.

    part: the object.
    """

    def __init__(self, part: Runnable) -> None:
        self.part = part
        self.state: Literal["waiting", "running", "ended"] = "waiting"
        self.errors: list[Exception] = []
        self._is_told = False
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Run the object, unless it was told to stop before: it would end its next run instead."""
        try:
            if not self._is_told:
                self.state = "running"
                with self._scope:
                    await call(self.part.run)
        except Exception as error:
            self.errors.append(error)
        finally:
            self.state = "ended"

    def stop(self) -> None:
        """Tell the object to stop, once and if it runs; cancel it if it cannot be told."""
        if self._is_told:
            return
        self._is_told = True
        if self.state == "running":
            try:
                self.part.stop()
            except Exception as error:
                self.errors.append(error)
                self._scope.cancel()
