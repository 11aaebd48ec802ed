"""python -m modd run billing:billing"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from components import Billing, Invoice
from modd.app import App, Settings
from modd.nats import Link
from modd.remote import Serve


class Config(Settings, prefix="SHOP_"):
    nats: str = "nats://127.0.0.1:4222"


@asynccontextmanager
async def billing(config: Config) -> AsyncIterator[App]:
    async with Link(config.nats, name="billing") as link:
        yield App("billing", Serve(link, "billing", Billing(), expose=[Invoice]))
