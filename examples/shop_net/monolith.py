"""All in one process, in one file: python -m modd run monolith:shop"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from components import Billing, OrderBus
from edge import EXPOSED, who
from modd.app import App, Health, Settings
from modd.gateway import Gateway
from modd.relay import Relay, Tee
from modd.stores import SqliteStore
from modd.worker import Worker


class Config(Settings, prefix="SHOP_"):
    db: Path = Path("shop.db")
    listen: str = "127.0.0.1:8000"
    health: int = 8081


@asynccontextmanager
async def shop(config: Config) -> AsyncIterator[App]:
    async with SqliteStore(config.db) as store:
        commands, events, public = store.queue("commands"), store.queue("events"), store.feed("public")
        bus = OrderBus(store.events, commands, Billing())
        yield App(
            "shop",
            Gateway(bus, *EXPOSED, feed=public, who=who, listen=config.listen),
            Worker(commands, bus),
            Worker(events, bus),
            Relay(store.outbox, Tee(events, public)),
            health=Health(port=config.health),
        )
