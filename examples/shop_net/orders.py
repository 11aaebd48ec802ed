"""python -m modd run orders:orders   (as many processes as you like)"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from components import GetOrders, Invoice, OrderBus, PlaceOrder
from modd.app import App, Settings
from modd.nats import Link
from modd.relay import Relay, Tee
from modd.remote import Remote, Serve
from modd.stores import NatsStore
from modd.worker import Worker


class Config(Settings, prefix="SHOP_"):
    nats: str = "nats://127.0.0.1:4222"


@asynccontextmanager
async def orders(config: Config) -> AsyncIterator[App]:
    async with Link(config.nats, name="orders") as link, NatsStore(link, "orders") as store:
        commands, events, public = store.queue("commands"), store.queue("events"), store.feed("public")
        bus = OrderBus(store.events, commands, Remote(link, "billing", [Invoice]))
        await public.epoch()  # creates the feed, as the gateway may read it alone
        yield App(
            "orders",
            Serve(link, "orders", bus, expose=[PlaceOrder, GetOrders]),
            Worker(commands, bus),
            Worker(events, bus),
            Relay(store.outbox, Tee(events, public)),
        )
