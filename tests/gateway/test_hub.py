"""The hub: one follower of the feed for all clients."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.gateway import EVERYBODY, Limits, Refused, forward
from modd.gateway.client_stream import ClientStream, EndReason
from modd.gateway.hub import Hub
from modd.gateway.rendering import HubItem, Rendering, Topic
from modd.gateway.subscription import EventSubscription, Reset
from modd.ports import Item, Posted
from modd.stores import MemoryFeed
from tests.gateway.events_shop import CODEC, ORDERS, PRICES, OrderPlaced, PriceChanged, Unheard, item_of

pytestmark = pytest.mark.anyio

ADAS = Topic(ORDERS, "orders/ada")


@asynccontextmanager
async def following(feed: Any, *forwards: Any, buffer: int = 256) -> AsyncIterator[Hub]:
    """Have a hub follow a feed for a block."""
    hub = Hub(feed, forwards or (ORDERS, PRICES), CODEC, Limits(buffer=buffer))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        await hub.wait_ready()
        yield hub
        tasks.cancel_scope.cancel()


async def place(feed: Any, *numbers: int) -> None:
    await feed.put(*[item_of(OrderPlaced(number)) for number in numbers])


async def take(subscription: EventSubscription, count: int) -> list[Any]:
    """Return the next deliveries of a subscription, as soon as there are so many."""
    found: list[Any] = []
    with anyio.fail_after(30):
        while len(found) < count:
            found += await subscription.receive()
    return found


def positions(deliveries: list[Any]) -> list[int]:
    return [each.position for each in deliveries if isinstance(each, HubItem)]


async def test_resuming_at_random_moments_while_items_are_put_misses_and_doubles_nothing() -> None:
    # GW-22
    random, feed, last = Random(5), MemoryFeed(), 150

    async def put_all() -> None:
        number = 0
        while number < last:
            many = min(random.randint(1, 7), last - number)
            await place(feed, *range(number + 1, number + many + 1))
            number += many
            for _ in range(random.randint(0, 3)):
                await checkpoint()

    async def resume_again_and_again(hub: Hub, seed: int) -> None:
        moments, seen = Random(seed), [0]
        while seen[-1] < last:
            with hub.subscribe(ClientStream()) as subscription:
                subscription.resume([ADAS], seen[-1])
                for _ in range(moments.randint(1, 4)):
                    if seen[-1] < last:
                        seen += positions(await subscription.receive())
            for _ in range(moments.randint(0, 5)):
                await checkpoint()
        assert seen == [*range(last + 1)]

    with anyio.fail_after(60):
        async with following(feed) as hub, anyio.create_task_group() as tasks:
            for seed in range(4):
                tasks.start_soon(resume_again_and_again, hub, seed)
            await put_all()


async def test_a_new_client_gets_the_items_that_come_from_now_on() -> None:
    feed = MemoryFeed()
    await place(feed, 1, 2)
    async with following(feed) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([ADAS])
            await place(feed, 3)
            [item] = await take(subscription, 1)
            assert (item.position, item.name, item.data) == (3, "order-placed", b'{"number":3,"customer":"ada"}')
            assert item.epoch == await feed.epoch()


async def test_each_item_is_decoded_channeled_and_encoded_once_for_all_clients() -> None:
    # GW-24
    feed, asked = MemoryFeed(), []

    def to(event: OrderPlaced) -> str:
        asked.append(event.number)
        return "orders/ada"

    orders = forward(OrderPlaced, to=to)
    topics = [Topic(orders, "orders/ada")]
    async with following(feed, orders) as hub:
        streams = [ClientStream() for _ in range(3)]
        with hub.subscribe(streams[0]) as one, hub.subscribe(streams[1]) as two, hub.subscribe(streams[2]) as late:
            one.add(topics)
            two.add(topics)
            await place(feed, 1, 2)
            found = [await take(one, 2), await take(two, 2)]
            late.resume(topics, 0)
            found.append(await take(late, 2))
    assert asked == [1, 2]
    assert all([*map(id, each)] == [*map(id, found[0])] for each in found)


def test_the_text_of_an_item_is_written_once_for_all_clients_of_a_kind() -> None:
    # GW-24
    calls: list[int] = []

    def write(item: HubItem) -> str:
        calls.append(item.position)
        return f"event {item.position}"

    items = [HubItem(position, "epoch000", "order-placed", ADAS, b"{}") for position in (1, 2)]
    assert [item.text(write) for item in (*items, *items)] == ["event 1", "event 2"] * 2
    assert calls == [1, 2]
    assert items[0].text(lambda item: b"other") == b"other"


async def test_an_item_of_several_channels_is_delivered_once_to_a_client_of_several() -> None:
    feed, both = MemoryFeed(), forward(OrderPlaced, to=lambda event: ["a", "b", "a"])
    async with following(feed, both) as hub:
        with hub.subscribe(ClientStream()) as subscription, hub.subscribe(ClientStream()) as resumed:
            subscription.add([Topic(both, "a"), Topic(both, "b")])
            await place(feed, 1, 2)
            resumed.resume([Topic(both, "b"), Topic(both, "a")], 0)
            assert positions(await take(subscription, 2)) == [1, 2]
            assert positions(await take(resumed, 2)) == [1, 2]


def both_to_both(event: OrderPlaced) -> list[str]:
    return ["a", "b"]


async def test_an_item_of_two_channels_that_were_subscribed_at_different_times_is_delivered_once() -> None:
    # GW-66
    feed, both = MemoryFeed(), forward(OrderPlaced, to=both_to_both)
    a, b = Topic(both, "a"), Topic(both, "b")
    async with following(feed, both) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            await place(feed, 1, 2)
            await anyio.wait_all_tasks_blocked()
            subscription.add([a])
            await place(feed, 3, 4)
            await anyio.wait_all_tasks_blocked()
            subscription.resume([b], 0)  # 3 and 4 wait already, in the channel a
            assert positions(await take(subscription, 4)) == [3, 4, 1, 2]
            await place(feed, 5)
            assert positions(await take(subscription, 1)) == [5]
            subscription.remove(["b"])
            subscription.resume([b], 2)
            await place(feed, 6)
            assert positions(await take(subscription, 1)) == [6]


async def test_an_item_that_one_resume_has_read_is_not_delivered_by_the_next_one() -> None:
    # GW-66
    feed, both = MemoryFeed(), forward(OrderPlaced, to=both_to_both)
    async with following(feed, both) as hub:
        await place(feed, 1, 2, 3, 4)
        await anyio.wait_all_tasks_blocked()
        with hub.subscribe(ClientStream()) as subscription:
            subscription.resume([Topic(both, "a")], 2)
            subscription.resume([Topic(both, "b")], 0)
            assert positions(await take(subscription, 4)) == [3, 4, 1, 2]
            subscription.remove(["a"])
            subscription.resume([Topic(both, "b")], 2)  # asked for again
            assert positions(await take(subscription, 2)) == [3, 4]


async def test_a_channel_that_two_forwards_share_brings_only_the_types_that_the_client_may_hear() -> None:
    feed = MemoryFeed()
    secret = forward(OrderPlaced, to=lambda event: "news", allow=lambda actor, channel: False)
    public = forward(PriceChanged, to=lambda event: "news", allow=EVERYBODY)
    async with following(feed, secret, public) as hub:
        with hub.subscribe(ClientStream()) as subscription, hub.subscribe(ClientStream()) as resumed:
            subscription.add([Topic(public, "news")])
            await place(feed, 1)
            await feed.put(item_of(PriceChanged("tea")))
            resumed.resume([Topic(public, "news")], 0)
            assert positions(await take(subscription, 1)) == positions(await take(resumed, 1)) == [2]


@pytest.mark.parametrize(
    "to", [lambda event: 1 / 0 if event.number == 1 else "orders/ada", lambda event: [1] if event.number == 1 else "x"]
)
async def test_an_item_whose_channel_function_fails_is_logged_and_skipped(
    to: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # GW-24
    feed, orders = MemoryFeed(), forward(OrderPlaced, to=to)
    async with following(feed, orders) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([Topic(orders, "orders/ada"), Topic(orders, "x")])
            await place(feed, 1, 2)
            assert positions(await take(subscription, 1)) == [2]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_items_of_other_types_without_channels_and_of_damaged_bytes_are_no_events_of_clients(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed, orders = MemoryFeed(), forward(OrderPlaced, to=lambda event: None if event.number == 1 else ["orders/ada"])
    other = Item(item_of(Unheard()).body.replace(b"Unheard", b"Unknown"))
    newer = Item(item_of(OrderPlaced(9)).body.replace(b'"number"', b'"$version":7,"number"'))
    async with following(feed, orders) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([Topic(orders, "orders/ada")])
            await feed.put(item_of(Unheard()), other)
            await place(feed, 1)
            assert not caplog.records
            await feed.put(b"no envelope", newer)
            await place(feed, 2)
            assert positions(await take(subscription, 1)) == [6]
    assert len(caplog.records) == 2


def test_rendered_items_are_stored_up_to_a_number() -> None:
    asked: list[int] = []

    def to(event: OrderPlaced) -> str:
        asked.append(event.number)
        return "orders/ada"

    orders = forward(OrderPlaced, to=to)
    rendering = Rendering(CODEC, [orders], recent=2)
    for position in (1, 2, 3, 3, 2, 1):
        body = item_of(OrderPlaced(position)).body
        [item] = rendering.render(Posted(position, str(position), body, {}, None, 0.0), "epoch000")
        assert item.position == position
    assert asked == [1, 2, 3, 1]


async def test_a_client_that_does_not_read_is_cut_off_and_delays_nobody() -> None:
    # GW-25
    feed, stuck = MemoryFeed(), ClientStream()
    async with following(feed, buffer=16) as hub:
        with hub.subscribe(stuck) as unread, hub.subscribe(ClientStream()) as subscription:
            unread.add([ADAS])
            subscription.add([ADAS])
            await place(feed, *range(1, 41))
            assert positions(await take(subscription, 40)) == [*range(1, 41)]
            assert stuck.reason is EndReason.UNREAD
            assert await unread.receive() == []


async def test_a_client_whose_events_are_too_large_together_is_cut_off() -> None:
    # GW-25
    feed, stuck = MemoryFeed(), ClientStream()
    async with following(feed) as hub:
        with hub.subscribe(stuck) as unread, hub.subscribe(ClientStream()) as subscription:
            for each in (unread, subscription):
                each.add([Topic(PRICES, f"prices/{'x' * 600_000}")])
            await feed.put(item_of(PriceChanged("x" * 600_000)))
            await take(subscription, 1)
            assert stuck.reason is None
            await feed.put(item_of(PriceChanged("x" * 600_000)))
            await take(subscription, 1)
            assert stuck.reason is EndReason.UNREAD


async def test_a_burst_larger_than_the_backlog_does_not_cut_off_a_client_that_reads_slowly() -> None:
    # GW-25
    feed, stream = MemoryFeed(), ClientStream()
    async with following(feed, buffer=32) as hub:
        with hub.subscribe(stream) as subscription:
            subscription.add([ADAS])
            await place(feed, *range(1, 201))
            seen: list[int] = []
            with anyio.fail_after(30):
                while len(seen) < 200 and stream.reason is None:
                    seen += positions(await subscription.receive())
                    for _ in range(20):  # as many turns of the loop as a server takes to send
                        await checkpoint()
            assert seen == [*range(1, 201)]


async def test_a_position_that_is_not_kept_is_one_reset_then_what_comes() -> None:
    # GW-23
    feed = MemoryFeed(most=2)
    async with following(feed) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([ADAS])
            await place(feed, 1, 2)
            await take(subscription, 2)
            await place(feed, 3, 4)
            await take(subscription, 2)
            subscription.resume([ADAS], 1)
            assert await take(subscription, 1) == [Reset(2, 4, hub.epoch)]
            await place(feed, 5)
            assert positions(await take(subscription, 1)) == [5]


@pytest.mark.parametrize("after", [None, 99])
async def test_a_position_of_another_feed_is_one_reset_then_what_comes(after: int | None) -> None:
    # GW-23
    feed = MemoryFeed()
    async with following(feed) as hub:
        await place(feed, 1)
        with hub.subscribe(ClientStream()) as subscription:
            subscription.resume([ADAS], after)
            assert subscription.position is None
            assert await take(subscription, 1) == [Reset(0, 1, hub.epoch)]
            await place(feed, 2)
            assert positions(await take(subscription, 1)) == [2]


async def test_the_position_0_is_the_first_item_if_nothing_was_removed() -> None:
    # GW-23
    feed = MemoryFeed()
    await place(feed, 1, 2)
    async with following(feed) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.resume([ADAS], 0)
            assert positions(await take(subscription, 2)) == [1, 2]


async def test_a_channel_can_be_added_and_removed_at_any_time() -> None:
    feed, prices = MemoryFeed(), Topic(PRICES, "prices/tea")
    async with following(feed) as hub:
        with hub.subscribe(ClientStream()) as subscription:
            subscription.add([ADAS])
            await place(feed, 1)
            await feed.put(item_of(PriceChanged("tea")))
            assert positions(await take(subscription, 1)) == [1]
            subscription.resume([prices], 0)
            assert subscription.channels == {"orders/ada", "prices/tea"}
            assert positions(await take(subscription, 1)) == [2]
            subscription.remove(["orders/ada", "unknown"])
            await place(feed, 3)
            await feed.put(item_of(PriceChanged("tea")))
            assert positions(await take(subscription, 1)) == [4]
            subscription.resume([ADAS], 0)
            subscription.remove(["orders/ada"])
            await feed.put(item_of(PriceChanged("tea")))
            assert positions(await take(subscription, 1)) == [5]


async def test_before_the_hub_follows_the_feed_there_is_no_subscription() -> None:
    hub = Hub(MemoryFeed(), [ORDERS], CODEC, Limits())
    with pytest.raises(Refused) as refused, hub.subscribe(ClientStream()):
        pass
    assert refused.value.status == 503
