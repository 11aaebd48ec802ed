"""Closed links: calls under way are finished for a second, and no thread and no task is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread
import pytest

from modd.concurrency.loops import loop_name
from modd.nats import Link, LinkClosed, LinkLost, connection
from tests.nats.server import NatsServer, paused

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

LONG = 1000.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that tests pause and kill; each leaves it running."""
    with NatsServer(tmp_path_factory.mktemp("closing"), jetstream=False) as server:
        yield server


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of the time for what is under way."""
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT", connection.CLOSE_TIMEOUT / 10)


def workers() -> set[Any]:
    """Return the threads and, on asyncio, the tasks that run."""
    threads = {each for each in threading.enumerate() if each.name.startswith("modd")}
    return threads | (asyncio.all_tasks() if loop_name() == "asyncio" else set())


def is_open(link: Link) -> bool:
    return link.status != "closed"


async def none_left_but(before: set[Any]) -> None:
    """Return when no other thread and task is left: one that was cancelled while it connects takes some rounds."""
    with anyio.fail_after(30):
        while workers() != before:
            await anyio.lowlevel.checkpoint()


async def test_no_thread_and_no_task_is_left(server: NatsServer) -> None:
    # NA-17
    before = workers()
    async with Link(server.url.replace("127.0.0.1", "localhost"), name="shop") as link:
        async with link.subscribe("news"):
            await link.publish("news")
            await link.flush()
        assert workers() > before
    await none_left_but(before)


async def test_a_call_under_way_is_finished(server: NatsServer) -> None:
    # NA-17
    async with Link(server.url, name="other") as other, other.subscribe("slow") as requests:
        answers: list[bytes] = []
        closing, link = anyio.Event(), Link(server.url, name="shop", timeout=LONG)

        async def hold() -> None:
            async with link:
                await closing.wait()

        async def ask() -> None:
            answers.append((await link.request("slow")).body)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold)
            while not is_open(link):
                await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ask)
            request = await anext(requests)
            closing.set()
            while is_open(link):
                await anyio.lowlevel.checkpoint()
            with pytest.raises(LinkClosed):
                await link.flush()
            await other.publish(request.reply, b"answer")
        assert answers == [b"answer"]


async def test_what_was_published_before_the_end_arrives(server: NatsServer) -> None:
    # NA-17
    async with Link(server.url, name="other") as other, other.subscribe("news") as messages:
        async with Link(server.url, name="shop") as link:
            for number in range(500):
                await link.publish("news", b"%d" % number)
        assert [int((await anext(messages)).body) for _ in range(500)] == [*range(500)]


def test_calls_under_way_have_a_second() -> None:
    # NA-17
    assert connection.CLOSE_TIMEOUT == 1.0


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("state", ["paused", "killed"])
async def test_a_server_that_is_gone_does_not_hold_the_end_up(server: NatsServer, state: str) -> None:
    # NA-17
    before, errors, begun = workers(), [], 0.0

    async def ask(link: Link) -> None:
        try:
            await link.request("slow")
        except (LinkLost, LinkClosed) as error:
            errors.append(type(error))

    async with anyio.create_task_group() as tasks:
        async with Link(server.url, name="shop", timeout=LONG) as link, link.subscribe("slow") as requests:
            tasks.start_soon(ask, link)
            await anext(requests)
            server.pause() if state == "paused" else await anyio.to_thread.run_sync(server.kill)
            if state == "killed":
                while link.status == "connected":
                    await anyio.lowlevel.checkpoint()
            tasks.start_soon(ask, link)
            await anyio.wait_all_tasks_blocked()
            begun = monotonic()
        assert monotonic() - begun < 30  # and not the thousand that the calls have
    server.go_on() if state == "paused" else await anyio.to_thread.run_sync(server.start)
    assert errors == ([LinkLost] * 2 if state == "paused" else [LinkLost, LinkClosed])
    await none_left_but(before)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_while_it_closes_a_link_closes_it(server: NatsServer) -> None:
    # NA-17
    before = workers()
    link, closing = Link(server.url, name="shop"), asyncio.Event()

    async def hold() -> None:
        async with link:
            server.pause()
            closing.set()
        await anyio.sleep_forever()

    task = asyncio.create_task(hold())
    await closing.wait()
    while is_open(link):
        await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.go_on()
    await none_left_but(before)


async def test_a_block_that_is_cancelled_closes_the_link(server: NatsServer) -> None:
    # NA-17
    before = workers()
    link = Link(server.url, name="shop")
    with anyio.CancelScope() as scope:
        async with link:
            scope.cancel()
            await link.request("slow")
    assert scope.cancelled_caught and link.status == "closed"
    await none_left_but(before)


async def test_an_error_of_the_block_and_of_the_opening_comes_as_it_is(server: NatsServer) -> None:
    # NA-19
    error = ValueError("of the block")
    with pytest.raises(ValueError, match="of the block") as raised:
        async with Link(server.url, name="shop"):
            raise error
    assert raised.value is error
    with pytest.raises(LinkLost):
        async with Link("nats://127.0.0.1:1", name="shop"):
            pass


async def test_messages_of_a_closed_link_end_with_an_error(server: NatsServer) -> None:
    link = Link(server.url, name="shop")
    async with link:
        messages = link.subscribe("news")
        subscription = await messages.__aenter__()
    with pytest.raises(LinkClosed):
        await anext(subscription)
    await messages.__aexit__(None, None, None)


async def test_a_link_can_be_opened_again(server: NatsServer) -> None:
    link = Link(server.url, name="shop")
    for _ in range(2):
        async with link:
            await link.flush()


async def test_a_pause_of_the_server_is_no_end(server: NatsServer) -> None:
    async with Link(server.url, name="shop", timeout=LONG) as link, anyio.create_task_group() as tasks:
        with paused(server):
            tasks.start_soon(partial(link.flush, LONG))
            await anyio.wait_all_tasks_blocked()
        await link.flush()


async def test_data_that_was_not_sent_when_the_server_died_leaves_no_task(server: NatsServer) -> None:
    # NA-17
    before = workers()

    async def publish_much() -> None:
        with suppress(LinkClosed):
            while True:
                await link.publish("much", bytes(500_000))

    async with (
        anyio.create_task_group() as tasks,
        Link(server.url, name="shop", timeout=LONG) as link,
        link.subscribe("news"),
    ):
        server.pause()
        tasks.start_soon(publish_much)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(server.kill)
        while link.status == "connected":
            await anyio.lowlevel.checkpoint()
    await anyio.to_thread.run_sync(server.start)
    await none_left_but(before)
