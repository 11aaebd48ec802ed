"""The conformance suite for events page by page, and for waiting for events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.items import Item
from modd.ports.tagged import Tagged
from modd.testing.conformance.base import EventStoreSuite

LONG = 20.0
"""Seconds after which a wait counts as failed."""


class EventPagesSuite(EventStoreSuite):
    """The promises of ``pages``, ``page``, ``last`` and ``wait``. Waiting uses the time of the event loop."""

    async def test_pages_of_a_stream_grow_to_4096_events(self) -> None:
        """The bodies of the stream come in order, each page with the revision of its first event."""
        async with self.create() as store:
            numbers = [b"%d" % number for number in range(1, 6_001)]
            await store.append("b", [b"other"], 0)
            await self.append_many(store, "a", numbers)
            pages = [page async for page in store.pages("a")]
            assert [(revision, len(bodies)) for revision, bodies in pages] == [
                (1, 256),
                (257, 1_024),
                (1_281, 4_096),
                (5_377, 624),
            ]
            assert [body for _, bodies in pages for body in bodies] == numbers
            assert [revision async for revision, _ in store.pages("a", after=5_999)] == [6_000]

    async def test_pages_begin_after_a_revision_and_are_never_empty(self) -> None:
        """An unknown stream, a stream at its end and a stream of whole pages have no empty page."""
        async with self.create() as store:
            await store.append("a", [Item(b"%d" % number, {"type": "a"}) for number in range(256)], 0)
            assert [len(bodies) async for _, bodies in store.pages("a")] == [256]
            assert [page async for page in store.pages("a", after=254)] == [(255, [b"254", b"255"])]
            for stream, after in (("a", 256), ("a", 999), ("b", 0)):
                assert [page async for page in store.pages(stream, after)] == []

    async def test_pages_end_with_a_page_that_is_not_full(self) -> None:
        """Events that are appended before a page is read are in it; after a page that is not full there is none."""
        async with self.create() as store:
            await store.append("a", [b"1"] * 256, 0)
            pages = store.pages("a")
            assert [revision for revision, _ in [await anext(pages)]] == [1]
            await store.append("a", [b"2"], 256)
            assert await anext(pages) == (257, [b"2"])
            await store.append("a", [b"3"], 257)
            assert [page async for page in pages] == []

    async def test_a_page_has_events_of_all_streams(self) -> None:
        """A page has position, body and headers of the first events after a position, up to its limit."""
        async with self.create() as store:
            await store.append("a", [b"1", Item(b"2", {"type": "b", "ü": ""})], 0)
            await store.append("b", [b"3"], 0)
            await store.append("a", [b"4"], 2)
            every = await store.page(0, 100)
            assert await self.numbers(store, [position for position, _, _ in every]) == [1, 2, 3, 4]
            assert [each[1:] for each in every] == [
                (b"1", {}),
                (b"2", {"type": "b", "ü": ""}),
                (b"3", {}),
                (b"4", {}),
            ]
            assert await store.page(every[0][0], 2) == every[1:3]
            assert [await store.page(every[-1][0] + more, 1) for more in (0, 95)] == [[], []]

    async def test_a_page_without_headers_has_bodies_only(self) -> None:
        """Without headers a page has an empty dict for each event, of its own."""
        async with self.create() as store:
            await store.append("a", [Item(b"1", {"type": "a"}), Item(b"2", {"type": "a"})], 0)
            page = await store.page(0, 9, headers=False)
            page[0][2]["type"] = "b"
            assert [each[1:] for each in page] == [(b"1", {"type": "b"}), (b"2", {})]

    async def test_headers_of_a_page_are_copies(self) -> None:
        """A later change of headers that were read does not change the event."""
        async with self.create() as store:
            await store.append("a", [Item(b"", {"a": "1"})], 0)
            for _ in range(2):
                [(_, _, headers)] = await store.page(0, 1)
                assert headers == {"a": "1"}
                headers["a"] = "2"

    async def test_the_last_position_is_that_of_the_last_event(self) -> None:
        """An empty store is at position 0; without gaps it is the number of events, and a conflict uses none up."""
        async with self.create() as store:
            assert await store.last() == 0
            await store.append("a", [b"1", b"2"], 0)
            await store.append("b", [b"3"], 0)
            with pytest.raises(RuntimeError):
                await store.append("b", [b"4"], 0)
            assert await self.numbers(store, [await store.last()]) == [3]

    async def test_a_wait_returns_at_once_if_there_is_an_event(self) -> None:
        """A wait for an event that is there returns, again and again."""
        async with self.create() as store:
            await store.append("a", [b"1", b"2"], 0)
            first = await self.position_of(store, 1)
            with anyio.fail_after(LONG):
                for after in (0, first, first):
                    await store.wait(after, 3 * LONG)

    async def test_an_append_ends_the_waits_for_its_events(self) -> None:
        """An append wakes all tasks that wait for its positions, and so does an append on a condition."""
        async with self.create() as store:
            appends: list[Callable[[], Awaitable[object]]] = [
                partial(store.append, "a", [b"1"], 0),
                partial(store.append_where, "a", [b"2"], Tagged("b"), 0),
            ]
            for append in appends:
                after = await store.last()
                with anyio.fail_after(LONG):
                    async with anyio.create_task_group() as tasks:
                        for _ in range(3):
                            tasks.start_soon(store.wait, after, 3 * LONG)
                        await anyio.wait_all_tasks_blocked()
                        await append()

    async def test_a_wait_ends_after_its_time(self) -> None:
        """Without an event after the position a wait ends after its time; 0 seconds is no wait."""
        async with self.create() as store:
            await store.append("a", [b"1"], 0)
            last = await store.last()
            with anyio.fail_after(LONG):
                await store.wait(last, 0)
                await store.wait(last, 0.01)

    async def test_a_wait_for_an_event_can_be_cancelled(self) -> None:
        """A cancelled wait leaves the store as it was."""
        async with self.create() as store:
            with anyio.move_on_after(0.01) as scope:
                await store.wait(0, 3 * LONG)
            assert scope.cancelled_caught
            await store.append("a", [b"1"], 0)
            with anyio.fail_after(LONG):
                await store.wait(0, 3 * LONG)

    async def test_positions_and_limits_that_cannot_be_are_errors(self) -> None:
        """A position below 0, a limit below 1 and impossible seconds are `InvalidOption`."""
        async with self.create() as store:
            with pytest.raises(InvalidOption):
                [page async for page in store.pages("a", after=-1)]
            for after, limit in ((-1, 1), (0, 0), (0, -1)):
                with pytest.raises(InvalidOption):
                    await store.page(after, limit)
            for after, seconds in ((-1, 1.0), (0, -1.0), (0, float("nan")), (0, float("inf"))):
                with pytest.raises(InvalidOption):
                    await store.wait(after, seconds)
