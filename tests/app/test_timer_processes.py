"""Timers of one name in two processes, on one file."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from modd.stores import SqliteStore

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file with a table of the reminders that were handled."""
    async with SqliteStore(tmp_path / "shop.db") as store, store.transaction() as tx:
        await tx.execute("CREATE TABLE reminders (process INTEGER)")
    return tmp_path / "shop.db"


async def counts(path: Path) -> tuple[int, int]:
    """The number of slots in the inbox, and that of the reminders that were handled."""
    async with SqliteStore(path, timeout=60) as store, store.transaction() as tx:
        [(slots,)] = await tx.fetch("SELECT count(*) FROM modd_inbox")
        [(reminders,)] = await tx.fetch("SELECT count(*) FROM reminders")
        return slots, reminders


async def start(path: Path, *arguments: str) -> Process:
    program = [sys.executable, "-m", "tests.app.timer_process", str(path), *arguments]
    return await anyio.open_process(program, stdout=None, stderr=None)


async def test_each_slot_is_fired_by_one_of_two_processes(path: Path) -> None:
    # AP-22
    with anyio.fail_after(120):
        processes = [await start(path, "works") for _ in range(2)]
        assert [await process.wait() for process in processes] == [0, 0]
    slots, reminders = await counts(path)
    assert slots == reminders >= 20


@pytest.mark.parametrize(("more", "queued"), [([], 0), (["queue"], 1)])
async def test_a_slot_in_whose_firing_the_process_dies_fires_again_only_if_its_message_is_queued_beside_it(
    path: Path, more: list[str], queued: int
) -> None:
    # AP-22
    with anyio.fail_after(120):
        assert await (await start(path, "dies", *more)).wait() == 3
        assert await (await start(path, "looks", *more)).wait() == 0
    slots, reminders = await counts(path)
    assert (slots, reminders) == (1, 1 - queued)
    async with SqliteStore(path) as store:
        assert (await store.queue("reminders").stats()).ready == queued
