"""The tasks of a worker, called slots, that handle claims side by side."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import copy_context
from types import coroutine
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.signals import Signal, set_signal, signals
from modd.texts import errors_in
from modd.worker.claim import ClaimInHand

Handle: TypeAlias = Callable[[ClaimInHand], Coroutine[Any, Any, None]]
"""A function that handles a claim."""


class Slot:
    """A task that handles claims, one at a time: a task for each claim would cost more than most handlers.

    handle: handles a claim. on_free: called after each claim, when the slot is free again.
    """

    def __init__(self, handle: Handle, on_free: Callable[[Slot, ClaimInHand], None]) -> None:
        self._handle, self._on_free = handle, on_free
        self.in_hand: ClaimInHand | None = None
        """The claim that the slot handles now."""
        self._create_signal = signals()
        self._idle_signal: Signal = None
        """Ends the wait for a claim; None while the slot does not wait."""
        self._scope = anyio.CancelScope()

    def start(self, in_hand: ClaimInHand) -> None:
        """Handle a claim; the slot must be free."""
        self.in_hand, in_hand.cancel = in_hand, self._cancel
        if self._idle_signal is not None:
            set_signal(self._idle_signal)

    async def run(self) -> None:
        """Handle the claims that `start` gets, until cancelled."""
        while True:
            with anyio.CancelScope() as self._scope:
                try:
                    await self._handle_all()
                except BaseException as error:
                    if self.in_hand is not None and not self.in_hand.lost:
                        await self.in_hand.release(failed=not _is_cancellation(error))
                    raise
                finally:
                    self._end()

    def _cancel(self) -> None:
        self._scope.cancel()

    async def _handle_all(self) -> None:
        while True:  # all claims in one coroutine: one for each costs a fortieth of the worker's time
            if self.in_hand is None:
                self._idle_signal = self._create_signal()
                await self._idle_signal
            assert self.in_hand is not None  # set with the signal
            await run_in_context_copy(self._handle(self.in_hand))
            self._end()

    def _end(self) -> None:
        in_hand, self.in_hand, self._idle_signal = self.in_hand, None, None
        if in_hand is not None:
            self._on_free(self, in_hand)


def _is_cancellation(error: BaseException) -> bool:
    """True if the worker was cancelled or interrupted; False if a handler ended it, as `SystemExit` does."""
    types = (anyio.get_cancelled_exc_class(), KeyboardInterrupt)
    single = [each for each in errors_in(error) if not isinstance(each, BaseExceptionGroup)]
    return all(isinstance(each, types) for each in single)


class SlotPool:
    """The slots of a worker, created as they are needed.

    concurrency: number of slots. handle: handles a claim. on_free: called after each claim, when its slot is free.
    """

    def __init__(self, concurrency: int, handle: Handle, on_free: Callable[[ClaimInHand], None]) -> None:
        self.free = concurrency
        """Number of free slots."""
        self._handle, self._on_free = handle, on_free
        self._slots: list[Slot] = []
        self._idle: list[Slot] = []

    def claims(self) -> Iterator[ClaimInHand]:
        """Return the claims that are handled now."""
        return (slot.in_hand for slot in self._slots if slot.in_hand is not None)

    def start(self, tasks: TaskGroup, in_hand: ClaimInHand) -> None:
        """Handle a claim in a free slot."""
        self.free -= 1
        if self._idle:
            self._idle.pop().start(in_hand)
            return
        slot = Slot(self._handle, self._free_slot)
        slot.start(in_hand)
        self._slots.append(slot)
        tasks.start_soon(slot.run)

    def _free_slot(self, slot: Slot, in_hand: ClaimInHand) -> None:
        self.free += 1
        self._idle.append(slot)
        self._on_free(in_hand)


@coroutine
def run_in_context_copy(work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Run a coroutine in a copy of the current context, so that context variables it sets are gone afterwards."""
    run, step, value = copy_context().run, work.send, None
    while True:
        try:
            yielded = run(step, value)
        except StopIteration:
            return
        try:
            value = yield yielded
            step = work.send
        except BaseException as error:
            value, step = error, work.throw
