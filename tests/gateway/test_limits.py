"""Limits: connections, bodies and time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from starlette.requests import HTTPConnection

from modd.cqrs import Actor, CommandBus
from modd.gateway import Gateway, Limits, Refused, forward
from modd.gateway.addresses import ClientAddresses
from modd.gateway.limits import ConnectionCount, read_body
from modd.stores import MemoryFeed
from tests.gateway.shop import ADA, ORDER, OrderPlaced, Shop, client
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


def of_address(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = ("10.0.0.0/8", "::1")) -> str:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    scope: Any = {"type": "http", "headers": headers, "client": peer and (peer, 1)}
    return ClientAddresses(trusted).of(HTTPConnection(scope))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("::1", ("203.0.113.9, 198.51.100.7 , 10.0.0.2",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.7"), "198.51.100.7"),
        ("10.0.0.1", ("198.51.100.7, unknown, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("/run/shop.sock", ("198.51.100.7",), "/run/shop.sock"),
        (None, (), ""),
    ],
)
def test_the_address_is_that_of_the_peer_or_of_the_one_that_a_trusted_proxy_names(
    peer: str | None, forwarded: tuple[str, ...], address: str
) -> None:
    # GW-40
    assert of_address(peer, *forwarded) == address


async def test_over_the_limit_of_connections_of_actors_and_of_addresses() -> None:
    # GW-40
    shop, going, release = Shop(), anyio.Event(), anyio.Event()

    async def wait() -> int:
        going.set()
        await release.wait()
        return 1

    shop.handle = lambda message: wait()
    statuses: dict[str, tuple[int, str | None]] = {}
    limits = {"connections": Limits(connections=1), "actor": Limits(per_actor=1), "address": Limits(per_address=1)}
    for name, limit in limits.items():
        gateway, going, release = shop.gateway(limits=limit), anyio.Event(), anyio.Event()
        async with client(gateway, **ADA) as ada, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda ada=ada: ada.post("/commands/place-order", json=ORDER))  # type: ignore[misc]
            await going.wait()
            assert (gateway.problem() is None) == (name != "connections")
            more = await ada.post("/commands/ping", json={})
            statuses[name] = more.status_code, more.headers["Retry-After"]
            release.set()
        async with client(gateway, **ADA) as ada:
            assert (await ada.post("/commands/ping", json={})).status_code == 200
    assert statuses == {"connections": (503, "5"), "actor": (429, "1"), "address": (429, "1")}


def test_connections_that_have_ended_do_not_count() -> None:
    # GW-40
    count, ada = ConnectionCount(Limits(per_actor=2)), Actor("ada")
    with count.of_address("a"), count.of_actor(ada), count.of_address("b"), count.of_actor(ada), count.of_actor(None):
        assert count.total == 2
        with pytest.raises(Refused, match="one actor"), count.of_actor(ada):
            pass
    assert count.total == 0
    with count.of_actor(ada):
        pass


async def test_a_request_that_takes_too_long_is_cancelled() -> None:
    # GW-41
    shop, cancelled = Shop(), []

    async def wait() -> None:
        try:
            await anyio.sleep(1000)
        finally:
            cancelled.append(True)

    shop.handle = lambda message: wait()
    async with client(shop.gateway(limits=Limits(timeout=30)), **ADA) as ada:
        start = anyio.current_time()
        answered = await ada.post("/commands/place-order", json=ORDER)
    assert (answered.status_code, cancelled) == (504, [True])
    assert anyio.current_time() - start == pytest.approx(30)


async def test_a_who_that_takes_too_long_is_cancelled() -> None:
    # GW-41
    async def slow(request: Any) -> None:
        await anyio.sleep(1000)

    async with client(shop_of(slow)) as anyone:
        assert (await anyone.get("/queries/prices")).status_code == 504


async def test_an_allow_of_a_channel_that_takes_too_long_is_cancelled() -> None:
    # GW-41
    async def slow(actor: Actor, channel: str) -> bool:
        await anyio.sleep(1000)
        return True

    orders = forward(OrderPlaced, to=lambda placed: "orders", allow=slow)
    gateway = Gateway(CommandBus([]), orders, feed=MemoryFeed(), who=lambda request: Actor("ada"))
    async with client(gateway) as anyone:
        assert (await anyone.get("/events?channel=orders")).status_code == 504


def shop_of(who: Any) -> Gateway:
    return Shop().gateway(who=who)


async def chunks(*parts: tuple[float, bytes]) -> AsyncGenerator[bytes, None]:
    for seconds, part in parts:
        await anyio.sleep(seconds)
        yield part


async def test_a_body_that_comes_too_slowly_is_refused() -> None:
    # GW-41
    parts = [(4.9, b"x" * 1024), (1.0, b"x" * 2048), (2.0, b"")]
    assert len(await read_body(chunks(*parts), None, 65_536)) == 3072
    with pytest.raises(Refused) as refused:
        await read_body(chunks((4.9, b"x" * 1024), (1.2, b"x")), None, 65_536)
    assert refused.value.status == 408
    with pytest.raises(Refused) as refused:
        await read_body(chunks((1000, b"")), None, 65_536)
    assert refused.value.status == 408
    assert anyio.current_time() < 500


async def test_a_body_over_the_limit_is_refused_as_soon_as_that_is_known() -> None:
    # GW-12 GW-40
    async with client(Shop().gateway(limits=Limits(body=100)), **ADA, **{"Content-Type": "application/json"}) as ada:
        assert (await ada.post("/commands/ping", content=b"{}" + b" " * 98)).status_code == 200
        assert (await ada.post("/commands/ping", content=b"{}" + b" " * 99)).status_code == 413
    with pytest.raises(Refused) as refused:
        await read_body(chunks((0, b"x" * 101), (1000, b"")), None, 100)
    assert refused.value.status == 413
    unread = chunks((1000, b""))
    with pytest.raises(Refused) as refused:
        await read_body(unread, "9" * 5000, 100)
    assert refused.value.status == 413
    await unread.aclose()


async def test_a_client_that_goes_away_with_half_a_body_sends_no_command() -> None:
    # GW-41
    shop, sent = Shop(), []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer ada:customer"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/commands/place-order", "headers": headers, "query_string": b""}
    await shop.gateway().asgi(scope, receive, send)
    assert sent[0]["status"] == 400
    assert not shop.envelopes
