"""The inbox in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from modd.errors import InvalidOption
from modd.ports import AlreadyHandled, Inbox
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import InboxConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteInbox(InboxConformance):
    """The suite of the port."""

    retention_ticks = 60

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Inbox]:
        async with SqliteStore(self.path, clock=self.clock, retention=60) as store:
            yield store.inbox

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds


async def test_an_id_is_known_for_a_week_in_a_file_too(path: Path, clock: Clock) -> None:
    # ST-9
    async with SqliteStore(path, clock=clock) as store:
        await store.inbox.add("a")
    clock.now += 7 * 86_400 - 1
    async with SqliteStore(path, clock=clock) as store:
        assert await store.inbox.has("a")
        clock.now += 1
        assert not await store.inbox.has("a")
        await store.inbox.add("a")


async def add(store: SqliteStore, *ids: str) -> None:
    async with store.transaction():
        for id in ids:
            await store.inbox.add(id)


async def test_in_a_transaction_what_was_handled_is_told_at_the_commit(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.inbox.add("a")
        with pytest.raises(AlreadyHandled) as handled:
            await add(store, "b", "a")
        assert handled.value.id == "a"
        assert not await store.inbox.has("b")


async def test_in_one_transaction_an_id_is_noted_once(path: Path) -> None:
    async with SqliteStore(path) as store:
        with pytest.raises(AlreadyHandled):
            await add(store, "a", "a")
        assert not await store.inbox.has("a")


@pytest.mark.parametrize("retention", [0, -1, float("nan"), float("inf"), None, "1"])
def test_a_time_to_keep_that_cannot_be_is_an_error(path: Path, retention: Any) -> None:
    with pytest.raises(InvalidOption, match=r"retention=.*: give seconds, more than 0"):
        SqliteStore(path, retention=retention)
