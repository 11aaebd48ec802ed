"""What users write of projections, and the types it has: both checkers must accept it, and it runs (test_typing.py)."""

from __future__ import annotations

from typing import assert_type

from modd import Value
from modd.cqrs import Codec, Event
from modd.projection import Projection, Rows, StoredStates
from modd.stores import MemoryStore
from modd.testing import given


class Sold(Event):
    sku: str
    pieces: int = 1


class Returned(Event):
    sku: str


class Total(Value, frozen=True):
    pieces: int = 0


def count(event: Sold, rows: Rows) -> None:
    rows.execute("INSERT INTO {sales} VALUES (?, ?)", (event.sku, event.pieces))
    rows.execute("INSERT INTO {sales} VALUES (:sku, 1)", {"sku": event.sku})


def uncount(event: Returned, rows: Rows) -> None:
    rows.execute("DELETE FROM {sales} WHERE sku = ?", [event.sku])


def add(state: Total, event: Sold) -> Total:
    return Total(state.pieces + event.pieces)


def take(state: Total, event: Returned) -> Total | None:
    return Total(state.pieces - 1) if state.pieces > 1 else None


def count_sold(state: int, event: Sold) -> int:
    return state + event.pieces


sales = Projection("sales", tables={"sales": "sku TEXT, pieces INTEGER"}, events={Sold: count, Returned: uncount})
listed = Projection(
    "listed", tables={"listed": "sku TEXT"}, events=[count, uncount], version=2, codec=Codec([Sold, Returned])
)
totals = Projection("totals", state=Total, key="sku", events={Sold: add, Returned: take})
numbers = Projection("numbers", state=0, key=lambda event: None, events=[count_sold])


async def use_projections() -> None:
    assert_type(totals, Projection[Total])
    assert_type(numbers, Projection[int])
    assert_type(sales, Projection[None])
    reader = totals.of(MemoryStore())
    assert_type(reader, StoredStates[Total])
    assert_type(await reader.get("rope"), Total | None)
    assert_type(await reader.items(after="", limit=10), list[tuple[str, Total]])
    given(totals, Sold("rope"), Returned("rope")).then_state("rope", None)
    given(sales, Sold("rope")).then_rows("SELECT count(*) FROM sales", [(2,)])
