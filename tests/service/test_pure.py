"""The guard of pure functions."""

from __future__ import annotations

import cProfile
import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from modd import InvalidOption, ModdError
from modd.service import DomainError, ImpureCall, pure
from modd.service.purity import current_watch


def reads_the_clock() -> float:
    return time.time()


def reads_the_clock_deep_inside() -> list[float]:
    def inner(_: int) -> float:
        return reads_the_clock()

    return sorted(map(inner, [1]), key=lambda value: -value)


IMPURE: list[tuple[Callable[[], object], str]] = [
    (reads_the_clock, "time.time"),
    (reads_the_clock_deep_inside, "time.time"),
    (lambda: time.time(*[]), "time.time"),
    (lambda: time.strftime("%Y"), "time.strftime"),
    (lambda: datetime.now(UTC), "datetime.datetime.now"),
    (lambda: datetime.fromtimestamp(5), "datetime.datetime.fromtimestamp"),
    (lambda: datetime(2020, 1, 1, tzinfo=UTC).astimezone(), "datetime.datetime.astimezone"),
    (lambda: random.random(), "random.random"),
    (lambda: random.shuffle([1, 2]), "random.shuffle"),
    (lambda: random.Random(), "random.Random"),
    (lambda: random.SystemRandom().random(), "os.urandom"),
    (lambda: uuid.uuid4(), "uuid.uuid4"),
    (lambda: os.environ["PATH"], "os.environ"),
    (lambda: os.environ.get("PATH"), "os.environ"),
    (lambda: "PATH" in os.environ, "os.environ"),
    (lambda: os.getenv("PATH"), "os.environ"),
    (lambda: dict(os.environ), "os.environ"),
    (lambda: open(__file__).close(), "open"),
    (lambda: Path(__file__).read_text(), "open"),
    (lambda: Path(__file__).exists(), "os.stat"),
    (lambda: os.getcwd(), "os.getcwd"),
    (lambda: print("hello"), "print"),
    (lambda: sys.stderr.write("hello"), ".write"),
    (lambda: threading.Thread(target=print).start(), "threading.Thread.start"),
    (lambda: socket.socket(), "socket.socket"),
    (lambda: subprocess.run(["true"]), "subprocess.Popen"),
    (time.time, "time.time"),
    (partial(pure(reads_the_clock)), "time.time"),
]


@pytest.mark.parametrize(("function", "call"), IMPURE)
def test_an_impure_call_is_not_made_and_names_function_call_and_place(
    function: Callable[[], object], call: str
) -> None:
    # WM-48
    with pytest.raises(ImpureCall) as raised:
        pure(function)()
    assert raised.value.call.endswith(call)
    assert raised.value.function.endswith(getattr(function, "__name__", "reads_the_clock"))
    assert f"calls {raised.value.call} in " in str(raised.value)
    assert isinstance(raised.value, ModdError)


def test_the_place_is_the_line_that_made_the_call() -> None:
    # WM-48
    with pytest.raises(ImpureCall) as raised:
        pure(reads_the_clock_deep_inside)()
    assert raised.value.place == f"{__file__}, line {reads_the_clock.__code__.co_firstlineno + 1}"


@pytest.mark.parametrize("function", [lambda: Path(__file__).read_text(), lambda: os.getenv("PATH"), Path.cwd])
def test_a_call_inside_the_standard_library_is_told_by_the_line_that_called_that(function: Any) -> None:
    # WM-48
    with pytest.raises(ImpureCall) as raised:
        pure(lambda: function())()
    assert raised.value.place.startswith(f"{__file__}, line ")


def test_a_function_of_the_standard_library_may_be_guarded_itself() -> None:
    # WM-48
    with pytest.raises(ImpureCall, match=r"getenv is to be pure, and calls os.environ in .*os.*, line "):
        pure(os.getenv)("PATH")


@pytest.mark.parametrize(
    "function",
    [
        lambda: datetime.strptime("2020", "%Y"),
        lambda: datetime.fromtimestamp(5, UTC),
        lambda: datetime.fromtimestamp(5, tz=UTC),
        lambda: datetime(2020, 1, 1, tzinfo=UTC).astimezone(UTC),
        lambda: datetime(2020, 1, 1, tzinfo=UTC).isoformat(),
        lambda: time.gmtime(5),
        lambda: time.strftime("%Y", (2020, 1, 1, 0, 0, 0, 0, 1, 0)),
        lambda: random.Random(5).random(),
        lambda: uuid.uuid5(uuid.NAMESPACE_DNS, "modd"),
        lambda: os.path.normpath(os.path.join("a", "..", "b")),
        lambda: Path("a") / "b",
        lambda: sorted([3, 1], key=lambda value: -value),
    ],
)
def test_work_on_values_is_pure(function: Callable[[], object]) -> None:
    # WM-48
    assert pure(function)() is not None


def test_arguments_results_and_errors_pass_through() -> None:
    # WM-48
    def divide(number: int, *, by: int) -> float:
        """Divide."""
        return number / by

    guarded = pure(divide)
    assert (guarded(6, by=2), guarded.__name__, guarded.__doc__) == (3, "divide", "Divide.")
    with pytest.raises(ZeroDivisionError):
        guarded(1, by=0)


def test_a_random_instance_that_is_passed_in_is_pure() -> None:
    # WM-48
    def throw(dice: random.Random) -> list[int]:
        return [dice.randint(1, 6), dice.choice([1, 2]), *dice.sample(range(9), 2), dice.getrandbits(3)]

    assert pure(throw)(random.Random(3)) == throw(random.Random(3))


def test_a_swallowed_call_is_raised_at_the_end() -> None:
    # WM-48
    def swallows() -> str:
        with suppress(Exception):
            time.time()
        return "as if nothing had happened"

    with pytest.raises(ImpureCall, match=r"swallows .*time\.time"):
        pure(swallows)()


def test_a_swallowed_call_comes_before_the_error_that_took_its_place() -> None:
    # WM-48
    def replaces() -> None:
        try:
            time.time()
        except Exception:
            raise DomainError("no time") from None

    with pytest.raises(ImpureCall) as raised:
        pure(replaces)()
    assert isinstance(raised.value.__context__, DomainError)


def test_a_call_that_an_inner_guard_found_and_code_between_swallowed_is_raised_by_the_outer() -> None:
    # WM-48
    def outer() -> None:
        with pytest.raises(ImpureCall):
            pure(reads_the_clock)()

    with pytest.raises(ImpureCall) as raised:
        pure(outer)()
    assert raised.value.function == "reads_the_clock"


def test_the_outer_guard_goes_on_after_an_inner_one() -> None:
    # WM-48
    def outer() -> float:
        assert pure(len)("abc") == 3
        return time.monotonic()

    with pytest.raises(ImpureCall) as raised:
        pure(outer)()
    assert (raised.value.function.rpartition(".")[2], raised.value.call) == ("outer", "time.monotonic")
    assert current_watch.get() is None


def test_an_import_inside_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-48
    (tmp_path / "modd_reads_at_import.py").write_text("import os, time\nloaded = time.time(), os.getcwd()\n")
    monkeypatch.syspath_prepend(tmp_path)

    def imports() -> Any:
        return import_module("modd_reads_at_import").loaded

    assert pure(imports)()[0] > 0
    sys.modules.pop("modd_reads_at_import")


def test_another_thread_sees_nothing_of_it() -> None:
    # WM-48
    guarded, looked = threading.Event(), threading.Event()

    def waits() -> None:
        guarded.set()
        assert looked.wait(60)

    def look() -> float:
        assert guarded.wait(60)
        try:
            return time.time() + len(os.environ["PATH"])
        finally:
            looked.set()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(look)
        pure(waits)()
        assert other.result() > 0


def test_guards_in_several_threads_at_once_find_their_own_calls() -> None:
    # WM-48
    barrier = threading.Barrier(3)  # a timeout would read the clock

    def waits(is_impure: bool) -> None:
        barrier.wait()
        if is_impure:
            uuid.uuid4()
        barrier.wait()

    def guard(is_impure: bool) -> str:
        try:
            pure(waits)(is_impure)
        except ImpureCall as error:
            barrier.wait()
            return error.call
        return "none"

    with ThreadPoolExecutor(3) as pool:
        assert [*pool.map(guard, [True, False, True])] == ["uuid.uuid4", "none", "uuid.uuid4"]


def test_code_that_runs_afterwards_sees_nothing_of_it() -> None:
    # WM-48
    before = sys.getprofile()
    with pytest.raises(ImpureCall):
        pure(reads_the_clock)()
    assert sys.getprofile() is before
    assert time.time() > 0
    monitoring = getattr(sys, "monitoring", None)
    assert monitoring is None or [monitoring.get_tool(tool) for tool in (3, 4)] == [None, None]


@pytest.mark.parametrize("function", [reads_the_clock, lambda: 3])
def test_a_profiler_that_was_set_is_set_again(function: Callable[[], object]) -> None:
    # WM-48
    events: list[str] = []

    def profile(frame: Any, event: str, argument: Any) -> None:
        events.append(event)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        with suppress(ImpureCall):
            pure(function)()
        events.clear()
        assert sys.getprofile() is profile
        len("abc")
    finally:
        sys.setprofile(before)
    assert "c_call" in events


def test_cprofile_goes_on_after_a_guard() -> None:
    # WM-48
    def afterwards() -> None: ...

    profile = cProfile.Profile()
    profile.enable()
    try:
        pure(len)("abc")
        afterwards()
    finally:
        profile.disable()
    profile.create_stats()
    assert any(name == "afterwards" for _, _, name in profile.stats)


def test_a_debugger_and_coverage_go_on_in_a_guard_and_after_it() -> None:
    # WM-48
    lines: list[str] = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        lines.append(frame.f_code.co_name)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        pure(lambda: sorted([1], key=inside_the_guard))()
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is trace
    assert "inside_the_guard" in lines


def inside_the_guard(value: int) -> int:
    return value


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="of Python 3.12 and later")
@pytest.mark.parametrize("tools", [(4,), (3, 4)])
def test_tools_of_others_are_left_alone_and_the_profiler_stands_in_if_they_have_all_numbers(
    tools: tuple[int, ...],
) -> None:
    # WM-48
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    for tool in tools:
        monitoring.use_tool_id(tool, "another")
    try:
        for _ in range(2):
            with pytest.raises(ImpureCall, match=r"time\.time"):
                pure(reads_the_clock_deep_inside)()
        assert {monitoring.get_tool(tool) for tool in tools} == {"another"}
        assert sys.getprofile() is None
    finally:
        for tool in tools:
            monitoring.free_tool_id(tool)


def test_each_step_of_a_generator_is_guarded_and_nothing_between_them() -> None:
    # WM-48
    closed: list[str] = []

    def steps() -> Iterator[Any]:
        try:
            yield 1
            yield time.time()
        finally:
            closed.append("closed")

    running = pure(steps)()
    assert next(running) == 1
    assert time.time() > 0
    with pytest.raises(ImpureCall, match=r"steps .*time\.time"):
        next(running)
    assert closed == ["closed"]


def test_a_generator_returns_its_value_and_is_closed_with_the_guard() -> None:
    # WM-48
    def steps() -> Iterator[int]:
        yield 1
        return "done"  # type: ignore[return-value]

    running = pure(steps)()
    assert next(running) == 1
    with pytest.raises(StopIteration) as stopped:
        next(running)
    assert stopped.value.value == "done"


async def waits_for_nothing() -> None: ...


async def yields_and_waits() -> AsyncIterator[int]:
    yield 1


class WaitsWhenCalled:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize("function", [waits_for_nothing, yields_and_waits, WaitsWhenCalled(), 5])
def test_a_function_that_is_async_or_none_is_refused_when_it_is_given(function: Any) -> None:
    # WM-48
    with pytest.raises(InvalidOption, match="function="):
        pure(function)
