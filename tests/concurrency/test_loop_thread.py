"""Loops of asyncio in a thread, and calls from loop to loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
import pytest

from modd.concurrency import loop_thread
from modd.concurrency.loop_thread import Crossing, LoopThread, start_loop_thread
from modd.concurrency.loops import current_loop, loop_name

pytestmark = pytest.mark.anyio


async def test_a_loop_is_started_under_trio_and_its_threads_end_with_it() -> None:
    before = loop_threads()
    thread = start_loop_thread()
    assert (thread is None) == (loop_name() == "asyncio")
    if thread is not None:
        thread.call(look_up)
        assert len(loop_threads() - before) == 2
        thread.close()
        assert loop_threads() == before and thread.loop.is_closed()


def loop_threads() -> set[threading.Thread]:
    """Return the threads of loops, and those in which they look up names."""
    return {each for each in threading.enumerate() if each.name.startswith("modd-asyncio")}


async def look_up() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def test_a_look_up_that_hangs_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_thread, "EXECUTOR_TIMEOUT", 0.01)
    thread, end = LoopThread(), threading.Event()
    thread.loop.call_soon_threadsafe(lambda: thread.loop.run_in_executor(None, end.wait))
    await anyio.to_thread.run_sync(thread.close)
    assert not end.is_set() and thread.loop.is_closed()
    end.set()


async def test_calls_cross_in_their_order() -> None:
    numbers: list[int] = []
    done = anyio.Event()
    crossing = Crossing(current_loop(), direct=False)

    def cross() -> None:
        for number in range(1000):
            crossing.call(partial(numbers.append, number))
        crossing.call(done.set)

    await anyio.to_thread.run_sync(cross)
    await done.wait()
    assert numbers == [*range(1000)]


async def test_calls_that_the_loop_has_not_come_to_need_no_further_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[Callable[[], object]] = []
    monkeypatch.setattr(loop_thread, "call_in_loop", lambda loop, function: signals.append(function))
    numbers: list[int] = []
    crossing = Crossing(None, direct=False)
    for number in range(3):
        crossing.call(partial(numbers.append, number))
    assert len(signals) == 1
    signals[0]()
    crossing.call(partial(numbers.append, 3))
    assert len(signals) == 2 and numbers == [0, 1, 2]


async def test_a_direct_call_is_made_at_once() -> None:
    numbers: list[int] = []
    Crossing(None, direct=True).call(lambda: numbers.append(1))
    assert numbers == [1]
