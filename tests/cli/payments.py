"""Payments, whose flow and projections are in the files of these tests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import anyio
import msgspec

from modd import Sensitive, Value
from modd.cqrs import Codec, Command, CommandBus, Event
from modd.flow import End, Flow, Go, Timeout, end, go, timeout
from modd.follower import Follower, PartStopped
from modd.ports import Item
from modd.projection import Projection, Rows
from modd.stores import MemoryStore
from modd.stores.sqlite.store import SqliteStore

SECRET, NOTE = "DE02-1203", "PIN-0815"


class Ordered(Event):
    order: str
    iban: Annotated[str, Sensitive] = SECRET


class Refunded(Event):
    order: str
    iban: Annotated[str, Sensitive] = SECRET


class Closed(Event):
    order: str


class Charge(Command[None]):
    order: str


class Payment(Value, frozen=True):
    """The state of a payment."""

    order: str = ""
    note: Annotated[str, Sensitive] = ""


def ordered(flow: Payment, event: Ordered) -> Go[Payment]:
    seconds = 0 if event.order.startswith("late") else 1800
    return go(Payment(event.order, NOTE), Charge(event.order), timeout("payment", seconds=seconds))


def refunded(flow: Payment, event: Refunded) -> None:
    raise ValueError(f"no refund of {event.order} to {event.iban}, {flow.note}")


def closed(flow: Payment, event: Closed) -> End:
    return end()


def unpaid(flow: Payment, late: Timeout) -> None:
    raise ValueError(f"{flow.order} is late: {flow.note}")


payment = Flow(
    "payment",
    state=Payment,
    identity="order",
    begins={Ordered: ordered},
    reacts={Refunded: refunded, Closed: closed},
    timeouts={"payment": unpaid},
    version=2,
    upcasters={1: lambda state: state},
)


def charge(command: Charge) -> None:
    if command.order == "broke":
        raise ValueError(f"{command.order} cannot pay")


desk = CommandBus([charge])


SALES = {"sales": "bank TEXT PRIMARY KEY, orders INTEGER NOT NULL"}


def count(event: Ordered, rows: Rows) -> None:
    rows.execute(
        "INSERT INTO {sales} VALUES (?, 1) ON CONFLICT (bank) DO UPDATE SET orders = orders + 1", (event.iban[:2],)
    )


class Total(Value, frozen=True):
    """The number of refunds of an order."""

    refunds: int = 0


def add(state: Total, event: Refunded) -> Total:
    if event.order == "bad":
        raise ValueError(f"{event.order} has no {event.iban}")
    return Total(state.refunds + 1)


sales = Projection("sales", tables=SALES, events={Ordered: count})
newer_sales = Projection("sales", version=2, tables=SALES, events={Ordered: count})
refunds = Projection("refunds", state=Total, key="order", events={Refunded: add})
parts = [payment, sales, refunds]
twice = [sales, newer_sales]
follower = Follower(MemoryStore(), [payment, refunds], commands=desk)
codec = Codec([Ordered, Refunded, Closed])
nothing = object()


def following(store: SqliteStore, **options: Any) -> Follower:
    """Return a follower of the flow and the projections."""
    defaults: dict[str, Any] = {"attempts": 1, "backoff": "none"}
    return Follower(store, parts, commands=desk, **defaults | options)


async def record(store: SqliteStore, *events: Event) -> None:
    """Append events to the log."""
    count = await store.events.last()
    await store.events.append("payments", [Item(codec.encode_message(each)) for each in events], count)


async def record_raw(store: SqliteStore, *bodies: bytes) -> None:
    """Append bodies to the log."""
    await store.events.append("payments", bodies, await store.events.last())


async def good(store: SqliteStore) -> None:
    """Have a flow and two projections do some events, without a failure."""
    await record(store, Ordered("7"), Ordered("8"), Closed("8"))
    await following(store).catch_up()


async def bad(store: SqliteStore) -> None:
    """Have two instances set aside, one of them for a timeout, and a command that fails; then leave events behind."""
    await good(store)
    await record(store, Refunded("7"), Closed("7"), Ordered("broke"), Ordered("late"))
    await following(store).catch_up()


async def standing(store: SqliteStore) -> None:
    """Have a projection stand before an event that it cannot do, and the flow before one that cannot be decoded."""
    await good(store)
    await record(store, Refunded("bad"))
    await record_raw(store, msgspec.json.encode({"$type": "Ordered", "iban": SECRET, "order": [NOTE]}))
    await stop(store)


async def stop(store: SqliteStore, **options: Any) -> None:
    """Have the parts go on until one of them stands."""
    with suppress(PartStopped):
        await following(store, backoff=lambda attempt: 1000.0, **options).catch_up()


@cache
def content_after(work: Callable[[SqliteStore], Coroutine[Any, Any, None]]) -> bytes:
    """Return the content of a file after a function has written into it."""

    async def fill(path: Path) -> None:
        async with SqliteStore(path) as store:
            await work(store)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        anyio.run(fill, path)
        return path.read_bytes()
