"""Many queues in one store: what one of them costs does not grow with their number."""

from __future__ import annotations

from pathlib import Path

import pytest

from modd.stores.sqlite.store import SqliteStore
from tests.steps import calls_of
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio

MANY = 1_000


def names(store: SqliteStore, first: int, last: int) -> None:
    """Make queues of so many names."""
    for number in range(first, last):
        store.queue(f"queue-{number}")


@pytest.mark.costly
async def test_the_end_of_a_commit_costs_the_same_for_many_queues_as_for_one(path: Path) -> None:
    # DR-54
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")
        alone = calls_of(store._on_commit)
        names(store, 0, MANY)
        assert calls_of(store._on_commit) == alone


@pytest.mark.costly
def test_a_queue_is_made_once(path: Path) -> None:
    # DR-54
    store = SqliteStore(path)
    made = store.queue("a")
    again = calls_of(lambda: store.queue("a"))
    names(store, 0, MANY)
    assert store.queue("a") is made
    assert calls_of(lambda: store.queue("a")) == again


async def test_queues_share_their_statements(path: Path) -> None:
    # DR-54: SQLite keeps a limited number of them prepared
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        for name in ("a", "b"):
            for _ in range(2):
                await store.queue(name).put(b"1", b"2")
        before, commits = set(watch.done), watch.done["COMMIT"]
        for number in range(10):
            await store.queue(f"queue-{number}").put(b"1", b"2")
        assert set(watch.done) == before
        assert watch.done["COMMIT"] == commits + 10


async def test_a_commit_wakes_only_the_queue_that_has_news(path: Path) -> None:
    # DR-54
    async with SqliteStore(path) as store:
        a, b = store.queue("a"), store.queue("b")
        for queue in (a, b):
            await queue.put(b"1")
            await queue.claim(2, 60)
        await a.put(b"2")
        assert (a._is_drained, b._is_drained) == (False, True)
