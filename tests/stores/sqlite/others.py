"""Those that use a file beside a store, with an SQLite of which the WAL is for one alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from modd.stores.sqlite.file_lock import Presence
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import of_version

affected = partial(SqliteStore, connect=of_version("3.40.1"), timeout=60)
"""Opens a store that waits for others as long as a loaded machine may take."""


class Other:
    """A store that another task opens, and closes when the block of `tasks` ends."""

    def __init__(self, path: Path) -> None:
        self.store, self.opened = affected(path), False
        self._over = anyio.Event()

    @asynccontextmanager
    async def tasks(self) -> AsyncIterator[TaskGroup]:
        async with anyio.create_task_group() as tasks:
            yield tasks
            self._over.set()

    async def run(self) -> None:
        async with self.store:
            self.opened = True
            await self._over.wait()


def create_presence(path: Path) -> Presence:
    """What a process holds that uses the file."""
    path.touch()
    return Presence(str(path))
