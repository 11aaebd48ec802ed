"""The tables of impure calls, and the calls that are left out of them."""

from __future__ import annotations

import dis
import gc
import io
import os
import random
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from types import CodeType, FrameType
from typing import Any

import pytest

from modd.service import ImpureCall
from modd.service.impure_calls import (
    count_arguments,
    find_impure_c_call,
    find_impure_start,
    find_place,
    is_left_out,
)
from modd.service.watch import Watch


class Birthday(date):
    pass


def found(function: Any, arguments: int | None = None) -> str | None:
    return find_impure_c_call(function, getattr(function, "__self__", None), lambda: arguments)


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (time.time, "time.time"),
        (time.perf_counter_ns, "time.perf_counter_ns"),
        (time.sleep, "time.sleep"),
        (datetime.now, "datetime.datetime.now"),
        (date.today, "datetime.date.today"),
        (Birthday.today, "tests.service.test_impure_calls.Birthday.today"),
        (os.urandom, "os.urandom"),
        (os.stat, "os.stat"),
        (open, "open"),
        (io.open_code, "open_code"),
        (io.FileIO, "io.FileIO"),
        (print, "print"),
        (input, "input"),
        (sqlite3.connect, "sqlite3.connect"),
        (socket.gethostname, "socket.gethostname"),
        (random.random, "random.random"),
        (random.getrandbits, "random.getrandbits"),
    ],
)
def test_a_call_in_c_that_reads_or_changes_the_world_is_named(function: Any, call: str) -> None:
    # WM-48
    assert found(function) == call


@pytest.mark.parametrize(
    "function",
    [
        *(len, sorted, isinstance, "".join, [].append, {}.get, datetime.fromisoformat, date(2020, 1, 1).isoformat),
        *(os.fspath, os.strerror, socket.htons, socket.inet_aton, time.strptime, io.BytesIO().write, io.StringIO),
        *(random.Random(3).random, random.Random(3).getrandbits, int, dict.fromkeys, gc.isenabled, time.mktime),
    ],
)
def test_a_call_in_c_that_works_on_its_arguments_alone_is_pure(function: Any) -> None:
    # WM-48
    assert found(function) is None


@pytest.mark.parametrize(
    ("function", "arguments", "is_impure"),
    [
        (time.gmtime, 0, True),
        (time.gmtime, 1, False),
        (time.gmtime, None, False),
        (time.strftime, 1, True),
        (time.strftime, 2, False),
        (time.asctime, 0, True),
        (time.asctime, 1, False),
        (datetime.fromtimestamp, 1, True),
        (datetime.fromtimestamp, 2, False),
        (datetime.fromtimestamp, None, False),
        (datetime(2020, 1, 1).astimezone, 0, True),
        (datetime(2020, 1, 1).astimezone, 1, False),
    ],
)
def test_a_function_that_is_given_a_time_or_a_zone_reads_none(
    function: Any, arguments: int | None, is_impure: bool
) -> None:
    # WM-48
    assert (found(function, arguments) is not None) is is_impure


def test_an_object_that_is_connected_with_the_world_is_told_from_one_in_memory(tmp_path: Any) -> None:
    # WM-48
    with (tmp_path / "file").open("w") as file, socket.socket() as unused, sqlite3.connect(":memory:") as connection:
        assert found(file.write) == "TextIOWrapper.write"
        assert found(unused.recv) == "socket.recv"
        assert found(connection.execute) == "Connection.execute"
    connection.close()
    assert found(io.StringIO().write) is None


def test_a_standard_stream_counts_even_if_it_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-48
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert found(sys.stdout.write) == "StringIO.write"


def frame_of(function: Callable[..., Any], *args: Any) -> FrameType:
    """Return the first frame of a function in Python, by a profiler."""
    frames: list[FrameType] = []

    def keep(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            frames.append(frame)

    before = sys.getprofile()
    sys.setprofile(keep)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return frames[0]


class Own:
    def environ(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "args", "call"),
    [
        (os.environ.__getitem__, ["PATH"], "os.environ"),
        (os.environ.copy, [], "os.environ"),
        (os.path.join, ["a", "b"], None),
        (random.randint, [1, 6], "random.randint"),
        (random.Random(3).randint, [1, 6], None),
        (random.Random(3).seed, [4], None),
        (random.Random(3).seed, [], "random.Random"),
        (random.Random, [], None),
        (Own().environ, [], None),
    ],
)
def test_a_function_in_python_is_named_by_the_module_and_the_object_of_its_frame(
    function: Any, args: list[Any], call: str | None
) -> None:
    # WM-48
    found = find_impure_start(frame_of(function, *args))
    assert found == call


def test_ids_and_secrets_have_the_names_that_users_call_them_by() -> None:
    # WM-48
    import secrets  # noqa: PLC0415
    import uuid  # noqa: PLC0415

    assert find_impure_start(frame_of(uuid.uuid4)) == "uuid.uuid4"
    assert find_impure_start(frame_of(secrets.token_hex)) == "secrets.token_hex"


def test_a_frame_without_the_name_of_a_module_is_of_no_table() -> None:
    # WM-48
    scope: dict[str, Any] = {}
    exec("def function(): ...", scope)
    scope["__name__"] = None
    assert find_impure_start(frame_of(scope["function"])) is None


@pytest.mark.parametrize(
    ("source", "arguments"),
    [("max(1, 2, 3)", 3), ("max(a)", 1), ("now()", 0), ("time.gmtime(a)", 1), ("max(*a)", None)],
)
def test_arguments_are_counted_by_the_instruction_of_the_call(source: str, arguments: int | None) -> None:
    # WM-48
    code = compile(source, "source", "eval")
    (offset,) = (each.offset for each in dis.get_instructions(code) if each.opname in ("CALL", "CALL_FUNCTION_EX"))
    assert count_arguments(code, offset) == arguments


def code_of(function: Any) -> CodeType:
    return function.__code__  # type: ignore[no-any-return]


def run(function: Callable[[], Any]) -> Any:
    return function()


def look() -> bool:
    return is_left_out(sys._getframe(1), code_of(run))


class Finalized:
    def __init__(self) -> None:
        self.looks: list[bool] = []

    def __del__(self) -> None:
        self.looks.append(look())


def test_a_call_of_the_guarded_function_is_not_left_out() -> None:
    # WM-48
    assert run(lambda: look()) is False
    looks: list[bool] = []
    run(lambda: [*map(lambda _: looks.append(look()), "a")])  # noqa: C417  # from code in C
    assert looks == [False]


def test_a_finalizer_that_happens_to_run_is_left_out() -> None:
    # WM-48
    looks = Finalized().looks
    assert looks == [] or all(looks)

    def drop() -> list[bool]:
        finalized = Finalized()
        looks = finalized.looks
        del finalized
        return looks

    assert run(drop) == [True]


def test_the_callbacks_of_the_garbage_collector_are_left_out() -> None:
    # WM-48
    looks: list[bool] = []

    def callback(phase: str, info: dict[str, int]) -> None:
        looks.append(look())

    gc.callbacks.append(callback)
    try:
        run(gc.collect)
    finally:
        gc.callbacks.remove(callback)
    assert looks == [True, True]


def test_code_outside_of_the_guard_is_left_out() -> None:
    # WM-48
    assert look()
    assert is_left_out(None, code_of(run))


def test_a_debugger_in_the_guarded_function_is_left_out() -> None:
    # WM-48
    scope: dict[str, Any] = {"__name__": "pdb", "look": look}
    exec("def function(): return look()", scope)
    assert run(scope["function"]) is True


def test_the_place_of_a_call_is_outside_of_the_standard_library_but_inside_of_the_guard() -> None:
    # WM-48
    frame = sys._getframe()
    assert find_place(frame, code_of(run)) == f"{__file__}, line {frame.f_lineno}"
    library = frame_of(os.environ.copy)
    assert find_place(library, code_of(run)).startswith(f"{__file__}, line ")
    assert find_place(library, code_of(frame_of)) == f"{library.f_code.co_filename}, line {library.f_lineno}"


def test_a_watch_looks_at_the_events_of_a_profiler() -> None:
    # WM-48
    watch = Watch("join", None, code_of(run))
    frame = sys._getframe()
    watch.profile(frame, "c_call", len)
    watch.profile(frame, "return", None)
    watch.profile(frame, "call", None)
    watch.profile(frame_of(os.environ.copy), "call", None)  # outside of its guard
    watch.end()

    with pytest.raises(ImpureCall) as raised:
        run(lambda: watch.profile(sys._getframe(), "c_call", time.time))
    assert (raised.value.function, raised.value.call) == ("join", "time.time")


def test_the_watches_around_keep_what_is_found_and_each_tells_its_first() -> None:
    # WM-48
    outer = Watch("outer", None, code_of(run))
    inner = Watch("inner", outer, code_of(run))
    for function in (time.time, print):
        with pytest.raises(ImpureCall, match=r"inner .* calls time.time"):
            run(lambda function=function: inner.profile(sys._getframe(), "c_call", function))  # type: ignore[misc]
    with pytest.raises(ImpureCall, match="inner"):
        outer.end()
    outer.end()
