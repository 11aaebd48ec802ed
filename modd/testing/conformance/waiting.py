"""What every queue and every outbox must do that one can wait at; for others these tests are skipped."""

from __future__ import annotations

from typing import Any, TypeVar

import anyio
import pytest

from modd.errors import InvalidOption
from modd.testing.conformance.base import Suite

T = TypeVar("T")


LONG = 20.0
"""Seconds after which a wait that was to end has failed."""


class WaitSuite(Suite[T]):
    """The promises of ``wait``, which a make need not have. Time for those who wait is that of the loop."""

    async def test_nobody_waits_while_there_is_something_to_claim(self) -> None:
        """It returns at once, and again: to wait claims nothing."""
        async with self.create() as place:
            wait = self._wait_of(place)
            await self._put(place)
            with anyio.fail_after(LONG):
                await wait(3 * LONG)
                await wait(3 * LONG)

    async def test_a_put_ends_the_wait(self) -> None:
        """For all who wait."""
        async with self.create() as place:
            wait = self._wait_of(place)
            with anyio.fail_after(LONG):
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(wait, 3 * LONG)
                    await anyio.wait_all_tasks_blocked()
                    await self._put(place)

    async def test_a_wait_ends_after_its_time(self) -> None:
        """With nothing to claim; 0 is no time at all."""
        async with self.create() as place:
            wait = self._wait_of(place)
            with anyio.fail_after(LONG):
                await wait(0)
                await wait(0.01)

    async def test_a_release_ends_the_wait(self) -> None:
        """What somebody else had is there to be claimed."""
        async with self.create() as place:
            wait, store = self._wait_of(place), self._any(place)
            await self._put(place)
            claims = await store.claim(1, 100 * self.tick)
            with anyio.fail_after(LONG):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait, 3 * LONG)
                    await anyio.wait_all_tasks_blocked()
                    await store.release(*claims)

    async def test_one_who_waits_can_be_cancelled(self) -> None:
        """What comes then is there to be claimed."""
        async with self.create() as place:
            wait = self._wait_of(place)
            with anyio.move_on_after(0.01) as scope:
                await wait(3 * LONG)
            assert scope.cancelled_caught
            await self._put(place)
            assert len(await self._any(place).claim(9, self.tick)) == 1

    async def test_a_time_to_wait_that_cannot_be_is_an_error(self) -> None:
        """Less than 0, no number, and without an end are `InvalidOption`."""
        async with self.create() as place:
            wait = self._wait_of(place)
            for seconds in (-1, float("nan"), float("inf")):
                with pytest.raises(InvalidOption):
                    await wait(seconds)

    def _any(self, place: T) -> Any:
        return place

    def _wait_of(self, place: T) -> Any:
        wait = getattr(place, "wait", None)
        if wait is None:
            pytest.skip("one cannot wait at it")
        return wait

    async def _put(self, place: T) -> None:
        await self._any(place).put(b"1")
