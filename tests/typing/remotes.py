"""What users write with contexts in other processes, and the types it has; tests/remote/test_typing.py runs it."""

from __future__ import annotations

from typing import assert_type

from modd import Bus
from modd.cqrs import Command, Dispatched, Query
from modd.nats import Link
from modd.remote import Remote, Serve


class Bill(Command[int]):
    customer: str


class GetBill(Query[tuple[str, int]]):
    number: int


async def ask_elsewhere(link: Link, name: str) -> None:
    """Ask a bus that has a context in another process in place of the context."""
    remote = Remote(link, name, [Bill, GetBill], timeout=30, errors=[KeyError])
    bus = Bus([remote])
    number = await bus.ask(Bill("Ada"))
    assert_type(number, int)
    bill = await bus.ask(GetBill(number))
    assert_type(bill, tuple[str, int])
    assert_type(await remote.ask(GetBill(number)), tuple[str, int])
    assert_type(await remote.dispatch(Bill("Bob")), Dispatched[int])


def serve(link: Link, name: str, bus: Bus) -> Serve:
    """Serve a context to the processes that ask."""
    return Serve(link, name, bus, expose=[Bill, GetBill], errors=[KeyError])
