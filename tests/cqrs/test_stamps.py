"""Stamps: frozen values that carry their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.cqrs import (
    Actor,
    Cacheable,
    CommandBus,
    Delay,
    Emitted,
    Envelope,
    Failed,
    FallbackUsed,
    FromCache,
    Handled,
    Identity,
    Queued,
    Redispatched,
    Retried,
    Revalidating,
    Stamp,
    Tenant,
    Timings,
    UnknownStamp,
    WebhookCalled,
)
from modd.middleware import Enqueue
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.cqrs.shop import Create, Created, Rename

pytestmark = pytest.mark.anyio

ALL = [
    Identity("1", "1"),
    Handled(1, "create"),
    Redispatched((Handled(1),)),
    FromCache(1.5, stale=True),
    Cacheable(ttl=0, stale_ttl=60),
    Cacheable(),
    Revalidating(),
    Queued(),
    FallbackUsed(),
    Timings(1_000),
    Retried(1, "ValueError"),
    WebhookCalled(1, "ok", 200),
    Failed("no"),
    Emitted(Created()),
    Actor("ada", ("admin",), {"email": "ada@example.org"}),
    Tenant("acme"),
    Delay(5.0),
    Delay(until=1.0),
    UnknownStamp({"$stamp": "Other"}),
]


class Trace(Stamp):
    inherited = True

    number: int


class Handle(Stamp):
    local = True

    thing: Any


@pytest.mark.parametrize("stamp", ALL, ids=lambda stamp: type(stamp).__name__)
def test_every_stamp_is_a_frozen_value_that_carries_its_time(stamp: Stamp) -> None:
    # MI-8
    assert isinstance(stamp, Stamp) and abs(time() - stamp.at) < 3600
    with pytest.raises(AttributeError):
        stamp.at = 0.0  # type: ignore[misc]
    same = type(stamp)(**{name: getattr(stamp, name) for name in stamp.__struct_fields__})
    assert same == stamp


def test_users_define_their_own() -> None:
    # MI-8
    assert Trace(1, at=3.0).at == 3.0 and Trace(number=2).number == 2
    assert Trace.inherited and not Trace.local
    assert Handle(object()).local and not Handle.inherited
    assert (Actor.inherited, Tenant.inherited, Handled.inherited) == (True, True, False)


def test_claims_are_shown_to_nobody() -> None:
    # MI-8
    assert "example" not in repr(Actor("ada", claims={"email": "ada@example.org"}))


@pytest.mark.parametrize("given", [{}, {"seconds": 1.0, "until": 1.0}])
def test_a_delay_has_seconds_or_a_time(given: dict[str, float]) -> None:
    # MI-8
    with pytest.raises(InvalidOption, match="either"):
        Delay(**given)


@pytest.mark.parametrize("given", [-1.0, float("nan"), True, "5"])
@pytest.mark.parametrize("option", ["seconds", "until"])
def test_a_delay_that_is_no_time_is_refused(option: str, given: Any) -> None:
    # MI-8
    with pytest.raises(InvalidOption):
        Delay(**{option: given})


def test_a_delay_of_a_datetime_or_a_timedelta_names_the_method_that_makes_seconds_of_it() -> None:
    # DF-32
    moment: Any = datetime.now(UTC)
    with pytest.raises(InvalidOption, match=r"^until=.*datetime, its timestamp\(\)"):
        Delay(until=moment)
    span: Any = timedelta(minutes=5)
    with pytest.raises(InvalidOption, match=r"^seconds=.*timedelta, its total_seconds\(\)"):
        Delay(span)


@pytest.mark.parametrize("enveloped", [True, False])
@pytest.mark.parametrize("around", [True, False])
async def test_a_delay_is_refused_by_a_bus_that_queues_nothing(enveloped: bool, around: bool) -> None:
    # DF-32
    handled = list[Any]()
    commands = CommandBus({Create: handled.append})
    bus: Any = Bus([commands]) if around else commands
    with pytest.raises(InvalidOption, match=r"^stamp=Delay\(.*commands queues nothing, .*Enqueue\(queue\)"):
        await (bus.dispatch(Envelope(Create(), Delay(5.0))) if enveloped else bus.dispatch(Create(), Delay(5.0)))
    assert handled == []


async def test_a_delay_is_taken_by_a_bus_that_queues_and_by_that_of_a_worker() -> None:
    # DF-32
    handled, queue = list[Any](), MemoryQueue()
    await CommandBus({Rename: handled.append}, middleware=[Enqueue(queue)]).dispatch(Rename(), Delay(0.001))
    await Worker(queue, CommandBus({Rename: handled.append})).run_until_idle(ahead=1)
    at_once = CommandBus({Rename: handled.append}, middleware=[Enqueue(queue, enabled=False)])
    await at_once.dispatch(Envelope(Rename(), Delay(5.0)))
    assert handled == [Rename(), Rename()]


async def test_stamps_of_the_bus_take_their_time_from_its_clock() -> None:
    # MI-8
    async def handle(envelope: Envelope[Create]) -> int:
        envelope.emit(Created())
        return 1

    dispatched = await CommandBus([handle], clock=lambda: 12.0).dispatch(Create())
    assert {type(stamp): stamp.at for stamp in dispatched.envelope.stamps} == {
        Identity: 12.0,
        Handled: 12.0,
        Emitted: 12.0,
    }
    again = await CommandBus([handle], clock=lambda: 15.0).dispatch(dispatched.envelope)
    assert {type(stamp): stamp.at for stamp in again.envelope.stamps}[Redispatched] == 15.0


async def test_an_inherited_stamp_is_passed_on_to_what_is_caused_and_no_other_is() -> None:
    # MI-8
    inner = CommandBus({Create: lambda message: 1}, name="inner")
    seen: list[Envelope[Any]] = []

    async def outer_handler(message: Create) -> int:
        seen.append((await inner.dispatch(Create("Bob"))).envelope)
        return 1

    await CommandBus([outer_handler]).dispatch(Create(), Trace(7), Handle(1), Tenant("acme"))
    assert [type(stamp) for stamp in seen[0].stamps] == [Identity, Trace, Tenant, Handled]
