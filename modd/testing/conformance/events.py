"""The conformance suite for event stores."""

from __future__ import annotations

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.errors import RevisionConflict
from modd.ports.items import Item
from modd.testing.conformance.base import bodies
from modd.testing.conformance.events_pages import EventPagesSuite
from modd.testing.conformance.events_read import EventReadingSuite
from modd.testing.conformance.events_snapshots import SnapshotSuite
from modd.testing.conformance.events_tagged import TaggedEventsSuite


class EventStoreConformance(EventReadingSuite, EventPagesSuite, TaggedEventsSuite, SnapshotSuite):
    """The promises of `modd.ports.EventStore`; those about reading, tags and snapshots are in the base classes."""

    async def test_a_stream_that_is_unknown_is_empty_and_at_revision_0(self) -> None:
        """An unknown stream has no events, and its first append expects revision 0."""
        async with self.create() as store:
            assert await bodies(store.read("a")) == await bodies(store.read_all()) == []
            with pytest.raises(RevisionConflict) as conflict:
                await store.append("a", [b"1"], 1)
            assert (conflict.value.expected, conflict.value.actual) == (1, 0)
            assert await store.append("a", [b"1"], 0) == 1

    async def test_each_stream_has_revisions_of_its_own(self) -> None:
        """An append returns the revision of the last event in its stream."""
        async with self.create() as store:
            assert await store.append("a", [b"1", b"2"], 0) == 2
            assert await store.append("b", [b"3"], 0) == 1
            assert await store.append("a", [b"4", b"5", b"6"], 2) == 5
            assert await bodies(store.read("a")) == [b"1", b"2", b"4", b"5", b"6"]
            assert await bodies(store.read("b")) == [b"3"]

    async def test_names_of_streams_are_any_text(self) -> None:
        """Similar names are different streams."""
        async with self.create() as store:
            names = ["a", "A", "a ", "", "a:b", "a%", "ä", "a\N{COMBINING DIAERESIS}", "'; --"]
            for number, name in enumerate(names):
                await store.append(name, [b"%d" % number], 0)
            assert [await bodies(store.read(name)) for name in names] == [[b"%d" % n] for n in range(len(names))]

    async def test_an_append_to_another_revision_is_a_conflict(self) -> None:
        """Behind or ahead of the stream: the error has the stream and both revisions, and nothing is appended."""
        async with self.create() as store:
            await store.append("a", [b"1", b"2"], 0)
            for expected in (0, 1, 3):
                with pytest.raises(RevisionConflict) as conflict:
                    await store.append("a", [b"3"], expected)
                error = conflict.value
                assert (error.stream, error.expected, error.actual) == ("a", expected, 2)
            assert await bodies(store.read("a")) == await bodies(store.read_all()) == [b"1", b"2"]

    async def test_to_append_nothing_checks_the_revision(self) -> None:
        """An append without events raises `RevisionConflict` like any other, or leaves the stream at its revision."""
        async with self.create() as store:
            assert await store.append("a", [], 0) == 0
            await store.append("a", [b"1"], 0)
            assert await store.append("a", [], 1) == 1
            with pytest.raises(RevisionConflict) as conflict:
                await store.append("a", [], 0)
            assert (conflict.value.expected, conflict.value.actual) == (0, 1)

    async def test_of_several_that_append_at_once_one_wins(self) -> None:
        """Of several concurrent appends one succeeds; the rest raise with the actual revision."""
        won: list[bytes] = []
        actual: list[int] = []

        async def append(body: bytes) -> None:
            try:
                assert await store.append("a", [body, body], 0) == 2
                won.append(body)
            except RevisionConflict as conflict:
                actual.append(conflict.actual)

        async with self.create() as store:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(append, b"%d" % number)
            assert len(won) == 1
            assert actual == [2] * 9
            assert await bodies(store.read_all()) == won * 2

    async def test_events_are_appended_all_or_none(self) -> None:
        """With an invalid event no event is appended, and no revision is used up."""
        async with self.create() as store:
            with pytest.raises(InvalidOption):
                await store.append("a", [b"1", Item(b"2", key="k"), b"3"], 0)
            await store.append("a", [b"4", b"5"], 0)
            events = [event async for event in store.read_all()]
            assert [(event.body, event.revision) for event in events] == [(b"4", 1), (b"5", 2)]
            assert await self.numbers(store, [event.position for event in events]) == [1, 2]

    async def test_an_event_has_a_body_and_headers_and_nothing_else(self) -> None:
        """A key, a delay or an id is `InvalidOption`; so is a body that is not bytes."""
        async with self.create() as store:
            text: list[bytes] = ["1"]  # type: ignore[list-item]
            for events in ([Item(b"", key="")], [Item(b"", delay=1)], [Item(b"", id="")], text):
                with pytest.raises(InvalidOption):
                    await store.append("a", events, 0)
            assert await bodies(store.read_all()) == []

    async def test_a_revision_below_0_is_an_error(self) -> None:
        """A negative revision is `InvalidOption` in every method, not a conflict."""
        async with self.create() as store:
            with pytest.raises(InvalidOption):
                await store.append("a", [b"1"], -1)
            with pytest.raises(InvalidOption):
                await bodies(store.read("a", after=-1))
            with pytest.raises(InvalidOption):
                await bodies(store.read_all(after=-1))
            with pytest.raises(InvalidOption):
                await store.save_snapshot("a", -1, b"1")
