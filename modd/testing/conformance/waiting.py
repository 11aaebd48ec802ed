"""The conformance suite for ``wait`` of queues and outboxes; skipped for implementations without it."""

from __future__ import annotations

from typing import Any, TypeVar

import anyio
import pytest

from modd.errors import InvalidOption
from modd.testing.conformance.base import Suite

T = TypeVar("T")


LONG = 20.0
"""Seconds after which a wait counts as failed."""


class WaitSuite(Suite[T]):
    """The promises of ``wait``, which an implementation may lack. Waiting uses the time of the event loop."""

    async def test_nobody_waits_while_there_is_something_to_claim(self) -> None:
        """A wait returns at once, again and again: it claims nothing."""
        async with self.create() as store:
            wait = self._wait_of(store)
            await self._put(store)
            with anyio.fail_after(LONG):
                await wait(3 * LONG)
                await wait(3 * LONG)

    async def test_a_put_ends_the_wait(self) -> None:
        """A put wakes all waiting tasks."""
        async with self.create() as store:
            wait = self._wait_of(store)
            with anyio.fail_after(LONG):
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(wait, 3 * LONG)
                    await anyio.wait_all_tasks_blocked()
                    await self._put(store)

    async def test_a_wait_ends_after_its_time(self) -> None:
        """Without items a wait ends after its time; 0 seconds is no wait."""
        async with self.create() as store:
            wait = self._wait_of(store)
            with anyio.fail_after(LONG):
                await wait(0)
                await wait(0.01)

    async def test_a_release_ends_the_wait(self) -> None:
        """A released item wakes a waiting task."""
        async with self.create() as store:
            wait, untyped = self._wait_of(store), self._any(store)
            await self._put(store)
            claims = await untyped.claim(1, 100 * self.tick)
            with anyio.fail_after(LONG):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait, 3 * LONG)
                    await anyio.wait_all_tasks_blocked()
                    await untyped.release(*claims)

    async def test_one_who_waits_can_be_cancelled(self) -> None:
        """A cancelled wait loses nothing: later items can be claimed."""
        async with self.create() as store:
            wait = self._wait_of(store)
            with anyio.move_on_after(0.01) as scope:
                await wait(3 * LONG)
            assert scope.cancelled_caught
            await self._put(store)
            assert len(await self._any(store).claim(9, self.tick)) == 1

    async def test_a_time_to_wait_that_cannot_be_is_an_error(self) -> None:
        """Negative, infinite and NaN seconds are `InvalidOption`."""
        async with self.create() as store:
            wait = self._wait_of(store)
            for seconds in (-1, float("nan"), float("inf")):
                with pytest.raises(InvalidOption):
                    await wait(seconds)

    def _any(self, store: T) -> Any:
        return store

    def _wait_of(self, store: T) -> Any:
        wait = getattr(store, "wait", None)
        if wait is None:
            pytest.skip("it has no method wait")
        return wait

    async def _put(self, store: T) -> None:
        await self._any(store).put(b"1")
