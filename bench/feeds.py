"""Cases of a feed in a file: puts that are safe on the disk, and items that are followed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cases import Case, expect, times_as_fast
from bench.durable import payload, spread
from modd.stores import SqliteStore

TABLE = "CREATE TABLE feed (position INTEGER PRIMARY KEY, at REAL NOT NULL, payload BLOB NOT NULL)"
INSERT = "INSERT INTO feed (at, payload) VALUES (1.5, ?)"
PAGE = "SELECT position, at, payload FROM feed WHERE position > ? ORDER BY position LIMIT 256"
ITEMS = 10_000
"""Items of the feed that is followed."""


def feed_cases(folder: Path) -> list[Case]:
    """Return every case; its files are made in the folder and removed afterwards."""
    one, many, beside, follow = Files(folder), Files(folder), Files(folder), Files(folder, ITEMS)
    return [
        Case("feed: put, 1 producer", one.put, one.put_raw, times_as_fast, 0.35, 0.5, opening=one.open()),
        Case("feed: put, 100 producers", many.put_many, many.put_raw, times_as_fast, 8, 12, opening=many.open()),
        Case(
            "feed: put, 100 producers, beside a queue",
            beside.put_many,
            beside.put_many_in_queue,
            times_as_fast,
            0.8,
            1.0,
            opening=beside.open(),
        ),
        Case(
            "feed: follow, 10 000 items",
            follow.follow,
            follow.follow_raw,
            times_as_fast,
            0.15,
            0.25,
            opening=follow.open(),
        ),
    ]


class Files:
    """A feed and a queue of modd, and a table of sqlite3, each with a number of items at first."""

    def __init__(self, folder: Path, items: int = 0) -> None:
        self._folder, self._items, self._body = folder, items, payload()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open both files for the block; both are in WAL mode."""
        with TemporaryDirectory(prefix="feeds-", dir=self._folder) as name:
            folder = Path(name)
            with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as self._raw:
                self._raw.execute("PRAGMA journal_mode = WAL")
                self._raw.execute("PRAGMA synchronous = FULL")
                self._raw.execute(TABLE)
                self._raw.execute("BEGIN")
                self._raw.executemany(INSERT, [(self._body,)] * self._items)
                self._raw.execute("COMMIT")
                async with SqliteStore(folder / "modd.db") as store:
                    self._feed, self._queue = store.feed("bench", most=1_000_000), store.queue("bench")
                    await self._feed.put(*[self._body] * self._items)
                    yield

    async def put(self, items: int) -> None:
        """Put one item after another."""
        for _ in range(items):
            await self._feed.put(self._body)

    async def put_many(self, items: int) -> None:
        """Put items with many producers."""
        await spread(items, 100, lambda _: self._feed.put(self._body))

    async def put_many_in_queue(self, items: int) -> None:
        """Put items into the queue with many producers."""
        await spread(items, 100, lambda _: self._queue.put(self._body))

    async def put_raw(self, items: int) -> None:
        """Insert one row after another."""
        for _ in range(items):
            self._raw.execute(INSERT, (self._body,))

    async def follow(self, items: int) -> None:
        """Read so many items, from the first one again and again."""
        for start in range(0, items, self._items):
            follower, last = self._feed.follow(0), 0
            for _ in range(min(self._items, items - start)):
                last = (await anext(follower)).position
            expect(last, min(self._items, items - start))

    async def follow_raw(self, items: int) -> None:
        """Read so many rows in pages, from the first one again and again."""
        for start in range(0, items, self._items):
            last, end = 0, min(self._items, items - start)
            while last < end:
                for position, _, _ in self._raw.execute(PAGE, (last,)).fetchall():
                    last = position
