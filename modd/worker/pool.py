"""Claims are worked on side by side, each in a slot."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import copy_context
from types import coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.cancellation import error_of
from modd.concurrency.signals import Signal, set_signal, signals
from modd.ports.errors import LeaseLost
from modd.worker.claim import Work
from modd.worker.source import LONGEST, SHORTEST, log

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


@coroutine
def in_context(work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Await it in a copy of the context: what it sets there is gone afterwards."""
    run, step, given = copy_context().run, work.send, None
    while True:
        try:
            waited_for = run(step, given)
        except StopIteration:
            return
        try:
            given = yield waited_for
            step = work.send
        except BaseException as error:
            given, step = error, work.throw


class Leases:
    """Looks at all that is worked on, three times in a lease, and renews what would not last.

    lease: for how many seconds.
    """

    def __init__(self, slots: Slots, lease: float) -> None:
        self._slots, self._lease, self._tick = slots, lease, lease / 3

    async def run(self) -> None:
        """Renew leases until it is cancelled; each beside the others, so that the store can write them together."""
        async with anyio.create_task_group() as tasks:
            while True:
                await anyio.sleep(self._tick)
                self._renew_all(tasks)

    def _renew_all(self, tasks: TaskGroup) -> None:
        soon = anyio.current_time() + self._lease - self._tick
        for slot, work in self._slots.busy:
            if work.until <= soon and not (work.settling or work.renewing):
                work.renewing = True
                tasks.start_soon(self._renew, slot, work)

    async def _renew(self, slot: Slot, work: Work) -> None:
        """Renew one; when the store fails, again and again for as long as it is worked on."""
        pause = SHORTEST
        while slot.work is work and not work.settling:
            error = await self._error_of(slot, work)
            if error is None:
                break
            log.warning("the lease of %s cannot be renewed; next try in %g s", work.claim.id, pause, exc_info=error)
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST)
        work.renewing = False

    async def _error_of(self, slot: Slot, work: Work) -> Exception | None:
        until = anyio.current_time() + self._lease
        error = await error_of(work.source.queue.extend, work.claim, self._lease)
        if isinstance(error, LeaseLost):
            slot.lose(work)
            return None
        if error is None:
            work.until = until
        return error
