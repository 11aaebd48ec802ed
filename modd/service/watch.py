"""Watching the calls of a function: by the profiler of the thread, from Python 3.12 on by `sys.monitoring`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from inspect import currentframe
from threading import Lock, get_ident
from types import BuiltinFunctionType, CodeType, FrameType, MethodDescriptorType
from typing import Any

from modd.service.errors import ImpureCall
from modd.service.impure_calls import count_arguments, find_impure_c_call, find_impure_start, find_place, is_left_out

MONITORING: Any = getattr(sys, "monitoring", None)


TOOLS = (4, 3)
"""The numbers that `sys.monitoring` leaves to tools without a name; see `Monitor`."""


class Watch:
    """Looks at the calls of one guarded function.

    function: its name. outer: the watch around it, or None. guard: the code that runs the function.
    """

    def __init__(self, function: str, outer: Watch | None, guard: CodeType) -> None:
        self._function, self._guard, self.outer = function, guard, outer
        self.found: ImpureCall | None = None
        """The first impure call."""

    def profile(self, frame: FrameType, event: str, function: Any) -> None:
        """Look at an event of the profiler. Raises `ImpureCall`."""
        if event == "c_call":
            self.check_c_call(function, function.__self__, frame, frame.f_lasti)
        elif event == "call":
            self.check_start(frame)

    def check_c_call(self, function: Any, owner: Any, caller: FrameType, offset: int) -> None:
        """Raise `ImpureCall` for an impure call of a function in C, by the instruction of its caller."""
        call = find_impure_c_call(function, owner, partial(count_arguments, caller.f_code, offset))
        if call is not None:
            self._refuse(call, caller)

    def check_start(self, frame: FrameType) -> None:
        """Raise `ImpureCall` if the function that begins in a frame is impure."""
        call = find_impure_start(frame)
        if call is not None:
            self._refuse(call, frame.f_back)

    def _refuse(self, call: str, caller: FrameType | None) -> None:
        if caller is None or is_left_out(caller, self._guard):
            return
        self._note(ImpureCall(self._function, call, find_place(caller, self._guard)))
        assert self.found is not None
        raise self.found

    def _note(self, error: ImpureCall) -> None:
        """Keep an error, and have the watches around keep it, in case that code between them swallows it."""
        watch: Watch | None = self
        while watch is not None:
            watch.found = watch.found or error
            watch = watch.outer

    def end(self) -> None:
        """Raise the first `ImpureCall` that was found, if there is one."""
        found, self.found = self.found, None
        try:
            if found is not None:
                raise found
        finally:
            del found  # its traceback refers to this frame


class Monitor:  # pragma: no cover  # of Python 3.12 and later
    """The watches of all threads under `sys.monitoring`, which belongs to the whole interpreter."""

    def __init__(self) -> None:
        self._lock, self._watches = Lock(), dict[int, Watch]()
        self._tool: int | None = None

    def begin(self, watch: Watch) -> Callable[[], None] | None:
        """Watch this thread. Returns a function that ends it, or None if other tools have all numbers."""
        thread = get_ident()
        with self._lock:
            if not self._watches and not self._start():
                return None
            before = self._watches.get(thread)
            self._watches[thread] = watch
        return partial(self._end, thread, before)

    def _end(self, thread: int, before: Watch | None) -> None:
        with self._lock:
            del self._watches[thread]
            if before is not None:
                self._watches[thread] = before
            if not self._watches:
                self._stop()

    def _start(self) -> bool:
        self._tool = next((tool for tool in TOOLS if MONITORING.get_tool(tool) is None), None)
        if self._tool is None:
            return False
        events = MONITORING.events
        MONITORING.use_tool_id(self._tool, "modd.service.pure")
        MONITORING.register_callback(self._tool, events.CALL, self._on_call)
        MONITORING.register_callback(self._tool, events.PY_START, self._on_start)
        MONITORING.set_events(self._tool, events.CALL | events.PY_START)
        return True

    def _stop(self) -> None:
        MONITORING.set_events(self._tool, 0)
        for event in (MONITORING.events.CALL, MONITORING.events.PY_START):
            MONITORING.register_callback(self._tool, event, None)
        MONITORING.free_tool_id(self._tool)

    def _on_call(self, code: CodeType, offset: int, function: Any, first: Any) -> None:
        watch, caller = self._watches.get(get_ident()), _caller()
        if (
            watch is None
            or caller is None
            or not isinstance(function, (BuiltinFunctionType, MethodDescriptorType, type))
        ):
            return
        owner = first if isinstance(function, MethodDescriptorType) else getattr(function, "__self__", None)
        watch.check_c_call(function, owner, caller, offset)

    def _on_start(self, code: CodeType, offset: int) -> None:
        watch, begun = self._watches.get(get_ident()), _caller()
        if watch is not None and begun is not None:
            watch.check_start(begun)


def _caller() -> FrameType | None:  # pragma: no cover  # of Python 3.12 and later
    """Return the frame around a callback: that of the code whose event it is told."""
    frame = currentframe()
    callback = None if frame is None else frame.f_back
    return None if callback is None else callback.f_back


MONITOR = Monitor()


def begin_watch(watch: Watch) -> Callable[[], None]:
    """Begin to look at the calls in this thread; returns a function that ends it and restores the profiler."""
    end = None if MONITORING is None else MONITOR.begin(watch)
    if end is not None:  # pragma: no cover  # of Python 3.12 and later
        return end
    before = sys.getprofile()
    sys.setprofile(watch.profile)
    return partial(_restore, before)


def _restore(before: Any) -> None:
    if before is None or callable(before):
        sys.setprofile(before)
    else:
        before.enable()  # `cProfile.Profile` until Python 3.11
