"""The app of a process: it is opened, run, and closed, and signals stop it in each of these."""

from __future__ import annotations

import logging
from signal import SIGINT, SIGTERM, Signals

import anyio
from anyio.abc import TaskStatus

from modd.app import App, Settings
from modd.app.run import GRACE
from modd.cli.errors import UsageError
from modd.cli.exits import FAILED, STOPPED
from modd.cli.run_target import CURE, RunTarget, type_words

log = logging.getLogger("modd.app")


class AppProcess:
    """Opens the app of a target, runs it, and closes it.

    settings: the argument of the target. is_check: True to run nothing.
    """

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
        run = None if self.app is None else self.app.last_run
        if self._signals[1:] == [SIGINT]:
            return STOPPED
        was_cancelled = self._closing_was_cancelled or (run is not None and run.was_cancelled)
        return FAILED if was_cancelled or (run is not None and run.errors) else 0

    async def run(self) -> None:
        """Open, run and close the app. A signal before it runs closes it. Raises the errors of all of these."""
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            await tasks.start(self._listen, scope)
            tasks.start_soon(self._cancel_late, scope)
            try:
                with scope:
                    await self._open_and_run()
            except Exception as error:  # the task group would wrap it into a group
                self._error = error
            tasks.cancel_scope.cancel()
        if self._error is not None:
            raise self._error

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

    async def _listen(self, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        """Act on signals from the opening to the end of the closing; then, they have their usual effect again."""
        with anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
            task_status.started()
            async for signal in signals:
                self._signals.append(signal)
                self._signalled.set()
                if not self._act_on(signal, scope):
                    return

    def _act_on(self, signal: Signals, scope: anyio.CancelScope) -> bool:
        """Stop or cancel what is going on; return False if there is no more that a further signal can cancel."""
        is_first = len(self._signals) == 1
        run = None if self.app is None else self.app.last_run
        if self._closing.is_set():
            if is_first:
                log.info("%s: still closing (%s)", self._name, signal.name)
            else:
                self._cancel_closing(f"a second signal, {signal.name}", scope)
        elif run is None:
            log.info("%s: closed while it was opened (%s)", self._name, signal.name)
            scope.cancel()
            return False
        else:
            (run.stop_on if is_first else run.cancel_on)(signal)
        return is_first

    async def _cancel_late(self, scope: anyio.CancelScope) -> None:
        """Cancel the closing when its time is up."""
        await self._signalled.wait()
        signalled_at = anyio.current_time()
        await self._closing.wait()
        at_least = anyio.current_time() + GRACE  # the run may have taken all of the time
        await anyio.sleep_until(max(signalled_at + self._seconds, at_least))
        seconds = anyio.current_time() - signalled_at
        self._cancel_closing(f"not ended {seconds:.1f} s after {self._signals[0].name}", scope)

    def _cancel_closing(self, reason: str, scope: anyio.CancelScope) -> None:
        log.warning("%s: closing cancelled (%s)", self._name, reason)
        self._closing_was_cancelled = True
        scope.cancel()
