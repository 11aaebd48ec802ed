"""Timers: `every` and `cron` send a message, or the messages of a function, again and again."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from math import inf
from random import random
from time import time
from typing import Any

import anyio

from modd.app.firing import Firing, log
from modd.app.schedules import PeriodicSchedule, Schedule
from modd.app.slots import DAY, AdvancingClock, SlotSequence
from modd.app.timer_options import checked_source, checked_target, timer_name
from modd.checks import checked_callable, checked_delay, checked_flag, checked_methods, checked_span
from modd.concurrency.loops import LoopEvent, is_over
from modd.errors import InvalidOption
from modd.extras import require_extra
from modd.ports.inbox import WEEK, Inbox
from modd.worker.errors import AlreadyRunning


class Timer:
    """A timer, as `every` and `cron` return it: a part of an app, which fires until it is stopped.

    It never overlaps itself: while its messages are handled, it waits.

    name: its name in logs and in the inbox.
    what: a message, or a function that returns messages.
    to: the typed bus or the component that gets the messages.
    begin: a function that returns the slots of a run, called in its event loop.
    jitter: the most seconds that a firing is late, by chance.
    once: the inbox that slots are noted in; None to note none.
    """

    stops_first = True
    """True: an app stops its timers before its workers."""

    def __init__(
        self,
        name: str,
        what: Any,
        to: Any,
        begin: Callable[[], SlotSequence],
        jitter: float,
        once: Inbox | None,
    ) -> None:
        self._name, self._to, self._begin, self._jitter = name, to, begin, jitter
        self._firing = Firing(name, what, to, once)
        self._stopped = False
        self._stop: LoopEvent | None = None
        """The event that ends a wait of the run that is under way."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def name(self) -> str:
        """Its name; no two timers of an app have the same."""
        return self._name

    @property
    def label(self) -> str:
        """Its name among the parts of an app."""
        return f"timer {self._name}"

    @property
    def to(self) -> Any:
        """The typed bus or the component that gets the messages; an app opens a bus for its run."""
        return self._to

    def problem(self) -> str | None:
        """Return the words for a timer whose last firing failed: how many failed in a row, and the last error."""
        return self._firing.problem

    async def run(self) -> None:
        """Fire until the timer is stopped; a firing that is under way then comes to its end.

        Raises: `AlreadyRunning`; at the first firing an error of misuse, such as `NoHandler`.
        """
        if self._stop is not None and not is_over(self._stop.loop):
            raise AlreadyRunning(repr(self))
        self._stop = stop = LoopEvent()
        try:
            if not self._stopped:
                await self._run(self._begin(), stop)
        finally:
            self._stopped, self._stop = False, None

    def stop(self) -> None:
        """Have `run` end when no firing is under way.

        If the timer does not run, its next `run` ends at once, and later runs work again. Call `stop` from any task,
        thread or loop.
        """
        self._stopped = True
        stop = self._stop
        if stop is not None:
            stop.set()

    async def _run(self, slots: SlotSequence, stop: LoopEvent) -> None:
        while not self._stopped:
            slot = slots.take()
            if slot is None:
                await _wait(stop, slots.seconds_left())
                continue
            await _wait(stop, random() * self._jitter - slots.seconds_since(slot) if self._jitter else 0.0)
            if not self._stopped:
                await self._fire(slot, slots)

    async def _fire(self, slot: float, slots: SlotSequence) -> None:
        began = anyio.current_time()
        await self._firing.fire(slot, is_made_up_for=slots.is_made_up_for(slot))
        if slots.leave_out(self._jitter):
            seconds = anyio.current_time() - began
            log.warning("the timer %s took %.1f s, and left out the firings of that time", self._name, seconds)


async def _wait(stop: LoopEvent, seconds: float) -> None:
    """Wait for so many seconds, or until the timer is stopped; let other tasks run in any case."""
    with anyio.move_on_after(max(seconds, 0.0)):
        await stop.wait()


def every(
    seconds: float,
    what: Any,
    *,
    to: Any,
    name: str | None = None,
    at_once: bool = False,
    jitter: float = 0.0,
    once: Inbox | None = None,
    clock: Callable[[], float] = time,
) -> Timer:
    """Return a timer that fires every so many seconds, for the ``timers`` of an `App`.

    Without ``once`` it fires ``seconds`` after the start of the app, and so on. If a firing takes longer than
    ``seconds``, slots that are due meanwhile are left out, and a line of the log (``modd.app``) says so. If a
    firing raises an error, that is logged, and the next firing comes. But an error of misuse, such as `NoHandler`, ends
    the app, if no firing has succeeded before.

    With ``once`` it fires at the multiples of ``seconds`` since 1970, each in one of the processes that have a timer
    of this name and the same inbox. A process that starts makes up for the latest one, if no process has fired it.

    seconds: the time between two firings, more than 0.
    what: a message; or a function, sync or async, that returns a message, several or None.
    to: a typed bus, which dispatches the messages; or a component, such as a `Bus` or a function with one parameter.
    name: the name of the timer. By default the name of the message on the wire, or that of the function.
    at_once: True to fire at the start as well; False by default. With ``once`` it changes nothing.
    jitter: the most seconds that a firing is late, by chance, so that processes do not do all at once; less than
        ``seconds``, 0 by default.
    once: a `modd.ports.Inbox` that the processes share, such as ``store.inbox``. None, the default: each process fires.
    clock: a function that returns seconds since 1970, for ``once``; ``time.time`` by default.

    Raises:
        InvalidOption: an option has a value that cannot work.
    """
    seconds = checked_span("seconds", seconds)
    jitter = checked_delay("jitter", jitter)
    if jitter >= seconds:
        raise InvalidOption("jitter", jitter, f"give less than the {seconds:g} s between two firings")
    at_once = checked_flag("at_once", at_once)
    clock = checked_callable("clock", clock)

    def begin() -> SlotSequence:
        if once is None:
            start = anyio.current_time()
            passed = start - seconds if at_once else start
            return SlotSequence(PeriodicSchedule(seconds, start), anyio.current_time, passed, longest_wait=inf)
        advancing = AdvancingClock(clock)
        return SlotSequence(PeriodicSchedule(seconds, 0.0), advancing, advancing() - min(seconds, _memory_of(once)))

    return _timer(name, what, to, begin, jitter, once)


def cron(
    text: str,
    what: Any,
    *,
    to: Any,
    tz: str = "UTC",
    name: str | None = None,
    once: Inbox | None = None,
    clock: Callable[[], float] = time,
) -> Timer:
    """Return a timer that fires at the times of a cron text, for the ``timers`` of an `App`. It needs ``modd[cron]``.

    If a firing is under way at a time of the text, that time is left out. If a firing raises an error, that is logged,
    and the next firing comes; `every` tells more of errors. If the computer slept, the latest time of the last
    day is made up for.

    Clocks are set forward and back in many time zones. A time of day in the hour that is left out becomes the next time
    that exists, and a time of day that comes twice counts once. If the field of minutes or that of hours begins with
    ``*``, each hour that passes counts.

    text: five fields: minute, hour, day of the month, month, day of the week, as in ``"30 5 * * MON-FRI"``.
    what: a message; or a function, sync or async, that returns a message, several or None.
    to: a typed bus, which dispatches the messages; or a component, such as a `Bus` or a function with one parameter.
    tz: the name of the time zone of the text, such as ``"Europe/Berlin"``; "UTC" by default.
    name: the name of the timer. By default the name of the message on the wire, or that of the function.
    once: a `modd.ports.Inbox` that several processes share, such as ``store.inbox``: one of them fires at each time,
        and a process that starts makes up for the latest time of the last day, if no process has fired it. None, the
        default: each process fires.
    clock: a function that returns seconds since 1970; ``time.time`` by default.

    Raises:
        InvalidOption: an option has a value that cannot work.
        MissingExtra: ``modd[cron]`` is not installed.
    """
    schedule = _cron_schedule(text, tz)
    clock = checked_callable("clock", clock)

    def begin() -> SlotSequence:
        now, oldest = clock(), min(DAY, _memory_of(once))
        return SlotSequence(schedule, clock, now if once is None else now - oldest, max_age=oldest)

    return _timer(name, what, to, begin, 0.0, once)


def _timer(
    name: str | None, what: Any, to: Any, begin: Callable[[], SlotSequence], jitter: float, once: Inbox | None
) -> Timer:
    if once is not None:
        checked_methods("once", once, ("add", "has"), "give a modd.ports.Inbox, such as store.inbox", attribute="inbox")
    checked_source(what)
    checked_target(to, what)
    return Timer(timer_name(name, what), what, to, begin, jitter, once)


def _memory_of(once: Inbox | None) -> float:
    """Return the seconds for which an inbox knows if a slot was fired: as it tells them, by default a week."""
    retention = getattr(once, "retention", None)
    return float(retention) if isinstance(retention, (int, float)) else WEEK


def _cron_schedule(text: str, tz: str) -> Schedule:
    require_extra("modd.app.cron", "cron", "cronsim")
    schedule: Schedule = import_module("modd.app.cron_schedule").CronSchedule(text, tz)
    return schedule
