"""The inbox in memory: the promises of the port, and what it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import AlreadyHandled, Inbox
from modd.stores import MemoryInbox
from modd.testing.conformance import InboxConformance

pytestmark = pytest.mark.anyio


class TestMemoryInbox(InboxConformance):
    """The suite of the port."""

    retention_ticks = 10

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Inbox]:
        yield MemoryInbox(retention=10)


async def test_a_suite_that_knows_no_time_leaves_that_test_out() -> None:
    class TestMine(TestMemoryInbox):
        retention_ticks = None  # type: ignore[assignment]

    with pytest.raises(pytest.skip.Exception, match="the suite does not know when an id is forgotten"):
        await TestMine().test_an_id_is_kept_for_its_time()


async def test_ids_are_kept_for_seven_days_by_default() -> None:
    # ST-9
    inbox = MemoryInbox()
    await inbox.add("a")
    await anyio.sleep(7 * 86_400 - 1)
    assert await inbox.has("a")
    await anyio.sleep(1)
    assert not await inbox.has("a")


async def test_an_id_that_was_handled_says_what_to_do() -> None:
    inbox = MemoryInbox()
    await inbox.add("a")
    with pytest.raises(AlreadyHandled, match=r"^'a' was handled before; acknowledge it"):
        await inbox.add("a")


@pytest.mark.parametrize("retention", [0, -1, float("nan"), float("inf"), True, None, "1"])
def test_a_time_to_keep_that_cannot_be_is_an_error(retention: Any) -> None:
    with pytest.raises(InvalidOption, match=r"retention=.*: give seconds, more than 0"):
        MemoryInbox(retention)


async def test_a_cancelled_add_adds_nothing() -> None:
    inbox = MemoryInbox()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await inbox.add("a")
    assert scope.cancelled_caught
    assert not await inbox.has("a")


async def test_ids_whose_time_is_over_take_no_room() -> None:
    inbox = MemoryInbox(retention=1)
    for number in range(1_000):
        await inbox.add(str(number))
        await anyio.sleep(1)
    assert len(inbox._ends) == 1
