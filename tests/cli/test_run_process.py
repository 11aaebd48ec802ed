"""The app of a process by a virtual clock: signals while it is opened, runs and is closed."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import anyio
import pytest

from modd.app import App
from modd.cli.errors import UsageError
from modd.cli.run_process import AppProcess
from modd.cli.run_target import RunTarget
from tests.cli.run_targets import RunPart
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

DRAIN = 30.0

DELAY = 0.001
"""Seconds of the virtual clock: the loop looks for signals when it waits."""


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the log after the opening, without the run."""
    caplog.set_level(logging.INFO, "modd.app")
    return lambda: [each.getMessage() for each in caplog.records if "clos" in each.getMessage()]


async def send(signal: Signals) -> None:
    """Send a signal to this process, and wait until it has its effect."""
    os.kill(os.getpid(), signal)
    await anyio.sleep(DELAY)


def process_of(close: Callable[[], Awaitable[object]], mode: str = "end", *, is_check: bool = False) -> AppProcess:
    """Return a process with an app that runs a function when it is closed."""

    @asynccontextmanager
    async def factory() -> AsyncIterator[App]:
        yield App("shop", RunPart(mode), drain=DRAIN)
        await close()

    return AppProcess(RunTarget("shop.main:shop", factory), None, is_check=is_check)


async def test_the_opening_and_the_closing_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    # AP-60
    caplog.set_level(logging.INFO, "modd.app")
    process = process_of(anyio.wait_all_tasks_blocked)
    await process.run()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "shop.main:shop: opening" and lines[-1] == "shop: closing"
    assert process.exit_code == 0


@pytest.mark.parametrize("is_check", [False, True])
async def test_a_first_signal_leaves_the_closing_its_time(told: Callable[[], list[str]], is_check: bool) -> None:
    # AP-60
    ends: list[float] = []

    async def close() -> None:
        await send(SIGTERM)
        await anyio.sleep(DRAIN + 1.9)
        ends.append(anyio.current_time())

    process = process_of(close, is_check=is_check)
    await process.run()
    assert len(ends) == 1 and process.exit_code == 0
    assert told() == ["shop: closing", "shop: still closing (SIGTERM)"]


async def test_the_closing_is_cancelled_when_drain_and_two_seconds_are_over(told: Callable[[], list[str]]) -> None:
    # AP-60
    process = process_of(lambda: _signal_and_hang(SIGTERM))
    begun = anyio.current_time()
    await process.run()
    assert anyio.current_time() - begun == pytest.approx(DRAIN + 2)
    assert process.exit_code == 1
    assert told()[-1] == "shop: closing cancelled (not ended 32.0 s after SIGTERM)"


async def test_the_time_of_the_closing_begins_with_the_signal_that_stopped_the_run(
    told: Callable[[], list[str]],
) -> None:
    # AP-60
    process = process_of(anyio.sleep_forever, "term")
    begun = anyio.current_time()
    await process.run()
    assert anyio.current_time() - begun == pytest.approx(DRAIN + 2)
    assert told()[-1] == "shop: closing cancelled (not ended 32.0 s after SIGTERM)"


async def test_the_closing_has_two_seconds_even_if_the_run_took_all_of_the_time(told: Callable[[], list[str]]) -> None:
    # AP-60
    closed: list[bool] = []

    async def close() -> None:
        await anyio.sleep(1.9)
        closed.append(True)

    process = process_of(close, "term-cling")
    begun = anyio.current_time()
    await process.run()
    assert closed == [True] and process.exit_code == 1
    assert anyio.current_time() - begun == pytest.approx(DRAIN + 2 + 1.9)
    assert told() == ["shop: closing"]


@pytest.mark.parametrize(("second", "code"), [(SIGTERM, 1), (SIGINT, 130)])
@pytest.mark.parametrize("mode", ["end", "term"])
async def test_a_second_signal_cancels_the_closing(
    mode: str, second: Signals, code: int, told: Callable[[], list[str]]
) -> None:
    # AP-60, AP-41
    async def close() -> None:
        if mode == "end":
            await send(SIGTERM)
        await _signal_and_hang(second)

    process = process_of(close, mode)
    begun = anyio.current_time()
    await process.run()
    assert process.exit_code == code
    assert told()[-1] == f"shop: closing cancelled (a second signal, {second.name})"
    assert anyio.current_time() - begun < 1


async def test_a_signal_while_the_app_is_opened_is_logged(told: Callable[[], list[str]]) -> None:
    # AP-60
    @asynccontextmanager
    async def factory() -> AsyncIterator[App]:
        await _signal_and_hang(SIGTERM)
        yield App("shop", RunPart())

    process = AppProcess(RunTarget("shop.main:shop", factory), None)
    await process.run()
    assert process.exit_code == 0
    assert told() == ["shop.main:shop: closed while it was opened (SIGTERM)"]


@pytest.mark.parametrize(("second", "code"), [(SIGTERM, 0), (SIGINT, 130)])
async def test_a_second_signal_leaves_an_opening_that_ends_late_to_end(
    second: Signals, code: int, told: Callable[[], list[str]]
) -> None:
    # AP-60
    @asynccontextmanager
    async def factory() -> AsyncIterator[App]:
        with anyio.CancelScope(shield=True):
            await send(SIGTERM)
            await send(second)
        await anyio.sleep_forever()
        yield App("shop", RunPart())

    process = AppProcess(RunTarget("shop.main:shop", factory), None)
    await process.run()
    assert process.exit_code == code
    assert told() == ["shop.main:shop: closed while it was opened (SIGTERM)"]


async def test_signals_count_while_another_thing_than_an_app_is_closed(told: Callable[[], list[str]]) -> None:
    # AP-60
    @asynccontextmanager
    async def factory() -> AsyncIterator[int]:
        yield 3
        await send(SIGTERM)

    with pytest.raises(UsageError):
        await AppProcess(RunTarget("shop.main:shop", factory), None).run()
    assert told() == ["shop.main:shop: closing", "shop.main:shop: still closing (SIGTERM)"]


async def test_an_error_of_the_closing_is_raised_as_it_is() -> None:
    # AP-41
    async def close() -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        await process_of(close).run()


async def _signal_and_hang(signal: Signals) -> Any:
    await send(signal)
    await anyio.sleep_forever()
