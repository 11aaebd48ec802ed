"""The outbox in a file: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from modd.ports import Claim, Item, LeaseLost, Outbox
from modd.stores.sqlite.outbox import SqliteOutbox
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import OutboxConformance
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio


class TestSqliteOutbox(OutboxConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        async with SqliteStore(self.path, clock=self.clock) as store:
            yield store.outbox

    def transaction(self, outbox: Outbox) -> AbstractAsyncContextManager[object]:
        """One of its store."""
        assert isinstance(outbox, SqliteOutbox)
        return outbox.transaction()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of the store."""
        self.clock.now += seconds


async def test_what_is_put_is_there_when_the_file_is_opened_again(path: Path) -> None:
    async with SqliteStore(path) as store:
        [id] = await store.outbox.put(Item(b"1", {"type": "x"}, "k"))
    async with SqliteStore(path) as store:
        [claim] = await store.outbox.claim(9, 60)
        assert (claim.id, claim.body, claim.headers, claim.key) == (id, b"1", {"type": "x"}, "k")


async def test_attempts_are_counted(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.outbox.put(b"1")
        for attempt in (1, 2, 3):
            [claim] = await store.outbox.claim(9, 60)
            assert claim.attempt == attempt
            await store.outbox.release(claim)


async def test_ids_are_not_used_again_when_the_outbox_was_empty(path: Path) -> None:
    """What is put where they are relayed to would take a second one for the first."""
    ids = set[str]()
    async with SqliteStore(path) as store:
        for _ in range(20):
            ids.update(await store.outbox.put(b"1"))
            await store.outbox.ack(*await store.outbox.claim(9, 60))
    assert len(ids) == 20


async def test_a_new_claim_ends_all_that_were_claimed_before(path: Path, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock) as store:
        await store.outbox.put(Item(b"1", id="a"), Item(b"2", id="b"))
        first = await store.outbox.claim(2, 60)
        clock.now += 60
        [again] = await store.outbox.claim(1, 60)
        with pytest.raises(LeaseLost) as lost:
            await store.outbox.ack(*first)
        assert lost.value.ids == ("a", "b")
        await store.outbox.ack(again)
        assert [claim.id for claim in await store.outbox.claim(2, 60)] == ["b"]


async def test_a_claim_of_another_make_is_lost(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.outbox.put(Item(b"1", id="a"))
        await store.outbox.claim(1, 60)
        with pytest.raises(LeaseLost):
            await store.outbox.ack(Claim("a", b"1", {}, None, 1, "of another make"))
