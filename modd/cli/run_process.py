"""The app of a process: it is opened, run, and closed, and signals stop it in each of these."""

from __future__ import annotations

from signal import SIGINT, SIGTERM

import anyio
from anyio.abc import TaskStatus

from modd.app import App, Settings
from modd.cli.errors import UsageError
from modd.cli.exits import FAILED, STOPPED
from modd.cli.run_target import CURE, RunTarget, type_words


class AppProcess:
    """Opens the app of a target, runs it, and closes it.

    settings: the argument of the target. is_check: True to run nothing.
    """

    def __init__(self, target: RunTarget, settings: Settings | None, *, is_check: bool = False) -> None:
        self._target, self._settings, self._is_check = target, settings, is_check
        self._error: Exception | None = None
        self.app: App | None = None
        """The app, when it was opened."""

    @property
    def exit_code(self) -> int:
        """The exit code of the process: 0 if all has ended in time."""
        run = None if self.app is None else self.app.last_run
        if run is None:
            return 0
        return STOPPED if run.second_signal == SIGINT else FAILED if run.was_cancelled or run.errors else 0

    async def run(self) -> None:
        """Open, run and close the app. A signal before it runs closes it. Raises the errors of all of these."""
        opening, listening = anyio.CancelScope(), anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._listen, opening, listening)
            try:
                with opening:
                    await self._open_and_run(listening)
            except Exception as error:  # the task group would wrap it into a group
                self._error = error
            listening.cancel()
        if self._error is not None:
            raise self._error

    async def _open_and_run(self, listening: anyio.CancelScope) -> None:
        async with self._target.open(self._settings) as app:
            if isinstance(app, App):
                self.app = app
                if not self._is_check:
                    await app.run()
            listening.cancel()  # from here on, a signal has its usual effect
        if self.app is None:
            raise UsageError(f"run {self._target.spec}: it gave {type_words(app)}, no App; {CURE}")

    async def _listen(
        self, opening: anyio.CancelScope, listening: anyio.CancelScope, *, task_status: TaskStatus[None]
    ) -> None:
        """Cancel the opening at a signal, or have the app end as soon as it runs; then it hears signals itself."""
        with listening, anyio.open_signal_receiver(SIGTERM, SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                if self.app is None:
                    return opening.cancel()
                self.app.stop()
