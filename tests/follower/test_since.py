"""The place in the log where a flow begins that a store does not know: the option `since`."""

from __future__ import annotations

from typing import Any

import pytest

from modd.flow import Flow
from tests.follower.shop import Fulfilment, Place, Placed, Shop, placed, unpaid

pytestmark = pytest.mark.anyio


def flow_since(since: Any) -> Flow[Fulfilment]:
    return Flow(
        "late",
        state=Fulfilment,
        identity="order",
        begins={Placed: placed},
        timeouts={"payment": unpaid},
        since=since,
    )


async def known(shop: Shop, *orders: str) -> list[str]:
    """Return those orders that the flow has an instance for."""
    documents = shop.store.documents("modd flow late")
    return [order for order in orders if await documents.get(order) is not None]


@pytest.mark.costly
@pytest.mark.parametrize(
    ("since", "instances"),
    [("start", ["1", "2", "3"]), (0, ["1", "2", "3"]), (1, ["2", "3"]), ("now", ["3"]), (9, ["3"])],
)
async def test_a_flow_that_the_store_does_not_know_begins_at_a_place_of_the_log(
    store: Any, since: Any, instances: list[str]
) -> None:
    # WM-156
    shop = Shop(store, flow_since(since))
    await shop.send(Place("1"), Place("2"))
    await shop.follower.catch_up()
    await shop.follow(Place("3"))
    assert await known(shop, "1", "2", "3") == instances


@pytest.mark.costly
async def test_a_flow_that_the_store_knows_goes_on_where_it_was(store: Any) -> None:
    # WM-156
    await Shop(store, flow_since("now")).follow(Place("1"))
    shop = Shop(store, flow_since("now"))
    await shop.send(Place("2"))
    again = Shop(store, flow_since("start"))
    await again.send(Place("3"))
    await again.follower.catch_up()
    assert await known(again, "1", "2", "3") == ["2", "3"]
