"""``run --reload``: runs the app in a child process, and starts that anew when a source file changes."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, Signals, getsignal
from typing import Any, Protocol, TypeAlias

import anyio
from anyio.abc import ObjectSendStream, TaskGroup, TaskStatus

from modd.errors import MissingExtra
from modd.texts import escape_control

try:
    from watchfiles import awatch
except ImportError as missing:
    raise MissingExtra("--reload", "reload") from missing

PATIENCE = 5.0
"""Seconds that the app has to end after SIGTERM, or after Ctrl-C; then it is killed."""


GATHERING = 300
"""Milliseconds within which changes count as one: an editor or git writes several files."""


LOOK = 100
"""Milliseconds after which the watch of the files can be ended."""


IGNORED_FOLDERS = frozenset({".git", ".venv", "__pycache__"})


OF_EDITORS = (".#", "flycheck_")
"""The beginnings of the names of files that Emacs keeps beside those that it edits."""


def ending_signals() -> set[Signals]:
    """Return the signals that end the supervisor and its child; without that of a closed terminal under ``nohup``."""
    return {SIGINT, SIGTERM} if getsignal(SIGHUP) is SIG_IGN else {SIGINT, SIGTERM, SIGHUP}


class AppChild(Protocol):
    """The process of the app, as anyio starts it."""

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        ...

    def terminate(self) -> None:
        """Send it SIGTERM."""

    def kill(self) -> None:
        """Send it SIGKILL."""

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        ...


ReloadEvent: TypeAlias = str | Signals | AppChild
"""The name of a file that has changed, a signal, or a child that has ended."""


EventStream: TypeAlias = ObjectSendStream[ReloadEvent]


def run_reloading(command: Sequence[str]) -> int:
    """Run a command, and anew whenever a source file below the current folder changes; return an exit code.

    It ends after SIGINT, SIGTERM or SIGHUP: with 0, and with 1 if the child had to be killed. The code of the child
    would be left to chance: if a signal is sent to the whole group, the child gets a second one from here.
    """
    return anyio.run(_run_in, Path.cwd().resolve(), command)


def is_source(path: Path) -> bool:
    """True for a Python file that an app may be made of; the path is relative to the folder of the app."""
    has_name = path.suffix == ".py" and not path.name.startswith(OF_EDITORS)
    return has_name and IGNORED_FOLDERS.isdisjoint(path.parts)


class Supervisor:
    """Keeps a child process running, and replaces it when a file changes.

    start: starts a child.
    """

    def __init__(self, start: Callable[[], Awaitable[AppChild]]) -> None:
        self._start = start
        self._send, self._receive = anyio.create_memory_object_stream[ReloadEvent](100)

    async def run(self, *sources: Callable[..., Coroutine[Any, Any, Any]]) -> int:
        """Run children until a signal; return 0, or 1 if the last one had to be killed.

        sources: functions that are given a stream and send events to it; they are started before the first child.
        """
        code = 0
        async with anyio.create_task_group() as tasks, self._send, self._receive:
            for source in sources:
                await tasks.start(source, self._send)
            code = await self._supervise(tasks)
            tasks.cancel_scope.cancel()
        return code

    async def _supervise(self, tasks: TaskGroup) -> int:
        child = await self._start_in(tasks)
        while True:
            event = await self._receive.receive()
            if isinstance(event, Signals):
                return await end_child(child, is_told=event is SIGINT)
            if isinstance(event, str):
                _tell(f"{event} has changed: the app starts anew")
                await end_child(child)
                child = await self._start_in(tasks)
            elif event is child:
                _tell(f"the app has ended with code {event.returncode}, and starts anew when a file changes")

    async def _start_in(self, tasks: TaskGroup) -> AppChild:
        child = await self._start()
        tasks.start_soon(self._await_end, child)
        return child

    async def _await_end(self, child: AppChild) -> None:
        await child.wait()
        await self._send.send(child)


async def end_child(child: AppChild, *, is_told: bool = False) -> int:
    """End a child: by SIGTERM, and 5 s later by SIGKILL; return 0, or 1 if it was killed.

    child: the child, which may have ended. is_told: True after Ctrl-C, of which the terminal has told the child, too: a
    second signal would cancel its work.
    """
    if not (is_told and await _ends_in_time(child)) and child.returncode is None:
        child.terminate()
        if not await _ends_in_time(child):
            child.kill()
            await child.wait()
            return 1
    return 0


async def _ends_in_time(child: AppChild) -> bool:
    with anyio.move_on_after(PATIENCE):
        await child.wait()
        return True
    return False


async def _run_in(folder: Path, command: Sequence[str]) -> int:
    async def start() -> AppChild:
        return await anyio.open_process(command, stdin=None, stdout=None, stderr=None)

    return await Supervisor(start).run(_send_signals, partial(_send_changes, folder))


async def _send_signals(send: EventStream, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(*ending_signals()) as signals:
        task_status.started()
        async for signal in signals:
            await send.send(signal)


async def _send_changes(folder: Path, send: EventStream, *, task_status: TaskStatus[None]) -> None:
    """Send the name of a source file that has changed; it has started when no later change can be missed."""
    watch = awatch(folder, watch_filter=None, debounce=GATHERING, rust_timeout=LOOK, yield_on_timeout=True)
    await anext(watch)
    task_status.started()
    async for changes in watch:
        paths = sorted(Path(path).relative_to(folder) for _, path in changes)
        sources = [path for path in paths if is_source(path)]
        if sources:
            await send.send(str(sources[0]))


def _tell(text: str) -> None:
    print(escape_control(f"modd run: {text}"), file=sys.stderr, flush=True)
