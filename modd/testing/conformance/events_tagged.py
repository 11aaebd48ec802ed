"""The conformance suite for events that are found by their tags, and appended on condition that none is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.errors import QueryConflict
from modd.ports.events import EventStore
from modd.ports.items import Item
from modd.ports.tagged import Tagged
from modd.testing.conformance.base import EventStoreSuite, bodies


def tagged(body: bytes, *tags: str, type: str | None = None) -> Item:
    """Return an event with tags and, perhaps, a type."""
    return Item(body, {} if type is None else {"type": type}, tags=tags)


EVENTS = [
    tagged(b"1", "course:1", type="Defined"),
    tagged(b"2", "student:1", type="Registered"),
    tagged(b"3", "course:1", "student:1", type="Subscribed"),
    tagged(b"4", "course:2", "student:1", type="Subscribed"),
    tagged(b"5", "course:1", "student:2"),
    Item(b"6", {"type": "Subscribed"}),
]


class TaggedEventsSuite(EventStoreSuite):
    """The promises of ``read_where`` and ``append_where``."""

    async def found(self, store: EventStore, query: Tagged, after: int = 0) -> list[int]:
        """Return the numbers of the events that match a query, behind the event of a number."""
        reading = store.read_where(query, await self.position_of(store, after))
        return await self.numbers(store, [event.position async for event in reading])

    async def append_where(
        self, store: EventStore, stream: str, items: Sequence[Any], query: Tagged, after: int
    ) -> int:
        """Append events if none behind the event of a number matches; return the number of the last event."""
        position = await store.append_where(stream, items, query, await self.position_of(store, after))
        assert position is not None
        [number] = await self.numbers(store, [position])
        return number

    async def test_a_query_finds_the_events_with_all_of_its_tags(self) -> None:
        """The events come in the order of their positions, as they were appended."""
        async with self.create() as store:
            await store.append("a", EVENTS[:3], 0)
            await store.append("b", EVENTS[3:], 0)
            assert await self.found(store, Tagged("course:1")) == [1, 3, 5]
            assert await self.found(store, Tagged("student:1", "course:1")) == [3]
            assert await self.found(store, Tagged("course:1", "course:2")) == []
            assert await self.found(store, Tagged("course:3")) == []
            found = [event async for event in store.read_where(Tagged("student:1"))]
            everything = [event async for event in store.read_all()]
            assert found == [everything[at] for at in (1, 2, 3)]

    async def test_a_query_with_types_finds_the_events_of_one_of_them(self) -> None:
        """An event without a type has none of the types of a query."""
        async with self.create() as store:
            await store.append("a", EVENTS, 0)
            for types, expected in (
                (["Subscribed"], [3]),
                (["Defined", "Subscribed"], [1, 3]),
                (["subscribed", ""], []),
                ([], [1, 3, 5]),
            ):
                assert await self.found(store, Tagged("course:1", types=types)) == expected
            assert await self.found(store, Tagged("course:1", "student:1", types=["Subscribed"])) == [3]

    async def test_a_query_of_alternatives_finds_an_event_once(self) -> None:
        """An event matches if it matches one of the queries, or several."""
        async with self.create() as store:
            await store.append("a", EVENTS, 0)
            either = Tagged("student:2") | Tagged("student:1", types=["Subscribed", "Registered"])
            assert await self.found(store, either) == [2, 3, 4, 5]
            assert await self.found(store, Tagged("course:1") | Tagged("student:1") | either) == [
                1,
                2,
                3,
                4,
                5,
            ]

    async def test_reading_by_a_query_begins_after_a_position(self) -> None:
        """At the end and beyond there are no events."""
        async with self.create() as store:
            await store.append("a", EVENTS, 0)
            query = Tagged("course:1") | Tagged("student:1")
            for after, expected in ((2, [3, 4, 5]), (3, [4, 5]), (5, []), (99, [])):
                assert await self.found(store, query, after) == expected

    async def test_many_events_are_found_to_the_last_one(self) -> None:
        """Any number of events is found in order, and none twice."""
        async with self.create() as store:
            events = [tagged(b"", "all", "odd" if number % 2 else "even") for number in range(1, 1_501)]
            await self.append_many(store, "a", events, size=3)
            assert await self.found(store, Tagged("all")) == [*range(1, 1_501)]
            assert await self.found(store, Tagged("all", "odd")) == [*range(1, 1_501, 2)]
            assert await self.found(store, Tagged("odd") | Tagged("even"), 700) == [*range(701, 1_501)]

    async def test_tags_are_any_texts(self) -> None:
        """Similar tags are different tags; a tag that an event has twice counts once."""
        async with self.create() as store:
            tags = ["a", "A", "a ", "a:b", "a%", "ä", "a\N{COMBINING DIAERESIS}", "'; --"]
            await store.append("a", [tagged(b"", tag, tag) for tag in tags], 0)
            found = [await self.found(store, Tagged(tag)) for tag in tags]
            assert found == [[position] for position in range(1, len(tags) + 1)]

    async def test_an_append_without_a_match_returns_the_last_position(self) -> None:
        """The stream may be at any revision; its events are found like others, and are in their stream."""
        async with self.create() as store:
            await store.append("a", EVENTS, 0)
            assert await self.append_where(store, "a", [tagged(b"7", "course:3"), b"8"], Tagged("course:3"), 0) == 8
            assert await self.append_where(store, "b", [b"9"], Tagged("course:3"), 7) == 9
            assert await self.append_where(store, "b", [b"10"], Tagged("course:1"), 99) == 10
            assert await bodies(store.read("a", after=6)) == [b"7", b"8"]
            assert await bodies(store.read("b")) == [b"9", b"10"]
            assert await self.found(store, Tagged("course:3")) == [7]
            assert await store.append("b", [b"11"], 2) == 3

    async def test_an_event_behind_the_position_that_matches_is_a_conflict(self) -> None:
        """The error has query, position and the first match; nothing is appended."""
        async with self.create() as store:
            await store.append("a", EVENTS, 0)
            for query, after, position in (
                (Tagged("course:1"), 0, 1),
                (Tagged("course:1"), 3, 5),
                (Tagged("student:1", types=["Subscribed"]), 0, 3),
                (Tagged("course:9") | Tagged("course:1", "student:1"), 2, 3),
            ):
                with pytest.raises(QueryConflict) as conflict:
                    await self.append_where(store, "b", [b"7"], query, after)
                error = conflict.value
                assert error.query == query
                assert await self.numbers(store, [error.after, error.position]) == [after, position]
            assert await self.numbers(store, [await store.last()]) == [6]
            assert await self.append_where(store, "b", [b"7"], Tagged("course:1"), 5) == 7

    async def test_to_append_nothing_on_a_condition_checks_it(self) -> None:
        """An append without events returns the last position, or raises `QueryConflict` like any other."""
        async with self.create() as store:
            assert await self.append_where(store, "a", [], Tagged("course:1"), 0) == 0
            await store.append("a", EVENTS, 0)
            assert await self.append_where(store, "a", [], Tagged("course:1"), 5) == 6
            with pytest.raises(QueryConflict):
                await self.append_where(store, "a", [], Tagged("course:1"), 4)

    async def test_of_several_that_append_on_one_condition_one_wins(self) -> None:
        """The last seat goes once: of several concurrent appends one succeeds, and the others learn of its event."""
        course = Tagged("course:1")
        won: list[bytes] = []
        conflicts: list[int] = []

        async def subscribe(body: bytes) -> None:
            try:
                await self.append_where(store, f"student-{body!r}", [tagged(body, "course:1")], course, 1)
                won.append(body)
            except QueryConflict as conflict:
                conflicts.append(conflict.position)

        async with self.create() as store:
            await store.append("course", EVENTS[:1], 0)
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(subscribe, b"%d" % number)
            assert len(won) == 1
            assert await self.numbers(store, conflicts) == [2] * 9
            assert await bodies(store.read_where(course, await self.position_of(store, 1))) == won

    async def test_conditions_that_do_not_meet_do_not_conflict(self) -> None:
        """Concurrent appends whose queries match none of the others' events all succeed, also to one stream."""
        async with self.create() as store:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    events, query = [tagged(b"%d" % number, f"course:{number}")], Tagged(f"course:{number}", "all")
                    tasks.start_soon(store.append_where, "a", events, query, 0)
            assert sorted(await bodies(store.read("a"))) == [b"%d" % number for number in range(10)]

    async def test_the_last_event_that_was_read_is_a_safe_position(self) -> None:
        """Tasks that read, decide on a number and append it on that condition count without a gap and a repetition."""
        query = Tagged("number")

        async def count_up(store: EventStore) -> None:
            after = number = 0
            async for event in store.read_where(query):
                after, number = event.position, int(event.body)
            await store.append_where("a", [tagged(b"%d" % (number + 1), "number")], query, after)

        async def count_up_until_it_holds() -> None:
            while True:  # ten times at most: in each round one of the others has counted
                try:
                    return await count_up(store)
                except QueryConflict:
                    pass

        async with self.create() as store:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(count_up_until_it_holds)
            assert await bodies(store.read("a")) == [b"%d" % number for number in range(1, 11)]

    async def test_queries_and_events_that_cannot_be_are_errors(self) -> None:
        """A query that is none, a negative position, and an invalid event are `InvalidOption`; nothing is appended."""
        async with self.create() as store:
            wrong: list[Any] = [None, "course:1", ["course:1"], Tagged]
            for query in wrong:
                with pytest.raises(InvalidOption):
                    await bodies(store.read_where(query))
                with pytest.raises(InvalidOption):
                    await store.append_where("a", [b"1"], query, 0)
            with pytest.raises(InvalidOption):
                await bodies(store.read_where(Tagged("a"), -1))
            key: Sequence[Item] = [Item(b"1", key="k")]
            for events, after in (([b"1"], -1), (key, 0)):
                with pytest.raises(InvalidOption):
                    await store.append_where("a", events, Tagged("a"), after)
            with pytest.raises(InvalidOption):
                await store.save_snapshot("a", 0, tagged(b"", "course:1"))
            assert await store.last() == 0
