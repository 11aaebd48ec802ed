"""The app of a process: it is opened, run, and closed, and signals stop it in each of these."""

from __future__ import annotations

import logging
from signal import SIGINT, Signals

import anyio

from modd.app import App, Settings
from modd.app.run import GRACE, AppRun
from modd.cli.errors import UsageError
from modd.cli.exits import FAILED, STOPPED
from modd.cli.run_target import CURE, RunTarget, type_words
from modd.worker.termination import run_until_signalled

log = logging.getLogger("modd.app")


class AppProcess:
    """Opens the app of a target, runs it, and closes it.

    settings: the argument of the target. is_check: True to run nothing.
    """

    _scope: anyio.CancelScope
    """The scope of the opening, the run and the closing; made when the loop runs."""

    def __init__(self, target: RunTarget, settings: Settings | None, *, is_check: bool = False) -> None:
        self._target, self._settings, self._is_check = target, settings, is_check
        self._name = target.spec
        self._seconds = GRACE
        """Seconds from the first signal to the end."""
        self._signals: list[Signals] = []
        self._signalled, self._closing = anyio.Event(), anyio.Event()
        self._error: Exception | None = None
        self._closing_was_cancelled = False
        self.app: App | None = None
        """The app, when it was opened."""

    @property
    def exit_code(self) -> int:
        """The exit code of the process: 0 if all has ended in time."""
        run = self._last_run
        if self._signals[1:] == [SIGINT]:
            return STOPPED
        was_cancelled = self._closing_was_cancelled or (run is not None and run.was_cancelled)
        return FAILED if was_cancelled or (run is not None and run.errors) else 0

    async def run(self) -> None:
        """Open, run and close the app. A signal before it runs closes it. Raises the errors of all of these."""
        self._scope = anyio.CancelScope()
        await run_until_signalled(self._work, self._stop_on, self._cancel_on)
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_late)
            try:
                with self._scope:
                    await self._open_and_run()
            except Exception as error:  # the task group would wrap it into a group
                self._error = error
            tasks.cancel_scope.cancel()

    async def _open_and_run(self) -> None:
        log.info("%s: opening", self._name)
        async with self._target.open(self._settings) as app:
            try:
                if isinstance(app, App):
                    await self._run(app)
            finally:
                log.info("%s: closing", self._name)
                self._closing.set()
        if self.app is None:
            raise UsageError(f"run {self._target.spec}: it gave {type_words(app)}, no App; {CURE}")

    async def _run(self, app: App) -> None:
        self.app, self._name = app, app.name
        self._seconds += app.drain
        if not self._is_check:
            await app.run(signals=False)

    def _stop_on(self, signal: Signals) -> None:
        """Stop what is going on at a first signal."""
        self._signals.append(signal)
        self._signalled.set()
        run = self._last_run
        if self._closing.is_set():
            log.info("%s: still closing (%s)", self._name, signal.name)
        elif run is not None:
            run.stop_on(signal)
        else:
            log.info("%s: closed while it was opened (%s)", self._name, signal.name)
            self._scope.cancel()

    def _cancel_on(self, signal: Signals) -> None:
        """Cancel what is going on at a second signal; an opening is cancelled by the first."""
        self._signals.append(signal)
        run = self._last_run
        if self._closing.is_set():
            self._cancel_closing(f"a second signal, {signal.name}")
        elif run is not None:
            run.cancel_on(signal)

    @property
    def _last_run(self) -> AppRun | None:
        return None if self.app is None else self.app.last_run

    async def _cancel_late(self) -> None:
        """Cancel the closing when its time is up."""
        await self._signalled.wait()
        signalled_at = anyio.current_time()
        await self._closing.wait()
        at_least = anyio.current_time() + GRACE  # the run may have taken all of the time
        await anyio.sleep_until(max(signalled_at + self._seconds, at_least))
        seconds = anyio.current_time() - signalled_at
        self._cancel_closing(f"not ended {seconds:.1f} s after {self._signals[0].name}")

    def _cancel_closing(self, reason: str) -> None:
        log.warning("%s: closing cancelled (%s)", self._name, reason)
        self._closing_was_cancelled = True
        self._scope.cancel()
