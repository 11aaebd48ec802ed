"""The queue in a file: the promises of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Item, LeaseLost, PutResult, Queue
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import QueueConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteQueue(QueueConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Queue]:
        async with SqliteStore(self.path, clock=self.clock) as store:
            yield store.queue("orders")

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds


async def test_what_is_no_item_is_an_error_and_nothing_is_put(path: Path) -> None:
    text: Any = "secret"
    async with SqliteStore(path) as store:
        with pytest.raises(InvalidOption, match=r"body=<class 'str'>: give bytes"):
            await store.queue("orders").put(b"1", text)
        assert (await store.queue("orders").stats()).ready == 0


def test_a_queue_has_a_text_as_its_name(path: Path) -> None:
    number: Any = 5
    with pytest.raises(InvalidOption, match=r"name=5: give a text"):
        SqliteStore(path).queue(number)


@pytest.mark.parametrize("given", ["", ":memory:"])
def test_a_store_is_a_file(given: str) -> None:
    with pytest.raises(InvalidOption, match="give the path of a file; in memory there are MemoryQueue and others"):
        SqliteStore(given)


async def test_of_two_who_ack_one_claim_in_the_same_commit_the_second_is_told(path: Path) -> None:
    lost: list[str] = []

    async def ack(name: str) -> None:
        try:
            await queue.ack(claim)
        except LeaseLost:
            lost.append(name)

    async with SqliteStore(path) as store:
        queue = store.queue("orders")
        await queue.put(b"1")
        [claim] = await queue.claim(1, 10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ack, "a")
            tasks.start_soon(ack, "b")
        assert len(lost) == 1


async def test_of_many_that_are_acked_those_that_are_lost_are_named(path: Path) -> None:
    async with SqliteStore(path) as store:
        queue = store.queue("orders")
        await queue.put(*[b""] * 20)
        claims = await queue.claim(20, 10)
        await queue.ack(claims[3], claims[7])
        with pytest.raises(LeaseLost) as lost:
            await queue.ack(*claims)
        assert lost.value.ids == (claims[3].id, claims[7].id)
        assert (await queue.stats()).leased == 18


async def test_ids_that_look_like_those_of_the_queue_are_ids_like_others(path: Path) -> None:
    async with SqliteStore(path) as store:
        queue = store.queue("orders")
        [result] = await queue.put(b"1")
        made = result.id
        await queue.ack(*await queue.claim(1, 10))
        odd = [f"{made[:12]}xyz", made]
        assert await queue.put(*[Item(b"", id=each) for each in odd]) == [PutResult(each, False) for each in odd]
        assert await queue.cancel(*odd, f"{made[:12]}f") == odd


def test_stores_and_queues_are_shown_by_their_names(path: Path) -> None:
    store = SqliteStore(path)
    assert repr(store) == f"<SqliteStore {path}>"
    assert repr(store.queue("orders")) == f"<SqliteQueue orders in {path}>"
