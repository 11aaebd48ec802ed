"""Timeouts of flows: they come once, by the clock of the store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd.aggregate import Rejected
from modd.cqrs import Envelope, Tenant
from modd.flow import End, Flow, Go, Timeout, cancel_timeout, end, go, timeout
from tests.follower.conftest import Clock
from tests.follower.shop import Cancel, Fulfilment, Paid, Pay, Place, Placed, Refill, Ship, Shop, refused

pytestmark = pytest.mark.anyio

HALF_AN_HOUR = 1800


async def test_a_timeout_comes_once_when_it_is_due(timed: Any, clock: Clock) -> None:  # WM-55
    shop = Shop(timed)
    await shop.follow(Refill("tea", 1), Place("7"))
    clock.now += HALF_AN_HOUR - 1
    await shop.follower.catch_up()
    assert await shop.seen("7") == ("Placed",)
    clock.now += 1
    await shop.follower.catch_up()
    await shop.follower.catch_up()
    assert await shop.seen("7") == ("Placed", "Cancelled")
    assert await shop.pieces() == 1


async def test_a_timeout_survives_a_restart_and_a_late_one_is_no_error(timed: Any, clock: Clock) -> None:  # WM-55
    await Shop(timed).follow(Refill("tea", 1), Place("7"))
    clock.now += 100 * HALF_AN_HOUR
    shop = Shop(timed)
    await shop.follower.catch_up()
    assert await shop.seen("7") == ("Placed", "Cancelled")


async def test_events_that_came_before_a_late_timeout_come_first(timed: Any, clock: Clock) -> None:  # WM-55
    shop = Shop(timed)
    await shop.follow(Refill("tea", 1), Place("7"))
    await shop.send(Pay("7"))
    clock.now += HALF_AN_HOUR
    await shop.follower.catch_up()
    assert await shop.seen("7") == ("Placed", "Paid", "Shipped")


async def test_no_timeout_comes_after_it_was_cancelled_or_after_the_end(timed: Any, clock: Clock) -> None:  # WM-55
    shop = Shop(timed)
    await shop.follow(Refill("tea", 1), Place("ended"), Pay("ended"))
    await shop.follow(Pay("cancelled"), Place("cancelled"))
    clock.now += HALF_AN_HOUR
    await shop.follower.catch_up()
    assert await shop.seen("ended") == ("Placed", "Paid", "Shipped")
    assert await shop.seen("cancelled") == ("Paid", "Placed", "Cancelled")  # for want of stock, and before
    assert await timed.documents("modd due fulfilment").items() == []


def waiting(*, anew: float) -> Flow[Fulfilment]:
    """Return a flow whose timeout ships; a payment sets it anew."""

    def placed(flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
        return go(flow, timeout("late", seconds=10), timeout("never", days=1))

    def paid(flow: Fulfilment, event: Paid) -> Go[Fulfilment]:
        return go(flow, timeout("late", seconds=anew), cancel_timeout("never"))

    def late(flow: Fulfilment, timeout: Timeout) -> End:
        return end(Ship("7"))

    return Flow(
        "waiting",
        state=Fulfilment,
        identity="order",
        begins={Placed: placed},
        reacts={Paid: paid, Rejected: refused},
        timeouts={"late": late, "never": late},
    )


@pytest.mark.unmeasured
@pytest.mark.costly
@pytest.mark.parametrize(("anew", "due"), [(5, 5), (20, 20)])
async def test_a_timeout_that_was_set_anew_comes_at_the_new_time(
    timed: Any, clock: Clock, anew: int, due: int
) -> None:  # WM-55
    shop = Shop(timed, waiting(anew=anew))
    await shop.follow(Place("7"), Pay("7"))
    for _ in range(due - 1):
        clock.now += 1
        await shop.follower.catch_up()
    assert await shop.seen("7") == ("Placed", "Paid")
    clock.now += 1
    await shop.follower.catch_up()
    assert await shop.seen("7") == ("Placed", "Paid", "Shipped")


class Counted(Fulfilment, frozen=True):
    """A state that counts its timeouts."""

    count: int = 0


def again(flow: Counted, late: Timeout) -> Go[Counted] | End:
    if flow.count == 2:
        return end(Cancel("7", "three times"))
    return go(msgspec.structs.replace(flow, count=flow.count + 1), Ship("7"), timeout("again", seconds=0))


async def test_a_timeout_that_sets_itself_sends_a_command_each_time(timed: Any) -> None:  # WM-55
    flow = Flow(
        "again",
        state=Counted,
        identity="order",
        begins={Placed: lambda flow, _: go(flow, timeout("again", seconds=0))},
        timeouts={"again": again},
    )
    shop = Shop(timed, flow)
    await shop.follow(Place("7"))
    assert await shop.seen("7") == ("Placed", "Shipped", "Shipped", "Cancelled")


async def test_commands_of_a_timeout_are_for_the_tenant_of_its_instance(timed: Any, clock: Clock) -> None:  # WM-55
    shop = Shop(timed)
    await shop.follow(Envelope(Refill("tea", 1), Tenant("left")), Envelope(Place("7"), Tenant("left"), id="p"))
    clock.now += HALF_AN_HOUR
    await shop.follower.catch_up()
    [event] = [event async for event in timed.events.read_all() if b'"Cancelled"' in event.body]
    assert event.stream == "~left/order/7"
    assert event.headers["correlation"] == "p"
    assert event.headers["causation"] == "fulfilment/~left/7/payment#1#2".replace(
        "payment#1#2", "payment#1/fulfilment#2"
    )


@pytest.mark.costly
async def test_many_timeouts_that_are_due_at_once_all_come(timed: Any, clock: Clock) -> None:  # WM-55
    flow = Flow(
        "many",
        state=Fulfilment,
        identity="order",
        begins={Placed: lambda flow, _: go(flow, timeout("late", hours=1))},
        timeouts={"late": lambda *_: end()},
    )
    shop = Shop(timed, flow)
    bodies = [f'{{"$type":"Placed","order":"{number}","sku":""}}'.encode() for number in range(300)]
    await timed.events.append("orders", bodies, 0)
    await shop.follower.catch_up()
    assert len(await timed.documents("modd due many").items(limit=999)) == 300
    clock.now += 3600
    await shop.follower.catch_up()
    assert await timed.documents("modd due many").items() == []
