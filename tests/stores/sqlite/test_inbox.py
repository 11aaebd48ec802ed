"""The inbox in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modd.ports import Inbox
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import InboxConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteInbox(InboxConformance):
    """The suite of the port."""

    kept = 60

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Inbox]:
        async with SqliteStore(self.path, clock=self.clock, keep=60) as store:
            yield store.inbox

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds
