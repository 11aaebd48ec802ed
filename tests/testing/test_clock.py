"""The virtual clock, on both loops."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread

from modd import Bus, InvalidOption
from modd.testing import Recorder, run_virtual, virtual_backend
from tests.names import A, B

backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])
YEAR = 365 * 24 * 3600.0


def ask_the_time(times: int = 100) -> set[float]:
    """In a worker thread: each answer is the loop being idle and woken up once."""
    return {from_thread.run_sync(anyio.current_time) for _ in range(times)}


@backends
@pytest.mark.parametrize("seconds", [0.5, 3600, YEAR])
def test_time_passes_as_soon_as_everything_waits_for_it(backend: str, seconds: float) -> None:
    async def sleeps() -> tuple[float, float]:
        start = anyio.current_time()
        await anyio.sleep(seconds)
        return start, anyio.current_time()

    assert run_virtual(sleeps, backend=backend) == (0, seconds)


@backends
def test_sleepers_wake_in_the_order_of_their_times(backend: str) -> None:
    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((seconds, anyio.current_time()))

    async def sleeps(*times: float) -> None:
        async with anyio.create_task_group() as tasks:
            for seconds in times:
                tasks.start_soon(sleeper, seconds)

    woken: list[tuple[float, float]] = []
    run_virtual(sleeps, 30, 10, 20, backend=backend)
    assert woken == [(10, 10), (20, 20), (30, 30)]


@backends
def test_a_time_out_is_over_when_it_would_be(backend: str) -> None:
    async def slow(message: A) -> B:
        await anyio.sleep(3600)
        return B()

    async def sends(bus: Bus) -> float:
        await bus(A())
        with anyio.move_on_after(60):
            await bus(A())
        return anyio.current_time()

    recorder = Recorder()
    assert run_virtual(sends, Bus([slow, recorder]), backend=backend) == 3660
    assert recorder.messages == [A(), B()]


@backends
def test_an_error_goes_through(backend: str) -> None:
    async def fails() -> None:
        await anyio.sleep(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_virtual(fails, backend=backend)


@backends
def test_no_time_passes_while_a_thread_is_at_work(backend: str) -> None:
    async def works() -> tuple[set[float], float]:
        with anyio.fail_after(3600):
            return await to_thread.run_sync(ask_the_time), anyio.current_time()

    assert run_virtual(works, backend=backend) == ({0.0}, 0.0)


@backends
def test_a_time_out_around_a_thread_takes_as_long_as_in_reality(backend: str) -> None:
    async def works() -> float:
        with anyio.move_on_after(0.05):
            await to_thread.run_sync(released.wait, abandon_on_cancel=True)
        released.set()
        return anyio.current_time()

    released = threading.Event()
    assert run_virtual(works, backend=backend) == 0.05


@backends
def test_a_thread_can_wait_for_time_to_pass(backend: str) -> None:
    def waits() -> None:
        from_thread.run(anyio.sleep, 0.05)

    async def works() -> float:
        await to_thread.run_sync(waits)
        await anyio.sleep(3600)
        return anyio.current_time()

    assert run_virtual(works, backend=backend) == 3600.05


@backends
def test_no_time_passes_when_nothing_is_due(backend: str) -> None:
    async def works() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            times.append(await to_thread.run_sync(ask_the_time, limiter=anyio.CapacityLimiter(1)))
            tasks.cancel_scope.cancel()

    times: list[set[float]] = []
    run_virtual(works, backend=backend)
    assert times == [{0.0}]


@backends
def test_with_patience_the_clock_waits_for_what_it_cannot_see(backend: str) -> None:
    async def works() -> set[float]:
        with anyio.fail_after(3600):
            return await to_thread.run_sync(ask_the_time, limiter=anyio.CapacityLimiter(1))

    assert run_virtual(works, backend=backend, patience=600) == {0.0}


def test_no_time_passes_while_an_executor_of_asyncio_is_at_work() -> None:
    async def works() -> tuple[set[float], float]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(3600):
            return await asyncio.to_thread(ask_the_loop, loop), anyio.current_time()

    def ask_the_loop(loop: asyncio.AbstractEventLoop) -> set[float]:
        async def now() -> float:
            return loop.time()

        return {asyncio.run_coroutine_threadsafe(now(), loop).result() for _ in range(100)}

    assert run_virtual(works) == ({0.0}, 0.0)


@pytest.mark.parametrize(("backend", "patience"), [("curio", 0), ("asyncio", -1), ("trio", float("nan"))])
def test_a_clock_that_cannot_be_made_is_an_error(backend: Any, patience: Any) -> None:
    with pytest.raises(InvalidOption):
        virtual_backend(backend, patience=patience)


def test_without_trio_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio", None)
    monkeypatch.delitem(sys.modules, "modd.testing.trio_clock", raising=False)
    with pytest.raises(ImportError, match=r"pip install modd\[trio\]"):
        virtual_backend("trio")
