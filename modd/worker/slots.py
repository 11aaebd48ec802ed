"""Claims are worked on side by side, each in a slot."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio
from anyio.abc import TaskGroup

from modd.signals import Signal, set_signal, signals
from modd.worker.contexts import in_context
from modd.worker.work import Work

Handle = Callable[[Work], Coroutine[Any, Any, None]]


class Slot:
    """One task that works on one claim after another: a task for each claim would cost more than most handlers."""

    def __init__(self, handle: Handle, done: Callable[[Slot, Work], None]) -> None:
        self._handle, self._done = handle, done
        self.work: Work | None = None
        self._signal = signals()
        self._given: Signal = None
        self._scope = anyio.CancelScope()

    def give(self, work: Work) -> None:
        """Have it work on a claim; it is idle."""
        self.work = work
        if self._given is not None:
            set_signal(self._given)

    def lose(self, work: Work) -> None:
        """Cancel what it does for a claim that somebody else has now."""
        if self.work is work and not work.settling:
            work.note_lost()
            self._scope.cancel()

    async def run(self) -> None:
        """Work on what is given, until it is cancelled."""
        while True:
            with anyio.CancelScope() as self._scope:
                while True:
                    await self._work()

    async def _work(self) -> None:
        try:
            if self.work is None:
                self._given = self._signal()
                await self._given
            assert self.work is not None  # given with the signal
            await in_context(self._handle(self.work))
        except BaseException as error:
            if self.work is not None and not self.work.lost:
                await self.work.give_back(failed=not _is_from_outside(error))
            raise
        finally:
            work, self.work, self._given = self.work, None, None
            if work is not None:
                self._done(self, work)


def _is_from_outside(error: BaseException) -> bool:
    """Whether somebody ended the worker, and not a handler that raised what nobody catches (`SystemExit`)."""
    kinds = (anyio.get_cancelled_exc_class(), KeyboardInterrupt)
    return isinstance(error, kinds) or (isinstance(error, BaseExceptionGroup) and error.split(kinds)[1] is None)


class Slots:
    """So many slots, made as they are needed.

    done: is told of each claim that a slot is done with, after the slot is free.
    """

    def __init__(self, concurrency: int, handle: Handle, done: Callable[[Work], None]) -> None:
        self.free = concurrency
        self._handle, self._told = handle, done
        self._slots: list[Slot] = []
        self._idle: list[Slot] = []

    @property
    def busy(self) -> Iterator[tuple[Slot, Work]]:
        """The slots that work on something, and on what."""
        return ((slot, slot.work) for slot in self._slots if slot.work is not None)

    def give(self, tasks: TaskGroup, work: Work) -> None:
        """Have a free slot work on a claim."""
        self.free -= 1
        if self._idle:
            self._idle.pop().give(work)
            return
        slot = Slot(self._handle, self._done)
        slot.give(work)
        self._slots.append(slot)
        tasks.start_soon(slot.run)

    def _done(self, slot: Slot, work: Work) -> None:
        self.free += 1
        self._idle.append(slot)
        self._told(work)
