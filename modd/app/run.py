"""One run of an app: its parts begin, it is ready, it stops in stages, and it ends in time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from signal import Signals

import anyio

from modd.app.errors import AppFailed
from modd.app.part_run import PartRun
from modd.app.parts import AppPart
from modd.app.status import PartFact
from modd.app.unread_queues import unread_queues
from modd.texts import amount
from modd.worker.group import run_member, run_members
from modd.worker.member import GroupMember
from modd.worker.termination import run_until_signalled

GRACE = 2.0
"""Seconds after the drain, in which messages are released and buses are closed."""

ALL_ENDED = "all parts have ended"

log = logging.getLogger("modd.app")


class AppRun:
    """One run of an app; afterwards it tells how the run ended.

    name: the name of the app. parts: its parts and timers. health: the server of its health, or None. drain: seconds
    that the parts have to end.
    """

    def __init__(self, name: str, parts: Sequence[AppPart], health: AppPart | None, drain: float) -> None:
        self._name, self._drain = name, drain
        self._parts = [PartRun(part, self._note_change) for part in parts]
        self._served = anyio.Event()
        """Set when the health is served, or cannot be."""
        self._health = None if health is None else PartRun(health, self._served.set)
        self._stopping = anyio.Event()
        self.settled = anyio.Event()
        """Set when the app is ready, or is stopped before that."""
        self.block = anyio.CancelScope()
        """The scope of the block in which the app runs; cancelled when a part fails."""
        self._scope = anyio.CancelScope()
        self._begun_at = self._stopped_at = anyio.current_time()
        self.errors: list[tuple[str, Exception]] = []
        """The labels and the errors of the parts that failed."""
        self.was_cancelled = False
        """True if something did not end in time, or after a second signal, and had to be cancelled."""
        self.second_signal: Signals | None = None
        """The second signal, if there was one."""
        self.is_over = False

    @property
    def facts(self) -> list[PartFact]:
        """The facts about the parts at this moment."""
        return [each.fact for each in self._parts]

    @property
    def is_stopping(self) -> bool:
        """True when the app was told to stop, or its end has begun."""
        return self._stopping.is_set()

    async def run(self, *, signals: bool) -> None:
        """Run the parts until they have ended; errors are noted.

        signals: stop at the first SIGTERM or SIGINT, and cancel at the second one.
        """
        log.info("%s: starting %s", self._name, self._amounts())
        for line in unread_queues(each.part.part for each in self._parts):
            log.warning("%s: %s", self._name, line)
        try:
            if signals:
                await run_until_signalled(self._work, self.stop_on, self.cancel_on)
            else:
                await self._work()
        except BaseException:
            for label, error in self.errors:  # nothing else will tell of them
                log.error("%s: %s failed", self._name, label, exc_info=error)
            raise
        finally:
            self.is_over = True
        log.info("%s: ended in %.1f s", self._name, anyio.current_time() - self._stopped_at)

    def stop(self, reason: str) -> None:
        """Tell timers and gateways to stop, and the other parts when the gateways have ended."""
        if self._stopping.is_set():
            return
        self._stopped_at = anyio.current_time()
        self._stopping.set()
        self.settled.set()
        log.info("%s: stopping (%s)", self._name, reason)
        for each in self._parts:
            if each.part.stops_first:
                each.member.stop()
        self._stop_others()

    def stop_on(self, signal: Signals) -> None:
        """Stop at a first signal."""
        self.stop(signal.name)

    def cancel_on(self, signal: Signals) -> None:
        """Cancel what is left at a second signal."""
        self.second_signal = signal
        self._cancel(f"a second signal, {signal.name}")

    def failure(self, *more: tuple[str, Exception]) -> AppFailed:
        """Return the errors as one error, with a note on each that names the part. more: further labels and errors."""
        labels, errors = zip(*self.errors, *more, strict=True)
        for label, error in [*self.errors, *more]:
            with suppress(Exception):  # an error that allows no note is raised all the same
                error.add_note(f"in the app {self._name}: {label}")
        return AppFailed(f"{self._name}: {', '.join(dict.fromkeys(labels))} failed", errors, labels)

    async def _work(self) -> None:
        with self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_late)
                await self._run_all()
                tasks.cancel_scope.cancel()

    async def _run_all(self) -> None:
        """Run the parts; if there is a server of the health, it begins before them, and ends after them."""
        if self._health is None:
            return await self._run_parts()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_member, self._health.member, self._note_health_end)
            await self._served.wait()
            await self._run_parts()
            self._health.member.stop()

    async def _run_parts(self) -> None:
        if not self.is_stopping:
            buses = [bus for each in self._parts for bus in each.part.buses()]
            try:
                await run_members([each.member for each in self._parts], buses, self._note_end)
            except Exception as error:
                self._note_errors("opening or closing a bus", [error])
        self.stop(ALL_ENDED)

    def _note_end(self, member: GroupMember) -> None:
        """Stop the app after a failure, and after the last part that is no timer; stop the rest if it is time."""
        [ended] = [each for each in self._parts if each.member is member]
        self._note_errors(ended.part.label, member.errors)
        if ended.has_returned and not self.is_stopping:
            log.info("%s: %s has ended", self._name, ended.part.label)
        if not ended.part.is_timer and all(each.part.is_timer or each.has_ended for each in self._parts):
            self.stop(ALL_ENDED)
        self._stop_others()
        self._note_change()

    def _note_health_end(self, member: GroupMember) -> None:
        self._note_errors("health", member.errors)
        self._served.set()

    def _note_errors(self, label: str, errors: Sequence[Exception]) -> None:
        self.errors += [(label, error) for error in errors]
        if errors:
            self.block.cancel()
            self.stop(f"{label} failed")

    def _note_change(self) -> None:
        """Note that the app is ready, if each part does its work or has ended."""
        if not self.settled.is_set() and all(each.is_settled for each in self._parts):
            self.settled.set()
            log.info("%s: ready in %.1f s", self._name, anyio.current_time() - self._begun_at)

    def _stop_others(self) -> None:
        """Tell the parts to stop that gateways gave work, if no gateway runs any more."""
        if self.is_stopping and not any(each.part.is_gateway and each.is_running for each in self._parts):
            for each in self._parts:
                each.member.stop()

    async def _cancel_late(self) -> None:
        await self._stopping.wait()
        await anyio.sleep(self._drain)
        for each in self._parts:  # even if a gateway hangs
            each.member.stop()
        await anyio.sleep(GRACE)
        self._cancel(f"not ended {self._drain + GRACE:g} s after the stop")

    def _cancel(self, reason: str) -> None:
        labels = ", ".join(each.part.label for each in self._parts if each.is_running) or "what is left"
        log.warning("%s: %s cancelled (%s)", self._name, labels, reason)
        self.was_cancelled = True
        self._scope.cancel()

    def _amounts(self) -> str:
        """Return the numbers of parts and timers, as far as there are any."""
        timers = sum(each.part.is_timer for each in self._parts)
        counts = {"part": len(self._parts) - timers, "timer": timers}
        return ", ".join(amount(count, thing) for thing, count in counts.items() if count)
