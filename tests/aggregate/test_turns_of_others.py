"""Other tasks while commands are handled without a single wait."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.aggregate import CommandRejected, Instance
from modd.stores import MemoryStore
from tests.aggregate.billing import Invoice, Issue, Pay, invoices, pay, recorded

pytestmark = pytest.mark.anyio

LONGEST = 256
"""Commands after which other tasks have run, at the latest."""


class Beats:
    """A task that counts its turns."""

    def __init__(self) -> None:
        self.count, self.is_over = 0, False

    async def run(self) -> None:
        while not self.is_over:
            self.count += 1
            await checkpoint()


async def test_a_loop_of_commands_in_memory_lets_other_tasks_run_at_every_256th_at_the_latest() -> None:
    # WM-91
    aggregate, beats, longest, since = invoices(store=MemoryStore(), snapshots=0), Beats(), 0, 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beats.run)
        await checkpoint()
        before = beats.count
        for _ in range(6 * LONGEST):
            await aggregate.dispatch(Issue("7"))
            since = since + 1 if beats.count == before else 0
            before, longest = beats.count, max(longest, since)
        beats.is_over = True
    assert longest < 2 * LONGEST  # twice, because trio may let this task go on before the other one
    assert await recorded(aggregate) == 6 * LONGEST


async def test_each_rejection_in_memory_lets_other_tasks_run() -> None:
    # WM-91
    def refuse(invoice: Instance[Invoice], command: Pay) -> None:
        raise CommandRejected("No.")

    aggregate, beats = invoices(refuse, pay, store=MemoryStore()), Beats()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beats.run)
        await checkpoint()
        for _ in range(3):
            before = beats.count
            for _ in range(2):  # because trio may let this task go on before the other one
                with pytest.raises(CommandRejected):
                    await aggregate.dispatch(Pay("7"))
            assert beats.count > before
        beats.is_over = True


async def test_a_loop_of_commands_in_memory_is_cancelled_at_the_256th_at_the_latest() -> None:
    # WM-91
    aggregate = invoices(store=MemoryStore(), snapshots=0)
    with anyio.CancelScope() as scope:
        scope.cancel()
        for _ in range(2 * LONGEST):
            await aggregate.dispatch(Issue("7"))
    assert scope.cancelled_caught
    assert await recorded(aggregate) < LONGEST
