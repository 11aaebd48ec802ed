# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse of projections; it does not run (see wrong.py)."""

from __future__ import annotations

from modd.projection import Projection, Rows
from modd.stores import MemoryStore
from modd.testing import given
from tests.typing.projections import Returned, Sold, Total, add, count, totals


def returns_an_event(state: Total, event: Sold) -> Returned:
    return Returned(event.sku)


def takes_no_event(rows: Rows) -> None: ...


# Neither tables nor a state, both, and a state without a key.
Projection("a", events={Sold: add})  # type: ignore[call-overload]
Projection("a", tables={"a": "b"}, state=Total, key="sku", events={Sold: add})  # type: ignore[call-overload]
Projection("a", state=Total, events={Sold: add})  # type: ignore[call-overload]

# A function that returns no state, and one that takes no event.
Projection("a", state=Total, key="sku", events={Sold: returns_an_event})  # type: ignore[arg-type]
Projection("a", tables={"a": "b"}, events={Sold: takes_no_event})  # type: ignore[arg-type]

# Columns that are no text.
Projection("a", tables={"a": 3}, events={Sold: count})  # type: ignore[dict-item]


# A key that is no text, and a state of another type.
async def read() -> None:
    await totals.of(MemoryStore()).get(b"rope")  # type: ignore[arg-type]


given(totals, Sold("rope")).then_state("rope", 3)  # type: ignore[arg-type]
