"""Links whose servers are killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from modd.nats import Link, LinkLost, NoAnswer, NobodyThere
from modd.nats.connecting import LONGEST_PAUSE, SHORTEST_PAUSE, Pauses
from tests.nats.server import NatsCluster, NatsServer, paused

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

LONG = 1000.0
"""Seconds that no test takes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server without JetStream that tests kill; each leaves it running."""
    with NatsServer(tmp_path_factory.mktemp("dying"), jetstream=False) as server:
        yield server


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Three servers without JetStream that a test kills."""
    with NatsCluster(tmp_path_factory.mktemp("dying"), jetstream=False) as cluster:
        yield cluster


async def expect(error: type[Exception], action: Any, sent: bool = True) -> None:
    with pytest.raises(error) as raised:
        await action()
    assert getattr(raised.value, "sent", True) is sent


async def kill(server: NatsServer, link: Link) -> None:
    """Kill the server, and return when a link has noticed it."""
    await anyio.to_thread.run_sync(server.kill)
    while link.status == "connected":
        await anyio.lowlevel.checkpoint()


async def test_a_request_in_flight_fails_at_the_disconnect_and_a_later_one_waits(server: NatsServer) -> None:
    # NA-15
    async with Link(server.url, name="shop", timeout=LONG) as link, link.subscribe("slow") as requests:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect, LinkLost, partial(link.request, "slow"))
            await anext(requests)
            await anyio.to_thread.run_sync(server.kill)
        assert link.status == "reconnecting"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.flush)
            tasks.start_soon(link.publish, "slow", b"later")
            await anyio.to_thread.run_sync(server.start)
        assert (await anext(requests)).body == b"later"


async def test_calls_without_a_connection_fail_after_their_timeout_and_are_not_sent_later(server: NatsServer) -> None:
    # NA-15, NA-18
    async with (
        Link(server.url, name="shop", timeout=0.1) as link,
        Link(server.url, name="other", timeout=LONG) as other,
        other.subscribe("slow") as messages,
    ):
        await kill(server, link)
        for call in (partial(link.request, "slow"), partial(link.publish, "slow"), link.flush):
            await expect(LinkLost, call, sent=False)
        await anyio.to_thread.run_sync(server.start)
        await other.flush()
        await link.flush(timeout=LONG)
        await link.publish("slow", b"new")
        assert (await anext(messages)).body == b"new"


async def test_a_request_that_nobody_answers_in_time_tells_so(server: NatsServer) -> None:
    async with Link(server.url, name="shop", timeout=LONG) as link, link.subscribe("slow"):
        with pytest.raises(NoAnswer, match=r"no answer to 'slow' within 0\.05 s; it may have had its effect"):
            await link.request("slow", timeout=0.05)
        with paused(server), pytest.raises(NoAnswer):
            await link.flush(timeout=0.05)


async def test_a_subscription_goes_on_with_the_next_connection_unless_it_is_to_end(server: NatsServer) -> None:
    # NA-15
    async with (
        Link(server.url, name="shop", timeout=LONG) as link,
        link.subscribe("news.*", "group") as lasting,
        link.subscribe("news.>", resume=False) as ending,
    ):
        await anyio.to_thread.run_sync(server.restart)
        with pytest.raises(LinkLost, match="the connection was lost"):
            await anext(ending)
        await link.publish("news.a", b"1")
        assert (await anext(lasting)).body == b"1"
        with pytest.raises(LinkLost):
            await anext(ending)


async def test_a_subscription_that_is_left_is_not_made_again(server: NatsServer) -> None:
    async with Link(server.url, name="shop", timeout=LONG) as link:
        async with link.subscribe("left"):
            await kill(server, link)
        await anyio.to_thread.run_sync(server.start)
        await link.flush()
        routes = server.ask_monitor("/subsz?subs=1")["subscriptions_list"]
        assert not [each for each in routes if each["subject"] == "left"]


async def test_a_link_moves_to_servers_that_it_was_not_told_of(cluster: NatsCluster) -> None:
    # NA-15
    first, *others = cluster.servers
    async with Link(first.url, name="shop", timeout=LONG) as link, link.subscribe("news") as messages:
        for server in (first, others[0]):
            await anyio.to_thread.run_sync(server.kill)
            await link.publish("news", b"1")
            await flush_over_a_new_connection(link)
        assert connected_to(link) == others[1].url
        await anyio.to_thread.run_sync(first.start)
        await anyio.to_thread.run_sync(others[1].kill)
        await flush_over_a_new_connection(link)
        assert connected_to(link) == first.url
    assert messages is not None


async def flush_over_a_new_connection(link: Link) -> None:
    """Flush; again if the old connection had not ended before."""
    try:
        await link.flush()
    except LinkLost:
        await link.flush()


async def test_a_link_leaves_a_server_that_asks_it_to_and_loses_no_call(cluster: NatsCluster) -> None:
    # NA-15
    first = cluster.servers[0]
    async with (
        Link(first.url, name="shop", timeout=LONG) as link,
        Link(cluster.urls[1], name="other", timeout=LONG) as other,
        link.subscribe("news") as messages,
        link.subscribe("news", resume=False) as ending,
        other.subscribe("slow") as requests,
    ):
        answers: list[bytes] = []

        async def ask() -> None:
            while not answers:
                with suppress(NobodyThere):  # until the first server has heard of the subscription at the second one
                    answers.append((await link.request("slow")).body)

        old = link._connection.session
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            request = await anext(requests)
            first.be_lame()
            with pytest.raises(LinkLost):
                await anext(ending)
            while not old.is_silent:
                await link.flush()
            for number in (b"1", b"2"):
                await other.publish("news", number)
            await other.publish(request.reply, b"answer")
        assert answers == [b"answer"]
        assert connected_to(link) in cluster.urls[1:]
        await link.publish("news", b"3")
        assert [(await anext(messages)).body for _ in range(3)] == [b"1", b"2", b"3"]


async def test_a_lame_server_without_others_serves_to_its_end(server: NatsServer) -> None:
    # NA-15
    async with Link(server.url, name="shop", timeout=LONG) as link, link.subscribe("news") as messages:
        server.be_lame()
        while not link._connection.session.is_lame:
            await link.flush()
        await link.publish("news", b"1")
        assert (await anext(messages)).body == b"1"
        await anyio.to_thread.run_sync(server.restart)
        await link.publish("news", b"2")
        assert (await anext(messages)).body == b"2"


async def test_a_link_that_finds_no_server_is_not_opened() -> None:
    link = Link(["nats://127.0.0.1:1", "127.0.0.1:2"], name="shop")
    with pytest.raises(
        LinkLost, match=r"the link 'shop': no server can be reached: .*127\.0\.0\.1:1.*nothing was sent"
    ):
        await link.__aenter__()
    assert link.status == "closed"


def test_the_pauses_between_attempts_are_random_and_within_their_limits() -> None:
    # NA-15
    pauses = [Pauses() for _ in range(20)]
    for _ in range(10):
        seconds = [each.next() for each in pauses]
        assert all(SHORTEST_PAUSE <= each <= LONGEST_PAUSE for each in seconds) and len(set(seconds)) == len(pauses)
    assert (SHORTEST_PAUSE, LONGEST_PAUSE) == (0.05, 2.0)


def connected_to(link: Link) -> str:
    """Return the address of the server that a link is connected to."""
    return str(link._connection.session.server)
