"""Signals are made by the loop that runs, as fast as it can."""

from __future__ import annotations

import asyncio

import pytest

from modd.concurrency.signals import Signal, set_signal, signals

pytestmark = pytest.mark.anyio


async def test_a_signal_ends_a_wait_once() -> None:
    signal: Signal = signals()()
    for _ in range(2):
        set_signal(signal)
    await signal


def test_a_loop_with_futures_of_its_own_makes_the_signals() -> None:
    class Loop(asyncio.SelectorEventLoop):
        def create_future(self) -> asyncio.Future[None]:
            made.append(super().create_future())
            return made[-1]

    async def wait() -> None:
        made.clear()
        signal: Signal = signals()()
        assert made == [signal]
        set_signal(signal)
        await signal

    made: list[asyncio.Future[None]] = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(wait())
