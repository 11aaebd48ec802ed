"""The only public process: python -m modd run front:front"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from components import GetOrders, PlaceOrder
from edge import EXPOSED, who
from modd import Bus
from modd.app import App, Settings
from modd.gateway import Gateway
from modd.nats import Link
from modd.remote import Remote
from modd.stores import NatsStore


class Config(Settings, prefix="SHOP_"):
    nats: str = "nats://127.0.0.1:4222"
    listen: str = "127.0.0.1:8000"


@asynccontextmanager
async def front(config: Config) -> AsyncIterator[App]:
    async with Link(config.nats, name="front") as link, NatsStore(link, "orders") as store:
        bus = Bus([Remote(link, "orders", [PlaceOrder, GetOrders])], inbound=[PlaceOrder, GetOrders])
        yield App("front", Gateway(bus, *EXPOSED, feed=store.feed("public"), who=who, listen=config.listen))
