"""The conformance suite for topics over a store that has all ports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.errors import LeaseLost
from modd.ports.items import Item
from modd.ports.queue import Queue
from modd.ports.storage import Storage
from modd.remote import GroupNotEmpty, Topic
from modd.testing.conformance.base import Suite


class TopicConformance(Suite[Storage]):
    """The promises of `modd.remote.Topic` over a store."""

    async def test_an_item_goes_to_every_group_that_has_subscribed(self) -> None:
        """Each has its own copy, with a key and headers as they were, and the name of the group in its id."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            billing, mails = await topic.subscribe("billing"), await topic.subscribe("mails")
            assert await topic.groups() == ["billing", "mails"]
            assert await topic.put(Item(b"1", {"type": "a"}, key="k", id="1")) == ["1"]
            for queue, id in ((billing, "1/billing"), (mails, "1/mails")):
                [claim] = await queue.claim(9, 100 * self.tick)
                assert (claim.id, claim.body, claim.headers, claim.key) == (id, b"1", {"type": "a"}, "k")
                await queue.ack(claim)

    async def test_a_group_begins_with_what_is_put_after_it_has_subscribed(self) -> None:
        """To subscribe again changes nothing, and other topics have groups of their own."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            await topic.put(b"before")
            queue = await topic.subscribe("billing")
            await topic.put(b"1")
            await topic.subscribe("billing")
            await Topic(store, "users").put(b"of another topic")
            assert await self._bodies(queue) == [b"1"]
            assert await Topic(store, "users").groups() == []

    async def test_an_id_is_put_once(self) -> None:
        """So that a relay may try again; items without an id are all put."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            queue = await topic.subscribe("billing")
            for _ in range(2):
                await topic.put(Item(b"1", id="1"), b"2")
            assert sorted(await self._bodies(queue)) == [b"1", b"2", b"2"]

    async def test_items_go_to_all_groups_or_to_none(self) -> None:
        """A put joins the open transaction."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            queues = [await topic.subscribe(group) for group in ("billing", "mails")]
            with suppress(ZeroDivisionError):
                async with store.transaction():
                    await topic.put(b"1")
                    raise ZeroDivisionError
            async with store.transaction():
                await topic.put(b"2")
            assert [await self._bodies(queue) for queue in queues] == [[b"2"], [b"2"]]

    async def test_groups_that_come_while_items_are_put_miss_none_of_those_after(self) -> None:
        """Each has all items whose put has begun after its call has returned."""
        found: list[Sequence[bytes]] = []

        async def join(group: str) -> None:
            queue = await topic.subscribe(group)
            last = numbers[-1]
            await put_all.wait()
            found.append([body for body in await self._bodies(queue) if int(body) > last])
            expected.append([b"%d" % number for number in numbers if number > last])

        async def put() -> None:
            for number in range(1, 9):
                numbers.append(number)
                await topic.put(Item(b"%d" % number, key="k"))
            put_all.set()

        async with self.create() as store:
            topic, numbers, put_all, expected = Topic(store, "orders"), [0], anyio.Event(), list[list[bytes]]()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(put)
                for group in "abc":
                    tasks.start_soon(join, group)
            missing = [set(each) - set(have) for each, have in zip(expected, found, strict=True)]
            assert missing == [set(), set(), set()]

    async def test_a_group_that_leaves_with_items_is_refused(self) -> None:
        """The error has their number; with ``discard`` they are removed, and nothing comes any more."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            queue = await topic.subscribe("billing")
            await topic.put(b"1", b"2", b"3")
            [claim] = await queue.claim(1, 100 * self.tick)
            await queue.bury(claim, "broken")
            with pytest.raises(GroupNotEmpty) as refused:
                await topic.unsubscribe("billing")
            assert (refused.value.topic, refused.value.group, refused.value.left) == ("orders", "billing", 3)
            assert await topic.groups() == ["billing"]
            assert await topic.unsubscribe("billing", discard=True) == 3
            await topic.put(b"4")
            assert await topic.groups() == [] and await self._bodies(queue) == []
            assert await topic.unsubscribe("unknown") == 0

    async def test_a_group_that_subscribes_again_has_nothing_from_before(self) -> None:
        """With ``discard`` items are removed that are claimed, or wait for a retry or their delay."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            queue = await topic.subscribe("billing")
            await topic.put(b"claimed", b"retried", b"ready")
            await topic.put(Item(b"delayed", delay=2 * self.tick))
            claimed, retried, _ = await queue.claim(3, 100 * self.tick)
            await queue.retry(retried, 2 * self.tick)
            assert await topic.unsubscribe("billing", discard=True) == 4
            with pytest.raises(LeaseLost):
                await queue.ack(claimed)
            again = await topic.subscribe("billing")
            await self.ticks(4)
            await topic.put(b"1")
            assert await self._bodies(again) == [b"1"]

    async def test_a_group_that_leaves_loses_no_item_that_comes_meanwhile(self) -> None:
        """Without ``discard``: either the group stays for it, or the item is put after the group has left."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            for _ in range(10):
                queue = await topic.subscribe("billing")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._leave_if_empty, topic)
                    tasks.start_soon(topic.put, b"1")
                assert await self._bodies(queue) == ([b"1"] if await topic.groups() else [])

    async def _leave_if_empty(self, topic: Topic) -> None:
        with suppress(GroupNotEmpty):
            await topic.unsubscribe("billing")

    async def test_names_that_cannot_be_are_errors(self) -> None:
        """A name is a text that is not empty and has no slash."""
        async with self.create() as store:
            topic = Topic(store, "orders")
            for name in ("", "a/b"):
                with pytest.raises(InvalidOption):
                    Topic(store, name)
                with pytest.raises(InvalidOption):
                    await topic.subscribe(name)
                with pytest.raises(InvalidOption):
                    await topic.unsubscribe(name)
            wrong: Any = "yes"
            with pytest.raises(InvalidOption, match="discard"):
                await topic.unsubscribe("billing", discard=wrong)

    async def _bodies(self, queue: Queue) -> list[bytes]:
        """Claim and acknowledge all items, and return their bodies."""
        bodies: list[bytes] = []
        while claims := await queue.claim(100, 100 * self.tick):
            bodies += [claim.body for claim in claims]
            await queue.ack(*claims)
        return bodies
