"""A billing context for tests of calls to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import anyio

from modd import Bus
from modd.concurrency.blocks import async_block
from modd.cqrs import Command, CommandBus, Envelope, Query, QueryBus
from modd.nats import Link
from modd.remote import Remote, Serve

numbers = count()


def new_name() -> str:
    """Return a name for a context that no other test has."""
    return f"billing-{next(numbers)}"


class Bill(Command[int]):
    customer: str
    cents: int


class GetBill(Query[tuple[str, int]]):
    number: int


class Overdue(Exception):
    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"bill {number} is overdue")


class Shaky(Exception):
    """An error that does not cross."""


class Billing:
    """The handlers, and the envelopes that came."""

    def __init__(self) -> None:
        self.bills: list[tuple[str, int]] = []
        self.envelopes: list[Envelope[Any]] = []
        self.slow_began, self.going_on, self.slow_ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def bill(self, envelope: Envelope[Bill]) -> int:
        self.envelopes.append(envelope)
        command = envelope.message
        if command.customer == "shaky":
            raise Shaky("secret")
        if command.customer == "overdue":
            raise Overdue(command.cents)
        if command.customer == "slow":
            self.slow_began.set()
            try:
                await self.going_on.wait()
            finally:
                self.slow_ended.set()
        self.bills.append((command.customer, command.cents))
        return len(self.bills)

    def get_bill(self, query: GetBill) -> tuple[str, int]:
        return self.bills[query.number - 1]

    def bus(self) -> Bus:
        buses = [CommandBus({Bill: self.bill}), QueryBus({GetBill: self.get_bill})]
        return Bus(buses, name="billing", inbound=[Bill, GetBill])


@async_block
async def serving(server: Any, name: str, bus: Any, **options: Any) -> AsyncIterator[Serve]:
    """Serve a context over a link of its own, for a block."""
    options = {"expose": [Bill, GetBill], **options}
    async with Link(server.url, name="billing", timeout=30) as link, anyio.create_task_group() as tasks:
        serve = Serve(link, name, bus, **options)
        tasks.start_soon(serve.run)
        await serve.wait_ready()
        yield serve
        serve.stop()


@async_block
async def calling(server: Any, name: str, **options: Any) -> AsyncIterator[Bus]:
    """Open a bus that has the context in its place, over a link of its own."""
    options = {"timeout": 30, **options}
    async with Link(server.url, name="shop", timeout=30) as link:
        yield Bus([Remote(link, name, [Bill, GetBill], **options)])
