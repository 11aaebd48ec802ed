"""What every event store must do about snapshots."""

from __future__ import annotations

import pytest

from modd.errors import InvalidOption
from modd.ports.events import EventStore, Snapshot
from modd.ports.items import Item
from modd.testing.conformance.base import EventStoreSuite


class SnapshotSuite(EventStoreSuite):
    """The promises about snapshots."""

    async def test_a_stream_without_a_snapshot_has_none(self) -> None:
        """Whether it has events or not."""
        async with self.create() as store:
            await store.append("a", [b"1"], 0)
            assert [await store.snapshot("a"), await store.snapshot("b")] == [None, None]

    async def test_a_snapshot_comes_back_as_it_was_saved(self) -> None:
        """Of its stream and no other; it changes no event."""
        async with self.create() as store:
            body, headers = bytes(range(256)), {"type": "a", "ü": ""}
            for stream in "ab":
                await store.append(stream, [b"1", b"2"], 0)
            await store.save_snapshot("a", 2, Item(body, headers=headers))
            await store.save_snapshot("b", 1, b"")
            kept = await self.kept(store, "a")
            assert kept == Snapshot("a", 2, body, headers, kept.at)
            kept = await self.kept(store, "b")
            assert kept == Snapshot("b", 1, b"", {}, kept.at)
            assert [event.body async for event in store.read("a")] == [b"1", b"2"]

    async def test_headers_of_snapshots_are_copies(self) -> None:
        """What is done to headers that were saved or given does not change those of the snapshot."""
        async with self.create() as store:
            headers = {"a": "1"}
            await store.append("a", [b"1"], 0)
            await store.save_snapshot("a", 1, Item(b"", headers=headers))
            headers["a"] = "2"
            for _ in range(2):
                kept = await self.kept(store, "a")
                assert kept.headers == {"a": "1"}
                kept.headers["a"] = "3"

    async def test_the_snapshot_of_the_latest_revision_is_kept(self) -> None:
        """A later one takes its place, one of the same revision too; an earlier one changes nothing."""
        async with self.create() as store:
            await store.append("a", [b"1", b"2", b"3"], 0)
            found = []
            for revision, body in ((2, b"2"), (1, b"1"), (2, b"2 again"), (3, b"3"), (0, b"0")):
                await store.save_snapshot("a", revision, body)
                kept = await self.kept(store, "a")
                found.append((kept.revision, kept.body))
            assert found == [(2, b"2"), (2, b"2"), (2, b"2 again"), (3, b"3"), (3, b"3")]

    async def test_a_snapshot_has_a_body_and_headers_and_nothing_else(self) -> None:
        """A key, a delay or an id is `InvalidOption`, and nothing is saved."""
        async with self.create() as store:
            await store.append("a", [b"1"], 0)
            for item in (Item(b"", key=""), Item(b"", delay=1), Item(b"", id="")):
                with pytest.raises(InvalidOption):
                    await store.save_snapshot("a", 1, item)
            assert await store.snapshot("a") is None

    async def kept(self, store: EventStore, stream: str) -> Snapshot:
        """The snapshot; there must be one."""
        snapshot = await store.snapshot(stream)
        assert snapshot is not None
        return snapshot
