"""One run of a part of an app: its state, and if the part does its work yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from modd.app.parts import AppPart
from modd.app.status import PartFact
from modd.concurrency.cancellation import call
from modd.worker.member import GroupMember


class PartRun:
    """Runs a part, and waits meanwhile until it does its work.

    part: the part. on_ready: called when it does its work.
    """

    def __init__(self, part: AppPart, on_ready: Callable[[], None]) -> None:
        self.part, self._on_ready = part, on_ready
        self.member = GroupMember(self)
        self._has_begun = False
        self.has_returned = False
        """True if its ``run`` has returned, without an error and without a cancellation."""

    @property
    def is_running(self) -> bool:
        """True while the part runs."""
        return self.member.state == "running"

    @property
    def has_ended(self) -> bool:
        """True if the part has ended, or was told to stop before it began."""
        return self.member.state == "ended"

    @property
    def is_settled(self) -> bool:
        """True if it does its work, or has ended."""
        return self._has_begun or self.has_ended

    @property
    def fact(self) -> PartFact:
        """The facts about the part at this moment."""
        error = self.member.errors[0] if self.member.errors else None
        problem = self.part.problem() if self.is_running else None
        return PartFact(self.part.label, self.member.state, self._has_begun, problem, error, self.part.is_timer)

    def stop(self) -> None:
        """Tell the part to stop."""
        self.part.part.stop()

    async def run(self) -> None:
        """Run the part. Raises its errors."""
        await self._run_part()
        self.has_returned = True

    async def _run_part(self) -> None:
        wait_ready = getattr(self.part.part, "wait_ready", None)
        if not callable(wait_ready):
            self._begin()
            return await call(self.part.part.run)
        errors: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, wait_ready, errors, tasks.cancel_scope)
            try:
                await call(self.part.part.run)
            except Exception as error:  # the task group would wrap it into a group
                errors.append(error)
            tasks.cancel_scope.cancel()
        if errors:
            raise errors[0] if len(errors) == 1 else ExceptionGroup(f"{self.part.label} failed twice", errors)

    async def _watch(self, wait_ready: Any, errors: list[Exception], scope: anyio.CancelScope) -> None:
        try:
            await call(wait_ready)
        except Exception as error:
            errors.append(error)
            scope.cancel()
        else:
            self._begin()

    def _begin(self) -> None:
        self._has_begun = True
        self._on_ready()
