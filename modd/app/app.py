"""The `App`: begin reading here. It runs parts and timers together, and ends them in time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import anyio

from modd.app.health import Health
from modd.app.health_server import HealthServer
from modd.app.parts import AppPart, named_parts
from modd.app.run import AppRun
from modd.app.status import PartFact, Status, status_of
from modd.checks import checked_delay
from modd.concurrency.blocks import async_block, block
from modd.concurrency.loops import call_in_task, current_loop, in_main_thread, is_over
from modd.errors import InvalidOption
from modd.worker import AlreadyRunning
from modd.worker.member import Runnable


class App:
    """A server app: workers, relays, followers, timers and parts of your own, which start, run and stop together.

    A part has ``async run()``, which works until ``stop()`` is called; ``stop()`` may be called from any task, thread
    and loop. An app looks for these attributes of a part, and does without them:

    - ``label``, the name of the part in logs and in a status; by default its class in lower-case words.
    - ``async wait_ready()``, which returns when the part does its work; by default it does so at once.
    - ``problem()``, which returns the words for what is wrong with the part now, or None; by default it is well.
    - ``stops_first``, True for a gateway: the other parts, which it gives work, are told to stop when it has ended.

    An app binds to no event loop before it runs, and it can be run again.

    name: the name of the app in logs and in its health: small letters, digits and ``-``, a letter first.
    parts: the parts.
    timers: timers, as `every` and `cron` return them; by default none.
    health: a `Health`, to answer ``GET /live`` and ``GET /ready`` over HTTP; None, the default, for no server.
    drain: seconds that the parts have to end after `stop` or a signal, 30 by default. Parts that have not ended two
        seconds later are cancelled.

    Raises:
        InvalidOption: an option has a value that cannot work, a part has no async ``run()`` or no plain ``stop()``, or
            is given twice, two timers have one name, or there is neither a part nor a timer.
    """

    def __init__(
        self,
        name: str,
        *parts: Runnable,
        timers: Iterable[Runnable] = (),
        health: Health | None = None,
        drain: float = 30.0,
    ) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise InvalidOption("name", name, "give small letters, digits and -, a letter first, such as 'web-shop'")
        self._name, self._drain = name, checked_delay("drain", drain)
        self._parts = named_parts(parts, timers)
        self._health = _checked_health(health, self._parts)
        self._last_run: AppRun | None = None
        self._loop: Any = None
        self._stop_next = False
        """True if `stop` was called while the app did not run."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def name(self) -> str:
        """The name of the app."""
        return self._name

    @property
    def drain(self) -> float:
        """Seconds that the parts have to end."""
        return self._drain

    @property
    def parts(self) -> tuple[Any, ...]:
        """The parts, without the timers."""
        return tuple(each.part for each in self._parts if not each.is_timer)

    @property
    def timers(self) -> tuple[Any, ...]:
        """The timers."""
        return tuple(each.part for each in self._parts if each.is_timer)

    @property
    def labels(self) -> Mapping[str, Any]:
        """The parts, then the timers, by their labels."""
        return MappingProxyType({each.label: each.part for each in self._parts})

    @property
    def last_run(self) -> AppRun | None:
        """The run that is under way, or else the last one; None before the first.

        Its ``was_cancelled`` is True if something had to be cancelled, and ``second_signal`` is the second signal.
        """
        return self._last_run

    async def run(self, *, signals: bool = True) -> None:
        """Run all parts and timers, until `stop` or a signal, and return when all have ended.

        In the main thread, the first SIGTERM or SIGINT stops the app, and the second one cancels it. In other threads
        signals are left alone. When a part raises an error, all parts are stopped. When the last part has returned by
        itself, timers apart, the app ends.

        signals: False to leave signals alone in the main thread, too, for a program that acts on them itself.

        Raises: `AppFailed` for the errors of parts; `AlreadyRunning` if the app is running.
        """
        with self._new_run() as run:
            if run is not None:
                await run.run(signals=signals and in_main_thread())
                if run.errors:
                    raise run.failure()

    @async_block
    async def running(self) -> AsyncIterator[None]:
        """Run the app for a block: the block begins when the app is ready; at its end the app is stopped and awaited.

        Signals are left alone. When a part raises an error, the block is cancelled, and the error is raised at the end
        of the block. If `stop` was called before, the block runs while the app does not.

        Raises: `AppFailed` for the errors of parts, and with them that of the block; `AlreadyRunning`.
        """
        with self._new_run() as run:
            if run is None:
                yield
                return
            error: BaseException | None = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(run.run, signals=False))
                try:
                    await run.settled.wait()
                    if not run.errors:
                        with run.block:
                            yield
                except BaseException as raised:
                    if _passes(raised):
                        raise
                    error = raised
                run.stop("the block has ended")
            _raise_errors(run, error)

    def stop(self) -> None:
        """Have `run` end: timers and gateways are told first, the other parts when the gateways have ended.

        If the app does not run, its next run ends at once, and later runs work again. Call `stop` from any task,
        thread or loop.
        """
        loop, run = self._loop, self._last_run
        if loop is None or run is None or is_over(loop):
            self._stop_next = True
        else:
            call_in_task(loop, partial(run.stop, "stop()"))

    async def status(self) -> Status:
        """Return if the app is live and ready, and the words for each part; checks of its health are run for it.

        When the app has ended, the words are those of its last run, such as "ended".
        """
        run = self._last_run
        if run is None or run.is_over:
            waiting = [PartFact(each.label, "waiting", has_begun=False) for each in self._parts]
            return status_of(waiting if run is None else run.facts, {}, is_live=False, is_stopping=False)
        checks = {} if self._health is None else await self._health.run_checks()
        return status_of(run.facts, checks, is_live=True, is_stopping=run.is_stopping)

    @block
    def _new_run(self) -> Iterator[AppRun | None]:
        """Begin a run for a block; None if `stop` was called before."""
        if self._loop is not None and not is_over(self._loop):
            raise AlreadyRunning(repr(self))
        stop_now, self._stop_next = self._stop_next, False
        if stop_now:
            yield None
            return
        self._last_run = run = AppRun(self._name, self._parts, self._health_part(), self._drain)
        self._loop = current_loop()
        try:
            yield run
        finally:
            self._loop = None

    def _health_part(self) -> AppPart | None:
        if self._health is None:
            return None
        return AppPart(HealthServer(self._health, self._name, self.status), "health")


def _checked_health(health: Any, parts: Iterable[AppPart]) -> Health | None:
    """Return the health of an app. Raises `InvalidOption` for a check that is named as a part."""
    if health is not None and not isinstance(health, Health):
        raise InvalidOption("health", health, "give a modd.app.Health, or None")
    names = {each.label for each in parts} & set(health.checks if health is not None else ())
    if names:
        raise InvalidOption("health", health, f"give the check another name: a part has the label {min(names)!r}")
    return health


def _passes(error: BaseException) -> bool:
    """Return True for a cancellation, alone or in a group, and for the end of a generator that is not used up."""
    if isinstance(error, BaseExceptionGroup):
        return not isinstance(error, Exception)
    return isinstance(error, (anyio.get_cancelled_exc_class(), GeneratorExit))


def _raise_errors(run: AppRun, error: BaseException | None) -> None:
    """Raise the errors of parts with that of the block; if that cannot be in a group, it has theirs as its cause."""
    if isinstance(error, Exception) and run.errors:
        raise run.failure(("the block of running()", error))
    if error is not None and run.errors:
        raise error from run.failure()
    if error is not None:
        raise error
    if run.errors:
        raise run.failure()
