"""The example of a projection: run as a program, and its rows without a loop, a store and a file."""

from __future__ import annotations

import pytest

from examples.sales import OrderPlaced, sales, sales_with_revenue
from modd.testing import given
from tests.test_examples import printed

ORDERS = OrderPlaced("1", "rope", 2, 12), OrderPlaced("2", "lamp", 1, 30), OrderPlaced("3", "rope", 1, 12)


@pytest.mark.costly
def test_a_table_is_built_anew_while_orders_go_on() -> None:
    # WM-75
    lines = printed("examples/sales.py")
    assert lines[0] == "Version 1 has counted 300 orders: knife 150, lamp 150, rope 150"
    assert lines[-2:] == [
        "[####################] 360 of 360 events",
        "Built anew, it is the same: knife 180 1440, lamp 180 5400, rope 180 2160",
    ]


def test_its_rows_are_tested_without_a_file() -> None:
    # WM-70
    given(sales, *ORDERS).then_rows("SELECT * FROM sales ORDER BY sku", [("lamp", 1), ("rope", 3)])
    given(sales_with_revenue, *ORDERS).then_rows(
        "SELECT sku, revenue FROM sales ORDER BY sku", [("lamp", 30), ("rope", 36)]
    )
