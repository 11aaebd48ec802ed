"""States of an older version are brought up when their instance hears of something; unreadable ones are kept."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Value
from modd.flow import End, Flow, Go, Timeout, end, go
from tests.follower.shop import Cancel, Paid, Pay, Place, Placed, Refill, Shop, fulfilment

pytestmark = pytest.mark.anyio


class Basket(Value, frozen=True):
    """The state of a later version of the flow: it has no field of the first one but the order."""

    order: str = ""
    skus: tuple[str, ...] = ()


def begin(flow: Basket, event: Placed) -> Go[Basket]:
    return go(Basket(event.order, (event.sku,)))


def cancel(flow: Basket, event: Paid | Timeout) -> End:
    return end(Cancel(flow.order, f"sold {', '.join(flow.skus)}"))


def list_skus(old: dict[str, Any]) -> dict[str, Any]:
    return {"order": old["order"], "skus": [old["sku"]]}


def baskets(upcasters: Any) -> Flow[Basket]:
    """Return the second version of the flow."""
    return Flow(
        fulfilment.name,
        state=Basket,
        identity="order",
        begins={Placed: begin},
        reacts={Paid: cancel},
        timeouts={"payment": cancel},
        version=2,
        upcasters=upcasters,
    )


async def stored_state(shop: Shop) -> bytes:
    found: bytes | None = await shop.store.documents(f"modd flow {fulfilment.name}").get("7")
    assert found is not None
    return found


@pytest.mark.costly
async def test_an_instance_whose_state_cannot_be_read_is_set_aside_with_its_state_as_it_was(store: Any) -> None:
    # WM-58
    await Shop(store).follow(Refill("tea", 2), Place("7"))
    state = b'"order":"7","sku":"tea"'
    assert state in await stored_state(Shop(store))
    shop = Shop(store, baskets({}), attempts=1)
    await shop.follow(Pay("7"), Place("8"), Pay("8"))
    assert await shop.seen("8") == ("Placed", "Paid", "Cancelled")  # other instances go on
    (stuck,) = await shop.follower.stuck(shop.flow)
    assert (stuck.id, stuck.event) == ("7", "Paid")
    assert stuck.reason.startswith("UnreadableState: a state of the flow fulfilment, stored with version 1, cannot be")
    assert "tea" not in stuck.reason
    assert state in await stored_state(shop)
    mended = Shop(store, baskets({1: list_skus}))
    await mended.follower.resume("fulfilment", "7")
    await mended.follower.catch_up()
    assert await mended.seen("7") == ("Placed", "Paid", "Cancelled")
    assert await mended.follower.stuck("fulfilment") == []


async def test_an_older_process_sets_aside_an_instance_of_a_newer_version(store: Any) -> None:
    # WM-58
    newer = Shop(store, baskets({1: list_skus}))
    await newer.follow(Place("7"))
    older = Shop(store, attempts=1)
    await older.follow(Pay("7"))
    (stuck,) = await older.follower.stuck(fulfilment)
    assert "deploy this version everywhere, and resume the instance" in stuck.reason
    await newer.follower.resume("fulfilment", "7")
    await newer.follower.catch_up()
    assert await newer.seen("7") == ("Placed", "Paid", "Cancelled")
