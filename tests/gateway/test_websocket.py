"""WebSockets: who a client is, its frames and their answers, and the end of the connection."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

import anyio
import pytest

from modd.cqrs import Actor
from tests.gateway.events_shop import (
    TOKENS,
    CountOrders,
    PlaceOrder,
    PriceChanged,
    Shop,
    WsClient,
    connected,
    item_of,
    ws_scope,
)
from tests.virtual import anyio_backend

__all__ = ["anyio_backend"]

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


class Counter:
    """Handlers of a command and a query; they may wait."""

    def __init__(self) -> None:
        self.placed: list[int] = []
        self.begun, self.ended = 0, 0
        self.go = anyio.Event()
        self.go.set()

    async def place(self, command: PlaceOrder) -> int:
        await self._work()
        self.placed.append(command.number)
        return len(self.placed)

    async def count(self, query: CountOrders) -> int:
        await self._work()
        return len(self.placed)

    async def _work(self) -> None:
        self.begun += 1
        await self.go.wait()
        self.ended += 1


def counting(**options: Any) -> tuple[Counter, Shop]:
    counter = Counter()
    return counter, Shop(handlers=[counter.place, counter.count], **options)


def command(ref: str, number: int = 1) -> dict[str, Any]:
    return {"command": "place-order", "ref": ref, "data": {"number": number}}


def query(ref: str) -> dict[str, Any]:
    return {"query": "count-orders", "ref": ref}


async def denied(shop: Shop, **options: Any) -> int:
    """Return the status with which an upgrade is refused."""
    client = WsClient()
    client.say({"type": "websocket.connect"})
    with anyio.fail_after(300):
        await client.run(shop.app, ws_scope(**options))
    [start, *_] = client.incoming
    assert start["type"] in ("websocket.http.response.start", "websocket.close")
    return int(start.get("status", 403))


async def end_of(client: WsClient) -> int | None:
    """Return the code with which the gateway ends the connection."""
    with anyio.fail_after(10_000):
        await client.ended.wait()
    return client.code


async def test_commands_and_queries_are_answered_with_their_refs() -> None:
    # GW-30
    _, unready = counting()
    async with unready.running() as shop, connected(shop) as client:
        assert client.incoming[0]["subprotocol"] == "modd.v1"
        client.send(command("1"))
        [answer] = await client.got(1)
        assert (answer["ref"], answer["result"]) == ("1", 1)
        assert answer["id"]
        client.send(query("2"), {"ping": 5})
        frames = (await client.got(3))[1:]
        assert {"pong": 5} in frames
        assert any(frame.get("ref") == "2" and frame["result"] == 1 for frame in frames)


async def test_a_command_has_an_idempotency_key_as_over_http() -> None:
    # GW-64
    counter, unready = counting()
    async with unready.running() as shop, connected(shop) as client:
        client.send(command("1") | {"key": "k"}, command("2"), command("3") | {"key": "caf\u00e9"})
        client.send(command("4") | {"key": ""}, command("5") | {"key": "x" * 129})
        answers = {each["ref"]: each for each in await client.got(5)}
        assert answers["1"]["id"] == "ada:k" != answers["2"]["id"]
        assert [answers[ref]["problem"]["status"] for ref in ("3", "4", "5")] == [400, 400, 400]
        assert len(counter.placed) == 2


async def test_problems_are_those_of_http_with_the_ref() -> None:
    # GW-30
    _, unready = counting()
    async with unready.running() as shop, connected(shop) as client:
        client.send({"command": "unknown", "ref": "1"}, {"command": "place-order", "ref": "2", "data": {"number": "x"}})
        frames = await client.got(2)
        assert sorted((each["ref"], each["problem"]["status"]) for each in frames) == [("1", 404), ("2", 422)]
        errors = [error for each in frames for error in each["problem"].get("errors", ())]
        assert [error["path"] for error in errors] == ["number"]


async def test_events_of_channels_come_until_these_are_unsubscribed() -> None:
    # GW-30
    async with Shop().running() as shop, connected(shop) as client:
        await shop.place(1)
        client.send({"subscribe": ["orders/ada"], "after": 0}, {"subscribe": ["prices/tea"]})
        [event] = await client.got(1)
        assert event == {
            "event": "order-placed",
            "id": f"{await shop.feed.epoch()}-1",
            "position": 1,
            "channel": "orders/ada",
            "data": {"number": 1, "customer": "ada"},
        }
        client.send({"unsubscribe": ["orders/ada"]}, {"ping": 1})
        await client.got(2)
        await shop.place(2)
        await shop.feed.put(item_of(PriceChanged("tea")))
        assert [each.get("event") for each in await client.got(3)] == ["order-placed", None, "price-changed"]


async def test_a_position_that_the_feed_has_not_is_a_reset() -> None:
    async with Shop().running() as shop, connected(shop) as client:
        client.send({"subscribe": ["orders/ada"], "after": 99})
        assert await client.got(1) == [{"reset": {"first": 0, "last": 0}, "id": f"{await shop.feed.epoch()}-0"}]


async def test_a_client_resumes_after_an_id_and_one_of_another_feed_is_a_reset() -> None:
    # GW-65
    async with Shop().running() as shop, connected(shop) as client:
        await shop.place(1, 2, 3)
        epoch = await shop.feed.epoch()
        client.send({"subscribe": ["orders/ada"], "after": f"{epoch}-1", "ref": "1"})
        assert [each.get("position", each.get("ref")) for each in await client.got(3)] == ["1", 2, 3]
        assert client.frames[0] == {"ref": "1"}  # the client knows where it is
    async with Shop().running() as shop, connected(shop) as client:
        await shop.place(1, 2, 3)
        client.send({"subscribe": ["orders/ada"], "after": f"{epoch}-1"})
        [reset] = await client.got(1)
        assert reset == {"reset": {"first": 0, "last": 3}, "id": f"{await shop.feed.epoch()}-3"}


async def test_a_client_that_has_heard_nothing_yet_resumes_after_the_id_of_its_subscription() -> None:
    # GW-65
    async with Shop().running() as shop:
        await shop.place(1)
        async with connected(shop) as client:
            client.send({"ping": 1}, {"subscribe": ["orders/ada"], "ref": "1"})
            [answer] = (await client.got(2))[1:]
            assert answer == {"ref": "1", "id": f"{await shop.feed.epoch()}-1"}
        await shop.place(2)
        async with connected(shop) as client:
            client.send({"subscribe": ["orders/ada"], "after": answer["id"]})
            assert [each["position"] for each in await client.got(1)] == [2]


@pytest.mark.parametrize(
    ("channels", "status"), [(["orders/bob"], 403), (["orders/ada", "orders/bob"], 403), ([], 400), (["x" * 201], 400)]
)
async def test_a_channel_that_is_not_allowed_or_none_is_a_problem_and_nothing_is_subscribed_to(
    channels: list[str], status: int
) -> None:
    async with Shop().running() as shop, connected(shop) as client:
        client.send({"subscribe": channels, "ref": "1"})
        [frame] = await client.got(1)
        assert (frame["ref"], frame["problem"]["status"]) == ("1", status)
        await shop.place(1)
        client.send({"ping": 1})
        assert (await client.got(2))[1] == {"pong": 1}


async def test_a_client_subscribes_to_32_channels_at_most_in_all() -> None:
    async with Shop().running() as shop, connected(shop) as client:
        client.send({"subscribe": [f"prices/{number}" for number in range(32)]})
        client.send({"subscribe": ["prices/one-more"], "ref": "1"}, {"subscribe": ["prices/5"]}, {"ping": 1})
        frames = await client.got(2)
        assert [each.get("problem", {}).get("status") for each in frames] == [400, None]


@pytest.mark.parametrize("has_feed", [False, True])
async def test_without_events_there_are_commands_and_queries_also_before_the_feed_is_followed(has_feed: bool) -> None:
    # GW-30
    _, shop = counting(forwards=[], has_feed=has_feed)
    async with shop.bus, connected(shop) as client:
        client.send({"subscribe": ["orders/ada"], "ref": "1"}, {"unsubscribe": ["orders/ada"]}, command("2"))
        frames = await client.got(2)
        assert frames[0]["problem"]["status"] == 404
        assert frames[1]["result"] == 1


async def test_answers_come_as_they_are_ready_and_a_ref_in_use_is_a_problem() -> None:
    # GW-31
    counter, unready = counting()
    async with unready.running() as shop, connected(shop) as client:
        counter.go = anyio.Event()
        client.send(command("1"), command("1"), {"ping": 1})
        problem, pong = await client.got(2)
        assert (problem["problem"]["status"], "ref" in problem, pong) == (400, False, {"pong": 1})
        counter.go.set()
        await client.got(3)
        client.send(command("1"))
        assert [each["ref"] for each in (await client.got(4))[2:]] == ["1", "1"]
        assert len(counter.placed) == 2


async def test_ten_bad_frames_in_a_row_or_a_binary_one_end_the_connection() -> None:
    # GW-31
    async with Shop().running() as shop:
        async with connected(shop) as client:
            client.send(*["bad"] * 9, {"ping": 1}, *["bad"] * 9, {"token": "a"})
            assert await end_of(client) == 4400
            assert [each.get("problem", {}).get("status", 0) for each in client.frames] == [400] * 9 + [0] + [400] * 10
        async with connected(shop) as client:
            client.say({"type": "websocket.receive", "bytes": b"{}"})
            assert await end_of(client) == 4400


async def test_beyond_the_calls_in_flight_nothing_is_read_until_one_is_answered() -> None:
    # GW-32
    counter, unready = counting(in_flight=2)
    async with unready.running() as shop, connected(shop) as client:
        counter.go = anyio.Event()
        client.send(query("1"), query("2"), query("3"), {"ping": 1})
        await anyio.sleep(1)
        assert (counter.begun, len(client.outgoing), client.frames) == (2, 2, [])
        counter.go.set()
        assert len(await client.got(4)) == 4


async def test_a_client_that_the_request_does_not_tell_sends_its_token_first() -> None:
    # GW-33
    for options in ({"token": None}, {"token": "unknown"}):
        _, unready = counting()
        async with unready.running() as shop, connected(shop, **options) as client:
            client.send({"token": "b"}, {"subscribe": ["orders/bob"]}, command("1"))
            [answer] = await client.got(1)
            assert answer["result"] == 1


@pytest.mark.parametrize("frame", [None, {"token": "x"}, {"token": "unknown"}, {"token": "locked"}, {"ping": 1}, "x"])
async def test_a_client_that_stays_unknown_is_sent_away(frame: Any) -> None:
    # GW-33
    async with Shop().running() as shop, connected(shop, token=None) as client:
        began = anyio.current_time()
        if frame is not None:
            client.send(frame)
        assert await end_of(client) == 4401
        assert anyio.current_time() - began == pytest.approx(5 if frame is None else 0, abs=0.01)


async def test_an_error_of_who_ends_the_connection_as_internal_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(TOKENS, "broken", "no actor")
    async with Shop().running() as shop:
        async with connected(shop, token=None) as client:
            client.send({"token": "broken"})
            assert await end_of(client) == 1011
        assert await denied(shop, token="broken") == 500
    assert len(caplog.records) == 2


async def test_a_gateway_that_knows_nobody_serves_everybody() -> None:
    _, unready = counting(knows_clients=False)
    async with unready.running() as shop, connected(shop, token=None) as client:
        client.send(query("1"))
        assert (await client.got(1))[0]["result"] == 0


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"subprotocols": []}, 400),
        ({"subprotocols": ["modd.v2"]}, 400),
        ({"token": "locked"}, 403),
        ({"token": None, "cookie": "token=a", "origin": "https://evil.example"}, 403),
        ({"token": None, "cookie": "token=a"}, 403),
        ({"token": None, "cookie": "token=a", "origin": "null"}, 403),
        ({"subprotocols": [], "extensions": []}, 403),
    ],
)
async def test_an_upgrade_is_refused_before_it_happens(options: Any, status: int) -> None:
    # GW-33
    async with Shop().running() as shop:
        assert await denied(shop, **options) == status


async def test_a_page_of_an_allowed_origin_opens_a_connection_with_its_cookie() -> None:
    # GW-33
    _, unready = counting()
    cookie: Any = {"token": None, "cookie": "token=a", "origin": "https://shop.example"}
    async with unready.running() as shop, connected(shop, **cookie) as client:
        client.send(query("1"))
        assert (await client.got(1))[0]["result"] == 0


async def test_one_connection_too_many_of_an_actor_is_refused() -> None:
    async with Shop(per_actor=1).running() as shop, connected(shop):
        assert await denied(shop) == 429
        async with connected(shop, token=None) as client:
            client.send({"token": "a"})
            assert await end_of(client) == 4429


async def test_a_frame_that_is_too_large_ends_the_connection() -> None:
    # GW-34
    for text in ("x" * 101, "\u20ac" * 40):
        async with Shop(body=100).running() as shop, connected(shop) as client:
            client.send(text)
            assert await end_of(client) == 1009


async def test_when_the_client_goes_away_its_queries_are_cancelled_and_its_commands_go_on() -> None:
    # GW-35
    counter, unready = counting()
    async with unready.running() as shop, connected(shop) as client:
        counter.go = anyio.Event()
        client.send(command("1"), query("2"))
        await anyio.sleep(1)
        assert counter.begun == 2
        client.leave()
        await anyio.sleep(1)
        counter.go.set()
        await client.ended.wait()
        assert (counter.ended, counter.placed, client.frames) == (1, [1], [])


@pytest.mark.parametrize("passes", range(8))
async def test_a_command_that_ends_while_the_session_does_disturbs_no_other_one(passes: int) -> None:
    # GW-35
    for _ in range(8):  # trio runs the tasks of a pass in any order
        counter, unready = counting()
        async with unready.running() as shop, connected(shop) as client:
            counter.go = anyio.Event()
            client.send(command("1"), query("2"))
            await anyio.sleep(1)
            client.leave()
            for _ in range(passes):
                await anyio.lowlevel.checkpoint()
            counter.go.set()
            await client.ended.wait()
            assert counter.placed == [1]


@pytest.mark.parametrize("ask", [command, query])
async def test_a_client_that_takes_no_answer_is_cut_off(ask: Callable[[str], dict[str, Any]]) -> None:
    # GW-53
    _, unready = counting()
    async with unready.running() as shop, connected(shop) as client:
        client.reads = anyio.Event()
        client.send(ask("1"))
        assert await end_of(client) is None  # it takes no code for the end either


async def test_a_client_that_does_not_read_events_is_cut_off() -> None:
    # GW-25
    async with Shop(buffer=8).running() as shop, connected(shop) as client:
        client.send({"subscribe": ["orders/ada"]}, {"ping": 1})
        await client.got(1)
        client.reads = anyio.Event()
        await shop.place(*range(60))
        await anyio.sleep(0.5)
        client.reads.set()
        assert await end_of(client) == 4408


async def test_the_end_of_its_time_ends_a_connection_when_its_calls_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GW-26
    monkeypatch.setitem(TOKENS, "short", Actor("ada", expires=time() + 20))
    counter, unready = counting()
    async with unready.running() as shop, connected(shop, token="short") as client:
        counter.go = anyio.Event()
        client.send(command("1"))
        await anyio.sleep(25)
        assert not client.ended.is_set()
        counter.go.set()
        assert await end_of(client) == 4401
        assert client.frames[0]["result"] == 1


async def test_at_the_stop_connections_end_with_1012_and_none_begins() -> None:
    # GW-27
    counter, unready = counting()
    async with (
        unready.running() as shop,
        anyio.create_task_group() as tasks,
        connected(shop) as client,
        connected(shop) as other,
        connected(shop, token=None) as late,
    ):
        counter.go = anyio.Event()
        client.send(command("1"))
        await anyio.sleep(1)
        tasks.start_soon(shop.events.streams.stop)
        assert await end_of(other) == 1012
        assert await denied(shop) == 503
        late.send({"token": "b"})
        assert await end_of(late) == 1012
        await anyio.sleep(3)
        counter.go.set()
        assert await end_of(client) == 1012
        assert client.frames[0]["result"] == 1


async def test_before_the_feed_is_followed_a_connection_ends_so_that_the_client_comes_again() -> None:
    # GW-27
    async with connected(Shop()) as client:
        assert await end_of(client) == 1012


async def test_a_server_that_raises_when_the_client_has_gone_ends_the_connection() -> None:
    async with Shop().running() as shop:
        client = WsClient()
        client.say({"type": "websocket.connect"})
        client.send({"ping": 1}, {"ping": 2})

        async def send(message: Any) -> None:
            client.incoming.append(message)
            if message["type"] == "websocket.send":
                client.leave()
                raise OSError("gone")

        with anyio.fail_after(10):
            await shop.app(ws_scope(), client._receive, send)
        assert [each["type"] for each in client.incoming] == ["websocket.accept", "websocket.send"]
