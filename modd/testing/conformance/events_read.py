"""The conformance suite for reading events."""

from __future__ import annotations

from itertools import pairwise
from time import time

import anyio
from anyio.lowlevel import checkpoint

from modd.ports.events import EventStore, RecordedEvent
from modd.ports.items import Item
from modd.testing.conformance.base import EventStoreSuite, bodies


class EventReadingSuite(EventStoreSuite):
    """The promises about reading: complete, unchanged, in order."""

    async def test_what_is_read_is_what_was_appended(self) -> None:
        """A read event has its bytes, headers, stream, revision and position."""
        async with self.create() as store:
            body, headers = bytes(range(256)), {"type": "a", "ü": ""}
            await store.append("a", [b"", Item(body, headers=headers)], 0)
            await store.append("b", [b"x" * 100_000], 0)
            first, second, third = [event async for event in store.read_all()]
            assert first == RecordedEvent("a", 1, first.position, b"", {}, first.at)
            assert second == RecordedEvent("a", 2, second.position, body, headers, second.at)
            assert third == RecordedEvent("b", 1, third.position, b"x" * 100_000, {}, third.at)
            assert await self.numbers(store, [first.position, second.position, third.position]) == [1, 2, 3]
            assert [event async for event in store.read("a")] == [first, second]

    async def test_an_event_says_when_it_was_recorded(self) -> None:
        """The time is in seconds since 1970; clocks may differ a little."""
        async with self.create() as store:
            await store.append("a", [b"1"], 0)
            [event] = [event async for event in store.read("a")]
            assert abs(event.at - time()) < 3600

    async def test_headers_of_events_are_copies(self) -> None:
        """A later change of appended or read headers does not change the event."""
        async with self.create() as store:
            headers = {"a": "1"}
            await store.append("a", [Item(b"", headers=headers)], 0)
            headers["a"] = "2"
            for _ in range(2):
                [event] = [event async for event in store.read("a")]
                assert event.headers == {"a": "1"}
                event.headers["a"] = "3"

    async def test_reading_begins_after_a_revision_or_a_position(self) -> None:
        """At the end and beyond there are no events."""
        async with self.create() as store:
            await store.append("a", [b"1", b"2"], 0)
            await store.append("b", [b"3"], 0)
            await store.append("a", [b"4"], 2)
            assert [await bodies(store.read("a", after)) for after in (0, 1, 3, 9)] == [
                [b"1", b"2", b"4"],
                [b"2", b"4"],
                [],
                [],
            ]
            places = [await self.position_of(store, number) for number in (0, 2, 4, 9)]
            assert [await bodies(store.read_all(after)) for after in places] == [
                [b"1", b"2", b"3", b"4"],
                [b"3", b"4"],
                [],
                [],
            ]

    async def test_a_long_stream_is_read_to_its_end(self) -> None:
        """Any number of events is read in order, and none twice."""
        async with self.create() as store:
            numbers = [b"%d" % number for number in range(3_000)]
            await self.append_many(store, "a", numbers)
            assert await bodies(store.read("a")) == await bodies(store.read_all()) == numbers
            assert await bodies(store.read("a", after=2_990)) == numbers[2_990:]

    async def test_what_is_appended_while_it_is_read_is_read_too(self) -> None:
        """An iteration includes events that are appended while it runs."""
        async with self.create() as store:
            await store.append("a", [b"0"], 0)
            of_stream, of_all = store.read("a"), store.read_all()
            for number in range(1, 5):
                assert (await anext(of_stream)).revision == (await anext(of_all)).revision == number
                await store.append("a", [b"%d" % number], number)
            assert await bodies(of_stream) == await bodies(of_all) == [b"4"]

    async def test_a_reading_that_is_given_up_holds_nobody_up(self) -> None:
        """An unfinished iteration can be dropped without closing it."""
        async with self.create() as store:
            await store.append("a", [b"1", b"2"], 0)
            for reading in (store.read("a"), store.read_all()):
                assert (await anext(reading)).body == b"1"
            del reading
            await store.append("a", [b"3"], 2)
            assert await bodies(store.read_all()) == [b"1", b"2", b"3"]

    async def test_positions_rise_in_the_order_of_the_appends(self) -> None:
        """Concurrent appends and conflicts change nothing in that; unless the store has gaps, they start at 1."""
        async with self.create() as store:
            await self.append_concurrently(store)
            events = [event async for event in store.read_all()]
            positions = [event.position for event in events]
            assert len(positions) == 100 and all(a < b for a, b in pairwise([0, *positions]))
            assert self.has_gaps or positions == [*range(1, 101)]
            for stream in "abcde":
                assert [event async for event in store.read(stream)] == [e for e in events if e.stream == stream]
                assert [event.revision for event in events if event.stream == stream] == list(range(1, 21))

    async def test_one_who_reads_on_from_the_last_position_misses_nothing(self) -> None:
        """A follower misses no event during concurrent appends: an event is visible only with all events before it."""
        seen: list[RecordedEvent] = []
        ended = False

        async def follow() -> None:
            while not ended:
                await read_on()
                await checkpoint()

        async def read_on() -> None:
            async for event in store.read_all(after=seen[-1].position if seen else 0):
                seen.append(event)

        async with self.create() as store:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                await self.append_concurrently(store)
                ended = True
            await read_on()
            assert seen == [event async for event in store.read_all()]

    async def append_concurrently(self, store: EventStore) -> None:
        """Append twenty events to each of five streams, two at a time, in concurrent tasks."""

        async def append(stream: str) -> None:
            for revision in range(0, 20, 2):
                await store.append(stream, [b"%d" % revision, b"%d" % (revision + 1)], revision)

        async with anyio.create_task_group() as tasks:
            for stream in "abcde":
                tasks.start_soon(append, stream)
