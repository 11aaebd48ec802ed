"""A shop with two projections of its orders, and a follower of nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from modd import Value
from modd.aggregate import Aggregate, Instance
from modd.cqrs import Codec, Command, Event
from modd.follower.engine import Engine, EngineOptions
from modd.follower.projection_track import ProjectionSource
from modd.follower.rebuilding import Rebuild
from modd.ports import Item
from modd.projection import Projection, Rows
from modd.worker.retry import checked_backoff

log = logging.getLogger("modd.follower")


class Order(Command[None]):
    order: str
    sku: str = "rope"
    pieces: int = 1


class Ordered(Event):
    order: str
    sku: str = "rope"
    pieces: int = 1


class Returned(Event):
    sku: str
    pieces: int = 1


class Moved(Event):
    """An event that no projection has a function for."""

    to: str = "Bergen"


class Placed(Value, frozen=True):
    """The state of an order."""

    pieces: int = 0


class Sold(Value, frozen=True):
    """The state for a sku."""

    pieces: int = 0
    orders: int = 0


SALES = "sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL"


ADD = """INSERT INTO {sales} (sku, pieces) VALUES (?, ?)
    ON CONFLICT (sku) DO UPDATE SET pieces = pieces + excluded.pieces"""


def count(event: Ordered, rows: Rows) -> None:
    rows.execute(ADD, (event.sku, event.pieces))


def give_back(event: Returned, rows: Rows) -> None:
    rows.execute(
        "UPDATE {sales} SET pieces = pieces - :pieces WHERE sku = :sku", {"sku": event.sku, "pieces": event.pieces}
    )
    rows.execute("DELETE FROM {sales} WHERE sku = ? AND pieces <= 0", [event.sku])


def add(state: Sold, event: Ordered) -> Sold:
    return Sold(state.pieces + event.pieces, state.orders + 1)


def take(state: Sold, event: Returned) -> Sold | None:
    left = state.pieces - event.pieces
    return Sold(left, state.orders) if left > 0 else None


def sales(**options: Any) -> Projection[None]:
    """Return a projection with a table."""
    defaults: dict[str, Any] = {"tables": {"sales": SALES}, "events": {Ordered: count, Returned: give_back}}
    return Projection(options.pop("name", "sales"), **defaults | options)


def totals(**options: Any) -> Projection[Sold]:
    """Return a projection with states."""
    defaults: dict[str, Any] = {"state": Sold, "key": "sku", "events": {Ordered: add, Returned: take}}
    made: Any = Projection(options.pop("name", "totals"), **defaults | options)
    projection: Projection[Sold] = made
    return projection


def place(order: Instance[Placed], command: Order) -> Ordered:
    return Ordered(command.order, command.sku, command.pieces)


def orders(store: Any, **options: Any) -> Aggregate[Placed]:
    """Return an aggregate that records orders."""
    events: dict[Any, Any] = {Ordered: lambda state, event: Placed(state.pieces + event.pieces)}
    return Aggregate(
        "order", state=Placed, identity="order", commands={Order: place}, events=events, store=store, **options
    )


codec = Codec([Ordered, Returned, Moved])


async def record(store: Any, *events: Event, stream: str = "shop") -> None:
    """Append events to the log."""
    count = len([each async for each in store.events.read(stream)])
    await store.events.append(stream, [Item(codec.encode_message(each)) for each in events], count)


OPTIONS = EngineOptions(None, checked_backoff("exponential"), 30.0, 0.05)


def engine(store: Any, *projections: Projection[Any], batch: int | None = None) -> Engine:
    """Return an engine that moves projections."""
    options = EngineOptions(batch, OPTIONS.backoff, OPTIONS.lease, OPTIONS.poll)
    return Engine(store, [ProjectionSource(each, store, log) for each in projections], options, log)


async def follow(store: Any, *projections: Projection[Any], batch: int | None = None) -> None:
    """Carry all events of the log to projections."""
    mover = engine(store, *projections, batch=batch)
    async with mover.session():
        while await mover.advance():
            pass
    for part in mover.parts.values():
        if part.error is not None:
            raise part.error


async def rebuild(
    store: Any, projection: Projection[Any], progress: Callable[[int, int], object] | None = None
) -> None:
    """Build a projection anew, in steps of four events."""
    options = EngineOptions(4, OPTIONS.backoff, OPTIONS.lease, OPTIONS.poll)
    await Rebuild(ProjectionSource(projection, store, log), store, options, log).run(progress)


async def content(store: Any, projection: Projection[Any]) -> dict[str, Any]:
    """Return the content of one of the projections above: the pieces by sku."""
    if projection.tables is None:
        return {key: state.pieces for key, state in await projection.of(store).items()}
    async with store.transaction() as tx:
        return dict(await tx.fetch("SELECT sku, pieces FROM sales"))
