"""Stored events whose function fails when they are read."""

from __future__ import annotations

import pytest

from modd.aggregate import Aggregate
from tests.aggregate.billing import Invoice, Issue, Issued, invoices, issue

pytestmark = pytest.mark.anyio


async def test_the_error_of_an_event_function_comes_out_as_it_is_also_if_it_is_a_key_error() -> None:
    # WM-24
    prices = {10: 1}

    def priced(state: Invoice, event: Issued) -> Invoice:
        return Invoice(prices[event.amount], "issued")

    aggregate: Aggregate[Invoice] = invoices(commands={Issue: issue}, events={Issued: priced}, states=0)
    await aggregate.dispatch(Issue("7", 10))
    prices.clear()
    with pytest.raises(KeyError, match="10"):
        await aggregate.get("7")
