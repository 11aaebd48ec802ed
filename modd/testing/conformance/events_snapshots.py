"""The conformance suite for snapshots."""

from __future__ import annotations

import pytest

from modd.errors import InvalidOption
from modd.ports.events import EventStore, Snapshot
from modd.ports.items import Item
from modd.testing.conformance.base import EventStoreSuite


class SnapshotSuite(EventStoreSuite):
    """The promises about snapshots."""

    async def test_a_stream_without_a_snapshot_has_none(self) -> None:
        """A stream with events but without a snapshot has none either."""
        async with self.create() as store:
            await store.append("a", [b"1"], 0)
            assert [await store.snapshot("a"), await store.snapshot("b")] == [None, None]

    async def test_a_snapshot_comes_back_as_it_was_saved(self) -> None:
        """A snapshot belongs to its stream only and changes no event."""
        async with self.create() as store:
            body, headers = bytes(range(256)), {"type": "a", "ü": ""}
            for stream in "ab":
                await store.append(stream, [b"1", b"2"], 0)
            await store.save_snapshot("a", 2, Item(body, headers=headers))
            await store.save_snapshot("b", 1, b"")
            saved = await self.load_snapshot(store, "a")
            assert saved == Snapshot("a", 2, body, headers, saved.at)
            saved = await self.load_snapshot(store, "b")
            assert saved == Snapshot("b", 1, b"", {}, saved.at)
            assert [event.body async for event in store.read("a")] == [b"1", b"2"]

    async def test_headers_of_snapshots_are_copies(self) -> None:
        """A later change of saved or read headers does not change the snapshot."""
        async with self.create() as store:
            headers = {"a": "1"}
            await store.append("a", [b"1"], 0)
            await store.save_snapshot("a", 1, Item(b"", headers=headers))
            headers["a"] = "2"
            for _ in range(2):
                saved = await self.load_snapshot(store, "a")
                assert saved.headers == {"a": "1"}
                saved.headers["a"] = "3"

    async def test_the_snapshot_of_the_latest_revision_is_kept(self) -> None:
        """A snapshot of a later or the same revision replaces the saved one; an earlier one changes nothing."""
        async with self.create() as store:
            await store.append("a", [b"1", b"2", b"3"], 0)
            found = []
            for revision, body in ((2, b"2"), (1, b"1"), (2, b"2 again"), (3, b"3"), (0, b"0")):
                await store.save_snapshot("a", revision, body)
                saved = await self.load_snapshot(store, "a")
                found.append((saved.revision, saved.body))
            assert found == [(2, b"2"), (2, b"2"), (2, b"2 again"), (3, b"3"), (3, b"3")]

    async def test_a_snapshot_has_a_body_and_headers_and_nothing_else(self) -> None:
        """A key, a delay or an id is `InvalidOption`, and nothing is saved."""
        async with self.create() as store:
            await store.append("a", [b"1"], 0)
            for item in (Item(b"", key=""), Item(b"", delay=1), Item(b"", id="")):
                with pytest.raises(InvalidOption):
                    await store.save_snapshot("a", 1, item)
            assert await store.snapshot("a") is None

    async def load_snapshot(self, store: EventStore, stream: str) -> Snapshot:
        """Return the snapshot of a stream; there must be one."""
        snapshot = await store.snapshot(stream)
        assert snapshot is not None
        return snapshot
