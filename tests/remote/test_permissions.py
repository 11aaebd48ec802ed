"""The rights of a gateway and of apps, as the account file of the book gives them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import httpx2
import pytest

from modd import Bus
from modd.cqrs import CommandBus, Event
from modd.gateway import EVERYBODY, Gateway, Limits, forward
from modd.nats import Link, NotPermitted
from modd.ports import Feed, StoreError
from modd.remote import Remote
from modd.stores import NatsStore
from tests.nats.permissions import address_of, permissions
from tests.nats.server import NatsServer
from tests.remote.shop import Bill, Billing, GetBill, serving

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with the account file."""
    with NatsServer(tmp_path_factory.mktemp("rights"), permissions()) as server:
        yield server


def link_of(server: NatsServer, user: str) -> Link:
    return Link(address_of(server, user), name=user, timeout=30)


class As:
    """A server for a user of the account file."""

    def __init__(self, server: NatsServer, user: str) -> None:
        self.url = address_of(server, user)


async def listen(link: Link, subject: str) -> None:
    async with link.subscribe(subject) as messages:
        await anext(messages)


REFUSED: list[tuple[str, Callable[[Link], Awaitable[Any]]]] = [
    ("front", lambda link: link.request("modd.orders.r.q.a", b"1")),
    ("front", lambda link: link.request("$JS.API.STREAM.DELETE.MODD_orders")),
    ("front", lambda link: link.request("$JS.API.STREAM.PURGE.MODD_orders")),
    ("front", lambda link: link.request("anything")),
    ("front", lambda link: listen(link, "modd.billing.ask.>")),
    ("front", lambda link: listen(link, "modd.orders.r.>")),
    ("orders", lambda link: link.request("modd.other.r.q.a", b"1")),
    ("orders", lambda link: link.request("$JS.API.STREAM.INFO.MODD_other")),
    ("orders", lambda link: listen(link, "modd.billing.ask.>")),
    ("billing", lambda link: link.request("modd.orders.r.q.a", b"1")),
    ("billing", lambda link: link.request("modd.orders.ask.PlaceOrder")),
    ("billing", lambda link: link.request("$JS.API.INFO")),
]


async def test_each_process_may_do_its_own_work_alone(server: NatsServer) -> None:
    # RE-22
    for user, action in REFUSED:
        async with link_of(server, user) as link:
            with anyio.fail_after(60), pytest.raises(NotPermitted):
                await action(link)


async def test_a_gateway_waits_for_a_store_and_a_feed_that_it_may_not_create(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    # RE-22: listeners are told to come again, and the log names the cure, which is not to give the gateway more rights
    caplog.set_level(logging.INFO, "modd.gateway")
    with NatsServer(tmp_path_factory.mktemp("rights"), permissions()) as server, anyio.fail_after(60):
        async with link_of(server, "orders") as link, link_of(server, "front") as front:
            with pytest.raises(StoreError, match=r"no stream MODD_orders yet.* start a process first"):
                async with NatsStore(front, "orders", durable="unchecked"):
                    pytest.fail("it may not create the store")
            async with (
                NatsStore(link, "orders", durable="unchecked") as store,
                NatsStore(front, "orders", durable="unchecked") as readable,
                anyio.create_task_group() as tasks,
            ):
                gateway = gateway_of(readable.feed("public"))
                tasks.start_soon(gateway.run)
                while not gateway.bound_port:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
                async with http_client(gateway) as client:
                    answer = await client.get("/events", params={"channel": "all"})
                    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
                    assert gateway.problem() == "the feed cannot be followed: StoreError"
                    await store.feed("public").epoch()
                    await gateway.wait_ready()
                    async with client.stream("GET", "/events", params={"channel": "all"}) as stream:
                        assert stream.status_code == 200
                gateway.stop()
    listening, absent, end = [record.getMessage() for record in caplog.records if record.name == "modd.gateway"]
    assert "there is no feed 'public' yet" in absent and "await store.feed('public').epoch()" in absent
    assert "listens" in listening and end == "the feed of the gateway is followed again"


class Placed(Event):
    """An event that everybody hears."""


def gateway_of(feed: Feed) -> Gateway:
    """Return a gateway that has listeners of a feed wait for half a second at most."""
    bus, events = CommandBus({Bill: Billing().bill}), forward(Placed, to=lambda _: "all", allow=EVERYBODY)
    return Gateway(bus, events, feed=feed, listen="127.0.0.1:0", limits=Limits(timeout=0.5))


def http_client(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.bound_port}", timeout=30, trust_env=False)


async def test_a_gateway_reads_feeds_and_asks_contexts_and_writes_nothing(server: NatsServer) -> None:
    # RE-22
    async with (
        link_of(server, "orders") as link,
        NatsStore(link, "orders", durable="unchecked") as store,
        link_of(server, "front") as front,
        NatsStore(front, "orders", durable="unchecked") as gateway,
    ):
        await store.feed("public").put(b"1")
        item = await anext(gateway.feed("public").follow(0))
        assert item.body == b"1" and await gateway.feed("public").epoch() == await store.feed("public").epoch()
        with pytest.raises((NotPermitted, StoreError)):
            await gateway.feed("public").put(b"2")
        with pytest.raises((NotPermitted, StoreError)):
            await gateway.queue("commands").put(b"2")
        async with serving(As(server, "billing"), "billing", Billing().bus()):
            bus = Bus([Remote(front, "billing", [Bill, GetBill], timeout=30)])
            assert await bus.ask(Bill("Ada", 1)) == 1
            shop = Bus([Remote(link, "billing", [Bill, GetBill], timeout=30)])
            assert await shop.ask(GetBill(1)) == ("Ada", 1)
