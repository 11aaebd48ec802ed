"""One run of a worker: the loop that claims, until the worker is stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.backoff import spread
from modd.concurrency.lease import LeaseKeeper
from modd.ports.errors import StoreError
from modd.ports.items import Suspects
from modd.texts import amount
from modd.worker.claim import ClaimInHand
from modd.worker.claim_handler import ClaimHandler
from modd.worker.idleness import Idleness
from modd.worker.options import WorkerOptions
from modd.worker.pool import SlotPool
from modd.worker.quarantine import Occupant
from modd.worker.source import JITTER, SourceQueue, log
from modd.worker.wakeup import Wakeup

LATE = 1.0
"""Seconds after the drain from which on it is logged that a handler let the worker wait."""


class WorkerRun:
    """Claims as many messages as there are free slots for, until it is stopped.

    label: the words for the worker in the log. sources: the queues, the most urgent first. handler: handles the claims.
    options: those of the worker.
    on_poll: called whenever a queue has answered. idleness: tells when the run ends; None to run until stopped.
    """

    def __init__(
        self,
        label: str,
        sources: Sequence[SourceQueue],
        handler: ClaimHandler,
        options: WorkerOptions,
        on_poll: Callable[[], None],
        idleness: Idleness | None = None,
    ) -> None:
        self._label, self._idleness = label, idleness
        self._sources, self._options, self._on_poll = sources, options, on_poll
        self._pool = SlotPool(options.concurrency, handler.handle, self._finish)
        self._leases = LeaseKeeper(options.lease, log, shortest_pause=0.1)
        self._wakeup = Wakeup()
        self._occupant = Occupant(options.lease, lambda: self.in_flight, self._wakeup.wake, options.clock)
        self._suspected: list[SourceQueue] = []
        """The queues that had suspects when the worker began to rest."""
        self._claiming = anyio.CancelScope()
        """The scope in which queues are claimed from and waited for."""
        self._misuse: StoreError | None = None
        """The error of a store that is used in a wrong way."""
        self.stopped_at: float | None = None
        """The time of the stop, by the clock of the loop."""
        self._cancelled_at: float | None = None
        """The time, by the clock of the loop, from which on the handlers that still run are cancelled."""
        self._begun = self._handled = 0

    @property
    def in_flight(self) -> int:
        """Number of claims that are being handled."""
        return self._options.concurrency - self._pool.free

    @property
    def is_full(self) -> bool:
        """True while there is no reason to claim: there is no room for more, or the worker is stopped."""
        return self.stopped_at is not None or self._room <= 0 or self._is_held

    def stop(self) -> None:
        """Claim no more; a claim that is under way is cancelled."""
        if self.stopped_at is None:
            self.stopped_at = anyio.current_time()
            self._claiming.cancel()

    async def run(self) -> None:
        """Claim until stopped, then wait until handlers have ended or ``drain`` is over, and cancel the rest.

        Raises: the error of a store that is used in a wrong way, which also ends the claims.
        """
        with self._occupant.enter():
            async with anyio.create_task_group() as tasks:
                await self._run(tasks)
        if self._misuse is not None:
            raise self._misuse

    async def _run(self, tasks: TaskGroup) -> None:
        for source in self._sources:
            source.start()
        tasks.start_soon(self._leases.keep_all, self._pool.claims)
        if self._options.max_age is not None:
            tasks.start_soon(self._stop_after, self._options.max_age)
        try:
            with self._claiming:
                await self._claim_until_stopped_or_misused(tasks)
            with anyio.move_on_after(self._options.drain):
                while self.in_flight:
                    await self._wakeup.sleep()
        finally:
            self._cancelled_at = anyio.current_time()
        if self.in_flight:
            count = amount(self.in_flight, "message")
            log.warning("%s: %s released: handlers took too long to stop", self._label, count)
        tasks.cancel_scope.cancel()

    async def _claim_until_stopped_or_misused(self, tasks: TaskGroup) -> None:
        try:
            await self._claim_until_stopped(tasks)
        except StoreError as error:
            if not error.is_misuse:
                raise
            self._misuse = error  # the task group would wrap it
            self.stop()

    async def _claim_until_stopped(self, tasks: TaskGroup) -> None:
        for source in self._sources:
            await source.announce()  # before it is refused because of a suspect, while others handle events
            if self._idleness is None:
                await source.log_leased(self._options.lease)
        while self.stopped_at is None:
            at_end = self._idleness is not None and await self._is_at_end(self._idleness)
            room, begun = self._room, self._begun
            if room > 0 and await self._claim(tasks, room):
                continue
            is_held = self._is_held or any(source.pause_left for source in self._sources)
            if at_end and begun == self._begun and not is_held:
                self.stop()
            elif room > 0 and not self._is_held:
                await self._wakeup.interrupt(self._wait_for_messages)
            else:
                rest = self._occupant.rest_left
                with anyio.move_on_after(rest) if rest else nullcontext():  # a scope costs more than the wake-up
                    await self._wakeup.sleep()

    async def _is_at_end(self, idleness: Idleness) -> bool:
        """Return True if the run ends unless the queues have something to claim."""
        return not self.in_flight and await idleness.is_near(self._sources)

    @property
    def _room(self) -> int:
        """Number of messages that may be claimed now."""
        limit, room = self._options.max_messages, self._pool.free
        return room if limit is None else min(room, limit - self._handled - self.in_flight)

    @property
    def _is_held(self) -> bool:
        """True while there is to be no claim, because of a suspect."""
        return self._occupant.is_refused or self._occupant.rest_left > 0

    async def _claim(self, tasks: TaskGroup, room: int) -> bool:
        """Claim from the queues in their order; return True if they may have more, so that waiting makes no sense."""
        if self._occupant.is_overdue:
            await self._rest_if_suspects_wait()
        suspects = self._occupant.begin_claim()
        if suspects is None:
            self._on_poll()  # the queues answer; another worker of the process has a suspect
            return False
        try:
            return await self._claim_from(tasks, room, self._order(suspects))
        finally:
            is_suspect = self._occupant.is_alone and any(each.claim.suspect for each in self._pool.claims())
            self._occupant.end_claim(suspect=is_suspect)

    async def _rest_if_suspects_wait(self) -> None:
        """Begin to rest if a queue has suspects, unless they may be the messages of this worker, renewed too late."""
        now = anyio.current_time()
        is_late = any(in_hand.until <= now for in_hand in self._pool.claims())
        self._suspected = [] if is_late else [source for source in self._sources if await source.has_suspects()]
        self._occupant.rest(self._options.lease if self._suspected else 0.0)

    def _order(self, suspects: Suspects) -> list[tuple[SourceQueue, Suspects]]:
        """Return the queues in the order in which they are claimed from: suspects after the messages of all queues."""
        if suspects == "first":
            return [
                (source, suspects) for source in sorted(self._sources, key=lambda each: each not in self._suspected)
            ]
        if suspects == "last" and len(self._sources) > 1:
            return [*self._order("none"), *((source, suspects) for source in self._sources)]
        return [(source, suspects) for source in self._sources]

    async def _claim_from(self, tasks: TaskGroup, room: int, order: list[tuple[SourceQueue, Suspects]]) -> bool:
        more, begun = False, self._begun
        for source, suspects in order:
            if begun < self._begun and suspects != "none":
                break
            until = anyio.current_time() + self._options.lease
            claims = await source.claim(room, self._options.lease, suspects) if room and not source.pause_left else None
            if claims is None:
                continue
            self._on_poll()
            for claim in claims:
                self._begin(tasks, ClaimInHand(source, claim, self._options.lease, until))
            if claims:
                self._leases.begin()
            room -= len(claims)
            more = more or not room or (bool(claims) and not source.can_wait)
        return more

    def _begin(self, tasks: TaskGroup, in_hand: ClaimInHand) -> None:
        """Handle a claim; release it if the worker was stopped in the meantime."""
        self._begun += 1
        if self.stopped_at is None:
            self._pool.start(tasks, in_hand)
        else:
            tasks.start_soon(in_hand.release)

    async def _wait_for_messages(self) -> None:
        """Wait until a queue may have messages, or ``poll`` or the pause of a queue is over."""
        pauses = [seconds for source in self._sources if (seconds := source.pause_left)]
        poll, alone = spread(self._options.poll, JITTER), self._occupant.takes_suspects
        longest = poll if self._idleness is None or not alone else self._idleness.longest_wait(self._sources, poll)
        seconds = min([longest, *pauses])
        waiting = [source for source in self._sources if source.can_wait and not source.pause_left]
        waits: list[Callable[[float], Awaitable[None]]] = [partial(source.wait, suspects=alone) for source in waiting]
        if len(waits) == 1 == len(self._sources):
            return await waits[0](seconds)
        async with anyio.create_task_group() as tasks:
            for wait in (*waits, anyio.sleep):
                tasks.start_soon(_wait_then_cancel, wait, seconds, tasks)

    async def _stop_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.stop()

    def _log_end(self, in_hand: ClaimInHand, cancelled_at: float) -> None:
        """Log the end of a message whose handler was cancelled."""
        seconds = anyio.current_time() - cancelled_at
        outcome = "released, and will be handled again" if in_hand.released else "settled"
        if seconds > LATE:
            log.warning(
                "%s is %s, %.1f s after its handler was cancelled: a handler that waits for a thread, or shields "
                "itself, ends no sooner",
                *(in_hand.claim.id, outcome, seconds),
            )
        elif in_hand.released:
            log.info("%s is released, and will be handled again: its handler was cancelled", in_hand.claim.id)

    def _finish(self, in_hand: ClaimInHand) -> None:
        """Count the claim, unless it is lost or left to others, and wake the loop."""
        if self._cancelled_at is not None and not in_hand.is_left:
            self._log_end(in_hand, self._cancelled_at)
        if not (in_hand.lost or in_hand.is_left):
            self._handled += 1
        self._occupant.finish()
        if self._idleness is not None:
            self._idleness.note(in_hand)
            self._wakeup.wake()
        if self._handled == self._options.max_messages:
            self.stop()
        if self._wakeup.asleep or not in_hand.source.can_wait:
            self._wakeup.wake()


async def _wait_then_cancel(wait: Callable[[float], Awaitable[None]], seconds: float, tasks: TaskGroup) -> None:
    """Wait, then cancel the other waits of the task group."""
    await wait(seconds)
    tasks.cancel_scope.cancel()
