"""Messages of a subject."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption, NotEntered
from modd.nats import Link, LinkClosed, LinkLost, SlowConsumer
from modd.nats import subscription as limits
from tests.nats.server import NatsServer

pytestmark = pytest.mark.anyio


async def test_wildcards_stand_for_one_part_and_for_all_that_follow(nats_server: NatsServer) -> None:
    async with (
        Link(nats_server.url, name="shop") as link,
        link.subscribe("wild.*") as one,
        link.subscribe("wild.>") as all_of_them,
    ):
        for subject in ("wild.a.b", "wild.a"):
            await link.publish(subject)
        assert (await anext(one)).subject == "wild.a"
        assert [(await anext(all_of_them)).subject for _ in range(2)] == ["wild.a.b", "wild.a"]


async def test_one_of_a_group_gets_each_message(nats_server: NatsServer) -> None:
    counts = [0, 0]
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(Link(nats_server.url, name="shop"))
        members = [await stack.enter_async_context(link.subscribe("grouped", "group")) for _ in counts]
        everything = await stack.enter_async_context(link.subscribe("grouped"))

        async def count(index: int) -> None:
            async for _ in members[index]:
                counts[index] += 1

        tasks = await stack.enter_async_context(anyio.create_task_group())
        for index in range(len(counts)):
            tasks.start_soon(count, index)
        for _ in range(100):
            await link.publish("grouped")
        for _ in range(100):
            await anext(everything)
        await link.flush()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert sum(counts) == 100 and all(counts)


@pytest.mark.parametrize(("limit", "value"), [("MOST_MESSAGES", 10), ("MOST_BYTES", 10 * 1000)])
async def test_a_subscriber_that_is_too_slow_is_told_so_and_gets_no_more(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    # NA-43
    async with Link(nats_server.url, name="shop") as link, link.subscribe("slow.one") as messages:
        for _ in range(10):
            await link.publish("slow.one", bytes(1000))
        assert len((await anext(messages)).body) == 1000
        monkeypatch.setattr(limits, limit, value)
        for _ in range(12):
            await link.publish("slow.one", bytes(900), {"Filling": "f" * 100})
        await link.flush()
        for _ in range(2):
            with pytest.raises(SlowConsumer, match=r"'slow\.one' was ended: 11 messages of 11000 bytes"):
                await anext(messages)
        monkeypatch.undo()
        await link.flush()
        assert not [each for each in listed(nats_server) if each == "slow.one"]
        async with link.subscribe("slow.one") as anew:
            await link.publish("slow.one", b"1")
            assert (await anext(anew)).body == b"1"


def test_a_subscriber_has_room_for_65_536_messages_and_64_mebibytes() -> None:
    # NA-43
    assert (limits.MOST_MESSAGES, limits.MOST_BYTES) == (65_536, 64 * 1024 * 1024)


async def test_a_message_can_be_answered(nats_server: NatsServer) -> None:
    async with (
        Link(nats_server.url, name="shop") as link,
        link.subscribe("sums") as questions,
        anyio.create_task_group() as tasks,
    ):

        async def answer() -> None:
            question = await anext(questions)
            await link.publish(question.reply, question.body * 2, {"Unit": "€"})

        tasks.start_soon(answer)
        reply = await link.request("sums", b"21", {"Unit": "€"})
        assert (reply.body, reply.headers) == (b"2121", {"Unit": "€"})


async def test_tasks_may_share_a_subscription(nats_server: NatsServer) -> None:
    taken: list[bytes] = []
    async with Link(nats_server.url, name="shop") as link, link.subscribe("shared") as messages:

        async def take() -> None:
            taken.append((await anext(messages)).body)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            for number in (b"1", b"2", b"3"):
                await link.publish("shared", number)
    assert sorted(taken) == [b"1", b"2", b"3"]


async def test_many_messages_in_a_row_give_other_tasks_a_turn(nats_server: NatsServer) -> None:
    turns = 0
    async with Link(nats_server.url, name="shop") as link, link.subscribe("many") as messages:

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        for _ in range(640):
            await link.publish("many")
        await link.flush()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            for _ in range(640):
                await anext(messages)
            tasks.cancel_scope.cancel()
    assert turns >= 5


async def test_a_subscription_is_left_once(nats_server: NatsServer) -> None:
    async with Link(nats_server.url, name="shop") as link:
        subscription = link.subscribe("news")
        with pytest.raises(NotEntered):
            await subscription.__aexit__(None, None, None)
        async with subscription:
            pass
        with pytest.raises(NotEntered):
            await subscription.__aexit__(None, None, None)
    with pytest.raises(LinkClosed):
        link.subscribe("news")


def listed(server: NatsServer) -> list[str]:
    """Return the subjects that clients of a server subscribe to."""
    return [each["subject"] for each in server.ask_monitor("/subsz?subs=1&limit=10000")["subscriptions_list"]]


async def test_a_subscription_is_read_while_it_is_open_only(nats_server: NatsServer) -> None:
    # NA-53
    async with Link(nats_server.url, name="shop") as link:
        messages: Any = link.subscribe("test.open")
        with pytest.raises(NotEntered, match=r"^the subscription is not open; open it by `async with`"):
            await anext(messages)
        async with messages:
            await link.publish("test.open", b"1")
            assert (await anext(messages)).body == b"1"
        with pytest.raises(NotEntered):
            await anext(messages)


async def test_a_subscription_has_a_limit_of_its_own(nats_server: NatsServer) -> None:
    # NA-43
    async with Link(nats_server.url, name="shop") as link:
        async with link.subscribe("test.limit", max_messages=2) as messages:
            for _ in range(3):
                await link.publish("test.limit", b"1")
            await link.flush()
            with pytest.raises(SlowConsumer) as slow:
                await anext(messages)
            assert slow.value.messages == 3
        with pytest.raises(InvalidOption):
            link.subscribe("test.limit", max_messages=0)


async def test_a_drained_subscription_ends_after_the_messages_that_have_come(nats_server: NatsServer) -> None:
    # NA-47: no message is lost, and later ones go to the others of its group
    async with (
        Link(nats_server.url, name="test", timeout=30) as link,
        link.subscribe("drained.*", "group") as first,
    ):
        for number in range(100):
            await link.publish("drained.a", str(number).encode())
        await first.drain()
        async with link.subscribe("drained.*", "group") as second:
            await link.publish("drained.a", b"late")
            assert [int(message.body) async for message in first] == [*range(100)]
            assert (await anext(second)).body == b"late"
        await first.drain()
        assert [message async for message in first] == []


async def test_a_loop_that_waits_ends_at_the_drain(nats_server: NatsServer) -> None:
    # NA-47
    found: list[bytes] = []

    async def listen() -> None:
        found.extend([message.body async for message in messages])

    async with (
        Link(nats_server.url, name="test", timeout=30) as link,
        link.subscribe("waiting") as messages,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listen)
        await link.publish("waiting", b"1")
        await messages.drain()
    assert found == [b"1"]


async def test_a_drain_without_a_connection_ends_the_loop_and_tells_it(own_nats_server: NatsServer) -> None:
    # NA-47
    async with Link(own_nats_server.url, name="test", timeout=0.2) as link, link.subscribe("lost") as messages:
        own_nats_server.kill()
        with pytest.raises(LinkLost):
            await messages.drain()
        assert [message async for message in messages] == []
