"""Event loops: the loop that runs here, signals to other loops, and time that goes on from loop to loop.

An object that is made at import time outlives the loop that it was used in first, and may be used from several threads
that have a loop each. The clock of a loop means nothing in the next loop (trio begins at a random number, a virtual
clock at 0), and an event of a loop may be set in that loop only.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import compress, repeat
from math import floor
from time import monotonic, thread_time
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any
from weakref import ref

import anyio
from anyio.lowlevel import RunVar, current_token

from modd.errors import InOtherLoop

LOOK_AGAIN = 0.4
"""Seconds, at least, between two searches for the loops of this process."""


def current_loop() -> Any:
    """Return the loop that runs in this thread: that of asyncio, or the token of trio's; None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    try:
        token: Any = current_token()
    except RuntimeError:
        return None
    return getattr(token, "native_token", token)  # anyio before 4.11 has the native one


def current_task() -> object:
    """Return an object that identifies the current task while it runs."""
    try:
        return asyncio.current_task()  # a fiftieth of the time of anyio's function
    except RuntimeError:
        return anyio.get_current_task().id


def loop_name() -> str:
    """Return the name of the library whose loop runs here: ``"asyncio"`` or ``"trio"``."""
    return "asyncio" if isinstance(current_loop(), asyncio.AbstractEventLoop) else "trio"


def in_main_thread() -> bool:
    """True in the main thread of the process, which alone may handle signals."""
    return threading.current_thread() is threading.main_thread()


def is_running_here(loop: Any) -> bool:
    """True if a loop of asyncio runs in this thread and this process: a process that was forked has none of it."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def call_in_loop(loop: Any, function: Callable[[], object]) -> bool:
    """Have a function called in a loop: at once in the loop that runs here; False if the loop is over."""
    if loop is current_loop():
        function()
        return True
    call = loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
    try:
        call(function)
    except RuntimeError:  # asyncio's for a closed loop; that of trio is derived from it
        return False
    return True


def call_in_task(loop: Any, function: Callable[[], object]) -> None:
    """Have a function called as in a task of a loop, so that it can ask for the time; not if the loop is over."""
    if loop is current_loop() or not isinstance(loop, asyncio.AbstractEventLoop):
        call_in_loop(loop, function)
    else:
        call_in_loop(loop, lambda: asyncio.ensure_future(_call(function)))


async def _call(function: Callable[[], object]) -> None:
    function()


def is_over(loop: Any) -> bool:
    """True if a loop is closed, so that none of its tasks will ever go on."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_closed()
    return not call_in_loop(loop, _do_nothing)


def is_halted(loop: Any) -> bool:
    """True if a loop is closed or does not run at the moment."""
    return not loop.is_running() if isinstance(loop, asyncio.AbstractEventLoop) else is_over(loop)


def describe_loop(loop: Any) -> str:
    """Return the words for a loop in an error."""
    if is_halted(loop):
        return f"an event loop that does not run ({loop!r})"
    thread = getattr(loop, "_thread_id", None)
    names = [each.name for each in threading.enumerate() if each.ident == thread]
    return f"the event loop of the thread {names[0]!r} ({loop!r})" if names else f"another event loop ({loop!r})"


def check_loop(name: str, loop: Any) -> None:
    """Raise `InOtherLoop` unless a loop is the one that runs here."""
    if loop is not current_loop():
        raise InOtherLoop(name, describe_loop(loop))


class LoopEvent:
    """An event to wait for in the loop that made it, and to set from any loop and thread."""

    __slots__ = ("_event", "loop")

    def __init__(self) -> None:
        self._event, self.loop = anyio.Event(), current_loop()

    def set(self) -> bool:
        """Wake the tasks that wait; False if their loop is over, and they with it."""
        return call_in_loop(self.loop, self._event.set)

    def is_set(self) -> bool:
        """True if the event was set."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until the event is set."""
        await self._event.wait()


TICK = 2.0**-20
"""The seconds, a microsecond, of which offsets are multiples: adding one to a time such as 180.0 rounds nothing off."""

_offset: RunVar[float] = RunVar("modd_steady_offset")
_latest = (0.0, 0.0)
"""The last steady time that was read, and `time.monotonic` at that moment."""


def steady_time() -> float:
    """Return seconds that go on from loop to loop: by the clock of the loop inside it, by `time.monotonic` between."""
    global _latest
    loop_time, now = anyio.current_time(), monotonic()
    offset = _offset.get(None)
    if offset is None:
        steady, at = _latest
        offset = floor((steady + (now - at) - loop_time) / TICK) * TICK
        _offset.set(offset)
    _latest = loop_time + offset, now
    return _latest[0]


def loop_time_of(steady: float) -> float:
    """Return the time by the clock of the running loop for a steady time."""
    steady_time()  # sets the offset
    return steady - _offset.get()


class KnownLoops:
    """The asyncio loops of this process, found among all objects, as the garbage collector finds them.

    That takes time, so it is done seldom: at most a twentieth of the time.
    """

    def __init__(self) -> None:
        self._loops: list[ref[asyncio.AbstractEventLoop]] = []
        self._next_look = 0.0

    def find_halted(self, name: str, value: object) -> Any:
        """Return the loop that does not run and in which a coroutine has a value as its local variable of this name."""
        if monotonic() >= self._next_look:
            self._look()
        for loop in [each() for each in self._loops]:
            if loop is not None and is_halted(loop) and _has_local(loop, name, value):
                return loop
        return None

    def _look(self) -> None:
        begun, objects = thread_time(), gc.get_objects()
        kinds = map(issubclass, map(type, objects), repeat(asyncio.AbstractEventLoop))
        self._loops = [ref(loop) for loop in compress(objects, kinds)]
        self._next_look = monotonic() + max(LOOK_AGAIN, 20 * (thread_time() - begun))


known_loops = KnownLoops()


async def _suspended() -> AsyncGenerator[None]:
    yield  # pragma: no cover  # only the types of its methods are of use


_asend, _athrow = _suspended().asend(None), _suspended().athrow(GeneratorExit)
_SUSPENDED = (CoroutineType, GeneratorType, AsyncGeneratorType, type(_asend), type(_athrow))
_asend.close()
_athrow.close()


def _has_local(loop: asyncio.AbstractEventLoop, name: str, value: object) -> bool:
    """True if a coroutine of a task, or one that it awaits, has a value as its local variable of this name."""
    coroutines = [each for task in asyncio.all_tasks(loop) for each in _inside(task.get_coro())]
    frames = [frame for each in coroutines if (frame := getattr(each, "cr_frame", None)) is not None]
    return any(frame.f_locals.get(name) is value for frame in frames)


def _inside(coroutine: Any) -> Iterator[Any]:
    """Yield a coroutine, and the coroutines and generators that it refers to, to any depth."""
    found, left = {id(coroutine)}, [coroutine]
    while left:
        yield (each := left.pop())
        new = [part for part in gc.get_referents(each) if isinstance(part, _SUSPENDED) and id(part) not in found]
        found.update(map(id, new))
        left += new


def _do_nothing() -> None: ...
