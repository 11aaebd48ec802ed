"""Libraries of asyncio under trio: their loop in a thread of its own, calls from loop to loop, and tasks in a loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from threading import Thread
from typing import Any

from modd.concurrency.loops import call_in_loop

EXECUTOR_TIMEOUT = 1.0
"""Seconds to wait for the threads in which the loop looks up host names."""


class LoopThread:
    """A thread that runs an asyncio loop, for libraries of asyncio under trio."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._executor = ThreadPoolExecutor(thread_name_prefix="modd-asyncio-names")
        self.loop.set_default_executor(self._executor)
        self._thread = Thread(target=self.loop.run_forever, name="modd-asyncio", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run a coroutine function in the loop, and block the calling thread until it is done."""
        asyncio.run_coroutine_threadsafe(function(), self.loop).result()

    def close(self) -> None:
        """End the loop and its threads."""
        ending = Thread(target=self._executor.shutdown, name="modd-asyncio-end", daemon=True)
        ending.start()
        ending.join(EXECUTOR_TIMEOUT)  # and not longer: a look-up of a name cannot be cut
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def start_loop_thread() -> LoopThread | None:
    """Start a loop for libraries of asyncio under trio; return None under asyncio, which needs none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return LoopThread()
    return None


class Crossing:
    """Calls functions in a loop, in their order: with one signal for all calls until that loop comes to them.

    A signal to a loop in another thread takes longer than most of these functions.

    loop: the loop. direct: True in the same loop, where a function is called at once.
    """

    def __init__(self, loop: Any, *, direct: bool) -> None:
        self._loop, self._direct = loop, direct
        self._calls: deque[Callable[[], object]] = deque()
        self._signalled = False

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop; not if the loop is over."""
        if self._direct:
            function()
            return
        self._calls.append(function)
        if not self._signalled:
            self._signalled = True
            call_in_loop(self._loop, self._run)

    def _run(self) -> None:
        self._signalled = False  # before the calls: one that is added after the last of them signals again
        while self._calls:
            self._calls.popleft()()


class LoopTasks:
    """Tasks in a loop of asyncio that are ended together; for those of which no task group can be the parent."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task."""
        # in an empty context: the caller may be inside of a turn or a transaction
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, timeout: float) -> None:
        """Cancel all tasks but the one that calls, and wait for their end.

        timeout: seconds to wait at most.
        """
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
