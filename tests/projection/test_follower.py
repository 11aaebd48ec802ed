"""A `Follower` with projections, as users have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.cqrs import Codec
from modd.follower import Follower, Lag, PartStopped, UnknownPart
from modd.projection import Projection, Rows
from modd.stores import MemoryStore, SqliteStore
from tests.projection.shop import (
    ADD,
    Moved,
    Order,
    Ordered,
    Returned,
    Sold,
    content,
    orders,
    record,
    sales,
    totals,
)

pytestmark = pytest.mark.anyio


class Faulty:
    """Functions that fail for a lamp until they are mended."""

    def __init__(self) -> None:
        self.mended = False

    def add(self, state: Sold, event: Ordered) -> Sold:
        self.check(event)
        return Sold(state.pieces + event.pieces, state.orders + 1)

    def count(self, event: Ordered, rows: Rows) -> None:
        rows.execute(ADD, (event.sku, event.pieces))
        self.check(event)

    def check(self, event: Ordered) -> None:
        if event.sku == "lamp" and not self.mended:
            raise LookupError("no lamps here")


def kinds(store: Any, faulty: Faulty) -> list[Projection[Any]]:
    """Return the projections that a store can have, with faults."""
    states = totals(events={Ordered: faulty.add})
    if isinstance(store, MemoryStore):
        return [states]
    return [
        states,
        sales(events={Ordered: faulty.count}),
        sales(
            name="refused",
            tables={"refused": "sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL"},
            events=[refusing(faulty)],
        ),
    ]


def refusing(faulty: Faulty) -> Any:
    """Return a function whose row the table refuses, which is found in the commit."""

    def refuse(event: Ordered, rows: Rows) -> None:
        pieces = None if event.sku == "lamp" and not faulty.mended else event.pieces
        rows.execute(ADD.replace("sales", "refused"), (event.sku, pieces))

    return refuse


async def found(store: Any, projection: Projection[Any]) -> dict[str, int]:
    """Return the pieces by sku."""
    if projection.tables is None:
        return await content(store, projection)
    async with store.transaction() as tx:
        return dict(await tx.fetch(f"SELECT sku, pieces FROM {projection.name}"))


FOUR = [Ordered("1"), Ordered("2", pieces=2), Ordered("3", "lamp"), Ordered("4", pieces=4)]


async def test_a_projection_that_fails_stops_before_the_event_and_goes_on_once_it_is_mended(store: Any) -> None:
    # WM-64
    await record(store, *FOUR)
    faulty = Faulty()
    projections = kinds(store, faulty)
    follower = Follower(store, projections, backoff="none", poll=0.01)
    with pytest.raises(PartStopped, match="before event 3"):
        await follower.catch_up()
    for projection in projections:
        lag = await follower.lag(projection)
        assert (lag.events, "lamp" in lag.reason or "NOT NULL" in lag.reason) == (2, True)
        assert await found(store, projection) == {"rope": 3}
    faulty.mended = True
    await follower.catch_up()
    for projection in projections:
        assert await follower.lag(projection.name) == Lag(0, 0.0)
        assert await found(store, projection) == {"rope": 7, "lamp": 1}


async def test_only_an_event_that_is_named_is_skipped(store: Any) -> None:
    # WM-64
    await record(store, *FOUR)
    projections = kinds(store, Faulty())
    follower = Follower(store, projections, backoff="none", poll=0.01)
    with pytest.raises(PartStopped):
        await follower.catch_up()
    for projection in projections:
        await follower.skip(projection, 3)
    await follower.catch_up()
    for projection in projections:
        assert await found(store, projection) == {"rope": 7}


async def test_events_that_cannot_be_decoded_stop_a_projection_and_others_pass(store: Any) -> None:
    # WM-64
    await record(store, Ordered("1"), Moved())
    await store.events.append("raw", [b"no message", b'{"$type":"Other"}'], 0)
    await store.events.append("bad", [b'{"$type":"Ordered","order":1}'], 0)
    await record(store, Ordered("2"))
    follower = Follower(store, [totals()], backoff="none", poll=0.01)
    with pytest.raises(PartStopped, match="before event 5"):
        await follower.catch_up()
    assert await content(store, totals()) == {"rope": 1}
    await follower.skip("totals", 5)
    await follower.catch_up()
    assert await content(store, totals()) == {"rope": 2}


async def test_types_of_the_codec_without_a_function_are_passed_over(store: Any) -> None:
    # WM-60
    codec = Codec([Ordered, Returned, Moved], upcasters={"Sold": {1: lambda old: {**old, "$type": "Moved"}}})
    await record(store, Ordered("1"))
    await store.events.append("old", [b'{"$type":"Sold"}', b'{"$type":"Sold","to":3}'], 0)
    follower = Follower(store, [totals(codec=codec)], backoff="none", poll=0.01)
    with pytest.raises(PartStopped, match="before event 3"):
        await follower.catch_up()
    assert await content(store, totals()) == {"rope": 1}


async def test_a_rebuild_beside_a_follower_that_runs_and_writers(store: Any) -> None:
    # WM-62
    projection = totals() if isinstance(store, MemoryStore) else sales()
    follower = Follower(store, [projection], batch=4, poll=0.01)
    aggregate, written = orders(store), anyio.Event()

    async def write() -> None:
        for number in range(20, 40):
            await aggregate.dispatch(Order(str(number)))
            assert (await content(store, projection))["rope"] >= 20
        written.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run)
            for number in range(20):
                await aggregate.dispatch(Order(str(number)))
            await follower.catch_up()
            tasks.start_soon(write)
            await follower.rebuild(projection)
            await written.wait()
            await follower.catch_up()
            follower.stop()
    assert await content(store, projection) == {"rope": 40}


async def test_a_projection_that_is_written_inline_has_no_lag(store: Any) -> None:
    # WM-39
    projection = totals()
    follower = Follower(store, [projection])
    assert (await follower.lag(projection)) == Lag(0, 0.0)
    await orders(store, inline=[projection]).dispatch(Order("1"))
    assert await follower.lag(projection) == Lag(0, 0.0)
    await follower.catch_up()
    assert await content(store, projection) == {"rope": 1}


async def test_a_projection_whose_tables_cannot_be_made_stops_no_other_part(tmp_path: Path, caplog: Any) -> None:
    # WM-64
    async with SqliteStore(tmp_path / "shop.db") as store:
        await record(store, *FOUR)
        bad = sales(tables={"sales": "no (columns"})
        follower = Follower(store, [bad, totals()], poll=0.01)
        with pytest.raises(PartStopped, match=r"sales cannot be opened: OperationalError.*") as stopped:
            await follower.catch_up()
        assert (stopped.value.part, stopped.value.position) == ("sales", 0)
        assert await content(store, totals()) == {"rope": 7, "lamp": 1}
        lag = await follower.lag(bad)
        assert (lag.events, "tables of the projection sales: sales" in lag.reason) == (4, True)
        assert await follower.lag("totals") == Lag(0, 0.0)
        assert "sales cannot be opened, others go on; next try in 0.5 s" in caplog.text


async def test_two_parts_of_one_name_and_unknown_parts_are_errors(store: Any) -> None:
    # WM-67
    with pytest.raises(InvalidOption, match="two parts have the name 'totals'"):
        Follower(store, [totals(), totals(version=2)])
    with pytest.raises(UnknownPart, match="sales"):
        await Follower(store, [totals()]).rebuild("sales")
