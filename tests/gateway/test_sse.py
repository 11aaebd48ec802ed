"""Server-Sent Events: the form, resuming, refusals, and the end of a stream."""

from __future__ import annotations

import re
from time import time
from typing import Any

import anyio
import pytest

from modd.cqrs import Actor
from modd.gateway import forward
from modd.stores import MemoryFeed
from tests.gateway.events_shop import (
    TOKENS,
    OrderPlaced,
    PriceChanged,
    Shop,
    SseClient,
    ask,
    http_scope,
    item_of,
    listening,
)
from tests.virtual import anyio_backend

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio


async def test_an_event_has_the_epoch_and_position_the_name_and_its_fields_in_one_line() -> None:
    # GW-20
    async with Shop().running() as shop, listening(shop, "orders/ada") as client:
        await shop.place(7)
        await client.next(lambda: bool(client.numbers))
        epoch = await shop.feed.epoch()
        expected = f'id: {epoch}-1\nevent: order-placed\ndata: {{"number":7,"customer":"ada"}}\n\n'
        assert client.text.endswith(expected)
        headers = dict(client.incoming[0]["headers"])
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert headers[b"cache-control"] == b"no-store"


async def test_a_client_gets_the_events_of_all_its_channels_and_of_no_other() -> None:
    # GW-20
    async with Shop().running() as shop, listening(shop, "orders/ada", "prices/a b&c", "orders/ada") as client:
        await shop.place(1, customer="bob")
        await shop.place(2)
        await shop.feed.put(item_of(PriceChanged("a b&c")))
        await client.next(lambda: len(client.events) == 2)
        assert client.events == [
            ("order-placed", {"number": 2, "customer": "ada"}),
            ("price-changed", {"sku": "a b&c"}),
        ]


@pytest.mark.parametrize(
    ("channels", "options", "status"),
    [
        ([], {}, 400),
        ([f"prices/{number}" for number in range(33)], {}, 400),
        (["x" * 201], {}, 400),
        ([""], {}, 400),
        (["orders/bob"], {}, 403),
        (["orders/ada", "orders/bob"], {}, 403),
        (["orders/ada"], {"token": None}, 401),
        (["orders/ada"], {"last_event_id": "abcdefgh"}, 400),
        (["orders/ada"], {"last_event_id": "abcdefgh--1"}, 400),
        (["orders/ada"], {"last_event_id": "abcdefgh-NaN"}, 400),
        (["orders/ada"], {"last_event_id": ""}, 400),
        (["orders/ada"], {"last_event_id": f"abcdefgh-{'9' * 19}"}, 400),
        (["orders/ada"], {"query": "after=17"}, 400),
    ],
)
async def test_a_request_that_makes_no_sense_or_is_not_allowed_is_refused(
    channels: list[str], options: Any, status: int
) -> None:
    # GW-20, GW-23
    async with Shop().running() as shop:
        client = await ask(shop, *channels, **options)
        assert client.status == status
        assert dict(client.incoming[0]["headers"])[b"content-type"] == b"application/problem+json"


async def test_a_public_channel_needs_no_actor() -> None:
    async with Shop().running() as shop, listening(shop, "prices/tea", token=None) as client:
        assert client.status == 200


async def test_the_first_text_has_a_time_for_the_retry_and_comments_follow_every_15_seconds() -> None:
    # GW-21
    async with Shop().running() as shop, listening(shop, "orders/ada") as client:
        epoch = await shop.feed.epoch()
        found = re.fullmatch(rf"retry: (\d+)\nid: {epoch}-0\n: ok\n\n", client.text)
        assert found
        assert 1_000 <= int(found[1]) <= 3_000
        began = anyio.current_time()
        await shop.place(1, customer="bob")
        await client.next(lambda: client.text.endswith(f"id: {epoch}-1\n:\n\n"))
        assert anyio.current_time() - began == pytest.approx(15)


async def test_a_client_resumes_after_the_last_event_that_it_knows() -> None:
    # GW-22
    async with Shop().running() as shop:
        async with listening(shop, "orders/ada") as first:
            await shop.place(1, 2)
            await first.next(lambda: first.numbers == [1, 2])
        await shop.place(3, 4)
        async with listening(shop, "orders/ada", last_event_id=first.last_id, query="after=ignored0-0") as second:
            await second.next(lambda: second.numbers == [3, 4])
            assert second.text.startswith("retry: ")
            assert "id:" not in second.text.split("\n\n")[0]
            await shop.place(5)
            await second.next(lambda: second.numbers == [3, 4, 5])
        async with listening(shop, "orders/ada", query=f"after={first.last_id}") as third:
            await third.next(lambda: third.numbers == [3, 4, 5])


async def test_a_client_that_has_heard_no_event_yet_resumes_where_it_began() -> None:
    async with Shop().running() as shop:
        await shop.place(1)
        async with listening(shop, "orders/ada", query=f"after={await shop.feed.epoch()}-0") as earlier:
            await earlier.next(lambda: earlier.numbers == [1])
        async with listening(shop, "orders/ada") as first:
            pass
        await shop.place(2)
        async with listening(shop, "orders/ada", last_event_id=first.last_id) as second:
            await second.next(lambda: second.numbers == [2])


@pytest.mark.parametrize("id", ["another0-1", "{epoch}-99"])
async def test_an_id_of_another_feed_is_one_reset_with_the_last_position_then_what_comes(id: str) -> None:
    # GW-23
    async with Shop().running() as shop:
        await shop.place(1, 2)
        epoch = await shop.feed.epoch()
        async with listening(shop, "orders/ada", last_event_id=id.format(epoch=epoch)) as client:
            await client.next(lambda: bool(client.events))
            assert client.events == [("reset", {"first": 0, "last": 2})]
            assert client.last_id == f"{epoch}-2"
            await shop.place(3)
            await client.next(lambda: client.numbers == [3])


async def test_a_client_that_does_not_read_is_cut_off_and_others_hear_everything() -> None:
    # GW-25
    async with Shop(buffer=8).running() as shop, listening(shop, "orders/ada") as other:
        async with listening(shop, "orders/ada") as unread:
            unread.reads = anyio.Event()
            await shop.place(*range(60))
            await other.next(lambda: other.numbers == [*range(60)])
            with anyio.fail_after(10):
                await unread.ended.wait()
            assert unread.numbers == []
            assert not unread.is_complete
        assert len(shop.events.streams) == 1


async def test_a_client_that_reads_again_too_late_gets_no_end_of_its_stream() -> None:
    # GW-25
    async with (
        Shop(buffer=8).running() as shop,
        listening(shop, "orders/ada") as other,
        listening(shop, "orders/ada") as late,
    ):
        late.reads = anyio.Event()
        await shop.place(*range(60))
        await other.next(lambda: other.numbers == [*range(60)])
        late.reads.set()
        await late.ended.wait()
        assert not late.is_complete


async def test_a_client_that_takes_nothing_for_30_seconds_is_cut_off() -> None:
    # GW-25
    async with Shop().running() as shop, listening(shop, "orders/ada") as client:
        client.reads = anyio.Event()
        began = anyio.current_time()
        await client.ended.wait()
        assert anyio.current_time() - began == pytest.approx(15 + 30)


async def test_a_client_that_takes_an_event_within_30_seconds_stays_and_its_comments_go_on() -> None:
    # GW-21, GW-25
    async with Shop().running() as shop, listening(shop, "orders/ada") as client:
        began = anyio.current_time()
        await anyio.sleep(10)
        client.reads = anyio.Event()
        await shop.place(1)
        await anyio.sleep(28)
        client.reads.set()
        await client.next(lambda: client.text.endswith("-1\n:\n\n"))
        assert client.numbers == [1]
        assert 38 < anyio.current_time() - began <= 10 + 30 + 15


async def test_a_comment_follows_15_seconds_after_the_last_event_and_no_earlier() -> None:
    # GW-21
    async with Shop().running() as shop, listening(shop, "orders/ada") as client:
        began = anyio.current_time()
        for number in range(3):
            await anyio.sleep(10)
            await shop.place(number)
        await client.next(lambda: client.text.endswith(":\n\n"))
        assert client.numbers == [0, 1, 2]
        assert client.text.count("\n:") == 2  # the one of the beginning, and that of the quiet time
        assert anyio.current_time() - began == pytest.approx(30 + 15)


@pytest.mark.parametrize(("left", "lifetime", "seconds"), [(None, 40, 40), (100, 40, 40), (-5, 40, 0)])
async def test_a_stream_ends_with_the_time_of_its_actor_or_its_own(
    left: float | None, lifetime: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GW-26
    expires = None if left is None else time() + left
    monkeypatch.setitem(TOKENS, "short", Actor("ada", expires=expires))
    async with Shop(lifetime=lifetime).running() as shop:
        began = anyio.current_time()
        client = await ask(shop, "orders/ada", token="short")
        assert client.is_complete
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.1)


async def test_at_the_stop_no_stream_begins_and_the_open_ones_end_within_2_seconds() -> None:
    # GW-27
    async with Shop().running() as shop, anyio.create_task_group() as tasks:
        clients = [SseClient() for _ in range(10)]
        for client in clients:
            tasks.start_soon(client.run, shop.app, http_scope("orders/ada"))
            await client.next(client.has_begun)
        began = anyio.current_time()
        tasks.start_soon(shop.events.streams.stop)
        ends = []
        for _ in clients:
            await anyio.sleep(0.2)
            ends.append(sum(client.ended.is_set() for client in clients))
        refused = await ask(shop, "orders/ada")
        assert (refused.status, dict(refused.incoming[0]["headers"])[b"retry-after"]) == (503, b"1")
        assert anyio.current_time() - began <= 2.1
        assert ends == sorted(ends)
        assert 0 < ends[0] < ends[4] < ends[-1] == 10
        assert all(client.is_complete for client in clients)


class SlowFeed(MemoryFeed):
    """A feed that cannot be read at first."""

    def __init__(self) -> None:
        super().__init__()
        self.go = anyio.Event()

    async def epoch(self) -> str:
        await self.go.wait()
        return await super().epoch()


async def test_while_the_gateway_starts_a_stream_waits_until_the_feed_is_followed() -> None:
    # GW-27
    feed = SlowFeed()
    shop, client = Shop(feed=feed), SseClient()
    async with shop.events.running(anyio.Event()), anyio.create_task_group() as tasks:
        tasks.start_soon(client.run, shop.app, http_scope("orders/ada"))
        await anyio.wait_all_tasks_blocked()
        assert client.incoming == []
        feed.go.set()
        await client.next(client.has_begun)
        assert client.status == 200
        client.leave()


async def test_a_stream_that_waits_for_the_start_is_refused_in_time_and_when_the_gateway_stops() -> None:
    # GW-27
    feed, stopped, late = SlowFeed(), anyio.Event(), SseClient()
    shop = Shop(feed=feed, timeout=20)
    async with shop.events.running(stopped):
        began = anyio.current_time()
        refused = await ask(shop, "orders/ada")
        assert (refused.status, dict(refused.incoming[0]["headers"])[b"retry-after"]) == (503, b"1")
        assert anyio.current_time() - began == pytest.approx(20)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(late.run, shop.app, http_scope("orders/ada"))
            await anyio.wait_all_tasks_blocked()
            stopped.set()
            await anyio.wait_all_tasks_blocked()
            feed.go.set()
            await late.ended.wait()
    assert (late.status, "stops" in late.text) == (503, True)


async def test_a_stream_of_a_gateway_that_does_not_run_is_refused_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # GW-27
    assert (await ask(Shop(), "orders/ada")).status == 503
    [record] = caplog.records
    assert "run gateway.run() in a task" in record.getMessage()


async def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    async with Shop().running() as shop:
        client = SseClient()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run, shop.app, http_scope("orders/ada"))
            client.say({"type": "http.request", "body": b"", "more_body": False})
            await client.next(lambda: len(client.incoming) > 1)
            assert len(shop.events.streams) == 1
            client.leave()
            await client.ended.wait()
        assert len(shop.events.streams) == 0


async def test_a_server_that_raises_when_the_client_has_gone_ends_the_stream() -> None:
    async with Shop().running() as shop:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > 1:
                raise OSError("gone")

        with anyio.fail_after(10):
            await shop.app(http_scope("orders/ada"), anyio.sleep_forever, send)
        assert len(shop.events.streams) == 0


async def test_a_rule_of_one_forward_gives_no_access_to_the_types_of_another() -> None:
    public = forward(PriceChanged, to=lambda event: "orders/ada", allow=lambda actor, channel: True)
    own = forward(OrderPlaced, to=lambda event: "orders/ada", allow=lambda actor, channel: actor.id == "ada")
    async with Shop(forwards=[public, own]).running() as shop, listening(shop, "orders/ada", token="b") as client:
        await shop.place(1)
        await shop.feed.put(item_of(PriceChanged("tea")))
        await client.next(lambda: bool(client.events))
        assert client.events == [("price-changed", {"sku": "tea"})]
