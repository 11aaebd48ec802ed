"""Instances of flows that are set aside: others go on, and their events wait."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from modd import Value
from modd.aggregate.event_codec import headers_of
from modd.cqrs import CommandBus, GiveUp, InFlow
from modd.flow import Flow, Go, Timeout, end, go, timeout
from modd.follower import Follower, NotStuck, PartStopped, UnknownPart
from modd.follower.instances import DueEntry, FlowDocuments, FlowInstance
from modd.follower.stuck import StuckInstances
from modd.ports import Item, StoreError
from modd.stores import MemoryStore
from tests.follower.conftest import Clock
from tests.follower.shop import Fulfilment, Paid, Pay, Place, Placed, Ship, Shop

pytestmark = pytest.mark.anyio


class Fragile:
    """A flow that fails for the orders in ``broken``, and notes what it has heard."""

    def __init__(self, *broken: str, kind: type[Exception] = ValueError) -> None:
        self.broken, self.kind, self.heard, self.tries = {*broken}, kind, list[str](), 0
        self.flow = Flow(
            "fragile",
            state=Fulfilment,
            identity="order",
            begins={Placed: self._noting("placed")},
            reacts={Paid: self._noting("paid")},
            timeouts={"late": self._late},
        )

    def _noting(self, word: str) -> Callable[[Fulfilment, Any], Go[Fulfilment]]:
        def note(flow: Fulfilment, event: Any) -> Go[Fulfilment]:
            self.tries += 1
            if event.order in self.broken:
                raise self.kind(f"cannot do {event.order}")
            self.heard.append(f"{event.order} {word}")
            return go(Fulfilment(event.order), timeout("late", hours=1))

        return note

    def _late(self, flow: Fulfilment, late: Timeout) -> Go[Fulfilment]:
        self.heard.append(f"{flow.order} late")
        return go(flow)


async def test_an_instance_that_fails_is_set_aside_and_others_go_on(timed: Any) -> None:  # WM-57
    fragile = Fragile("7")
    shop = Shop(timed, fragile.flow, backoff="exponential")
    await shop.follow(Place("7"), Place("8"), Pay("7"), Pay("8"))
    assert fragile.heard == ["8 placed", "8 paid"]
    [stuck] = await shop.follower.stuck(fragile.flow)
    assert (stuck.id, stuck.event, stuck.position, stuck.waiting, stuck.attempts) == ("7", "Placed", 1, 2, 1)
    assert stuck.reason.startswith("ValueError: cannot do 7")
    assert stuck.retry_at is not None


async def test_it_tries_again_by_the_backoff_and_then_does_all_that_waits_in_order(
    timed: Any, clock: Clock
) -> None:  # WM-57
    fragile = Fragile("7")
    shop = Shop(timed, fragile.flow, backoff=lambda attempt: 10 * attempt)
    await shop.follow(Place("7"), Pay("7"))
    for seconds, attempts in ((9, 1), (1, 2), (19, 2), (1, 3)):
        clock.now += seconds
        await shop.follower.catch_up()
        [stuck] = await shop.follower.stuck("fragile")
        assert stuck.attempts == attempts
    fragile.broken.clear()
    clock.now += 30
    await shop.follower.catch_up()
    assert fragile.heard == ["7 placed", "7 paid"]
    assert await shop.follower.stuck("fragile") == []
    await shop.follow(Pay("7"))
    assert fragile.heard == ["7 placed", "7 paid", "7 paid"]


@pytest.mark.parametrize("kind", [ValueError, GiveUp])
async def test_after_its_attempts_it_waits_until_it_is_resumed(timed: Any, kind: type[Exception]) -> None:  # WM-57
    fragile = Fragile("7", kind=kind)
    shop = Shop(timed, fragile.flow, attempts=3)
    await shop.follow(Place("7"))
    tries = fragile.tries
    assert tries == (3 if kind is ValueError else 1)
    await shop.follow(Pay("7"))
    assert fragile.tries == tries
    [stuck] = await shop.follower.stuck("fragile")
    assert (stuck.retry_at, stuck.attempts, stuck.waiting) == (None, tries, 2)
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    assert fragile.tries == 2 * tries
    fragile.broken.clear()
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    assert fragile.heard == ["7 placed", "7 paid"]
    assert await shop.follower.stuck("fragile") == []


async def test_the_log_has_the_first_and_the_last_attempt_in_full_and_a_line_for_each_between(
    timed: Any, clock: Clock, caplog: Any
) -> None:  # WM-57
    caplog.set_level(logging.INFO, "modd.follower")
    shop = Shop(timed, Fragile("7").flow, attempts=4, backoff=lambda attempt: 10 * attempt)
    await shop.follow(Place("7"))
    for seconds in (10, 20, 30):
        clock.now += seconds
        await shop.follower.catch_up()
    told = [each for each in caplog.records if "set aside" in each.getMessage()]
    start = "the instance '7' of the flow fragile is set aside at Placed, event 1, attempt"
    assert [(each.levelname, each.getMessage(), each.exc_info is not None) for each in told] == [
        ("WARNING", f"{start} 1 of 4; next try in 10 s", True),
        ("INFO", f"{start} 2 of 4; next try in 20 s (ValueError)", False),
        ("INFO", f"{start} 3 of 4; next try in 30 s (ValueError)", False),
        ("ERROR", f"{start} 4 of 4; it waits for resume", True),
    ]


async def test_the_log_names_a_timeout_that_fails_and_an_event_that_cannot_be_read(
    timed: Any, clock: Clock, monkeypatch: Any, caplog: Any
) -> None:  # WM-57
    fragile = Fragile()
    shop = Shop(timed, fragile.flow, attempts=2)
    await shop.follow(Place("7"))
    monkeypatch.delitem(fragile.flow.timeouts, "late")
    clock.now += 3600
    await shop.follower.catch_up()
    fragile.broken.add("8")
    await shop.follow(Place("8"))

    async def event(position: int) -> Any:
        raise LookupError(f"no event at position {position}")

    [source] = shop.follower._sources.values()
    monkeypatch.setattr(source._reader, "event", event)  # type: ignore[attr-defined]
    await shop.follower.resume("fragile", "8")
    await shop.follower.catch_up()
    texts = [each.split(" is set aside ")[1].split("\n")[0] for each in caplog.messages if "set aside" in each]
    assert "at the timeout 'late', attempt 2 of 2; it waits for resume" in texts
    assert "at event 2, attempt 2 of 2; it waits for resume" in texts


async def test_an_event_of_it_is_skipped_and_those_behind_it_are_done(timed: Any) -> None:  # WM-57
    fragile = Fragile()
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"))
    fragile.broken.add("7")
    await shop.follow(Pay("7"), Pay("7"))
    fragile.broken.clear()
    await shop.follower.skip(fragile.flow, "7")
    await shop.follower.catch_up()
    assert fragile.heard == ["7 placed", "7 paid"]


async def test_an_instance_whose_only_event_is_skipped_goes_on_or_was_never_there(timed: Any) -> None:  # WM-57
    fragile = Fragile("7")
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("8"), Place("7"))
    fragile.broken.add("8")
    await shop.follow(Pay("8"))
    for order in ("7", "8"):
        await shop.follower.skip("fragile", order)
    fragile.broken.clear()
    assert await shop.follower.stuck("fragile") == []
    await shop.follow(Pay("7"), Pay("8"))
    assert fragile.heard == ["8 placed", "8 paid"]


async def test_a_timeout_of_it_waits_in_its_place(timed: Any, clock: Clock) -> None:  # WM-57
    fragile = Fragile()
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"))
    fragile.broken.add("7")
    await shop.follow(Pay("7"))
    clock.now += 3600
    await shop.follower.catch_up()
    await shop.send(Pay("7"))
    await shop.follower.catch_up()
    [stuck] = await shop.follower.stuck("fragile")
    assert stuck.waiting == 3
    fragile.broken.clear()
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    assert fragile.heard == ["7 placed", "7 paid", "7 late", "7 paid"]


async def test_a_timeout_that_fails_sets_the_instance_aside(timed: Any, clock: Clock) -> None:  # WM-57
    fragile = Fragile()
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"))
    del fragile.flow.timeouts["late"]  # as in a later version of the program
    clock.now += 3600
    await shop.follower.catch_up()
    [stuck] = await shop.follower.stuck("fragile")
    assert (stuck.event, stuck.position, stuck.waiting) == ("late", None, 1)
    assert stuck.reason.startswith("UnknownTimeout")
    fragile.flow.timeouts["late"] = fragile._late
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    assert fragile.heard == ["7 placed", "7 late"]


async def test_what_else_waits_stays_behind_the_one_that_fails_next(timed: Any) -> None:  # WM-57
    fragile = Fragile("7")
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"), Pay("7"), Pay("7"))
    placed, fragile.flow.begins[Placed] = fragile.flow.begins[Placed], lambda flow, event: go(flow)
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    [stuck] = await shop.follower.stuck("fragile")
    assert (stuck.event, stuck.waiting, stuck.attempts) == ("Paid", 2, 1)
    fragile.flow.begins[Placed] = placed


async def test_a_process_that_has_nothing_of_the_flow_resumes_it_while_a_follower_runs(stores: Any) -> None:  # WM-57
    fragile = Fragile("7")
    first, second = Shop(stores[0], fragile.flow, attempts=1, poll=0.01), Shop(stores[1], Fragile().flow)
    await first.follow(Place("7"))
    fragile.broken.clear()
    async with first.follower._engine.session():
        while await first.follower._engine.advance():
            pass
        await second.follower.resume("fragile", "7")
        first.follower._engine.wake()
        while await first.follower._engine.advance():
            pass
    assert fragile.heard == ["7 placed"]


@pytest.mark.unmeasured
async def test_all_that_are_stuck_are_listed_however_many(timed: Any) -> None:  # WM-57
    names = [str(number) for number in range(130)]
    fragile = Fragile(*names)
    shop = Shop(timed, fragile.flow, attempts=1)
    await timed.events.append(
        "orders", [f'{{"$type":"Placed","order":"{name}","sku":""}}'.encode() for name in names], 0
    )
    await shop.follower.catch_up()
    assert [each.id for each in await shop.follower.stuck("fragile")] == sorted(names)


async def test_what_is_not_set_aside_can_be_neither_resumed_nor_skipped(timed: Any) -> None:
    fragile = Fragile("8")
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"), Place("8"))
    for action in (shop.follower.resume, shop.follower.skip):
        for id in ("7", "9"):
            with pytest.raises(NotStuck, match=f"the instance '{id}' of fragile is not set aside; these are: '8'"):
                await action("fragile", id)
    with pytest.raises(NotStuck, match="the event 5 of fragile is not set aside"):
        await shop.follower.skip("fragile", position=5)
    with pytest.raises(UnknownPart, match="no part 'other'; its parts: fragile"):
        await shop.follower.stuck("other")


class Newer(Value, frozen=True):
    """The state of the next version."""

    order: str = ""
    currency: str = ""


async def upgraded(shop: Shop, store: Any, upcasters: Any) -> tuple[Follower, list[str]]:
    """Return a follower with the next version of the flow ``fragile``, and the currencies that it sees."""
    seen: list[str] = []

    def pay(flow: Newer, event: Paid) -> Go[Newer]:
        seen.append(f"{flow.order} {flow.currency}")
        return go(flow)

    begins = {Placed: lambda flow, event: go(flow)}
    flow = Flow(
        "fragile",
        state=Newer,
        identity="order",
        begins=begins,
        reacts={Paid: pay},
        timeouts={"late": lambda flow, _: go(flow)},
        version=2,
        upcasters=upcasters,
    )
    return Follower(store, [flow], commands=shop.desk, attempts=1), seen


async def test_a_state_of_an_older_version_is_brought_up(timed: Any) -> None:  # WM-58
    shop = Shop(timed, Fragile().flow)
    await shop.follow(Place("7"))
    follower, seen = await upgraded(shop, timed, {1: lambda old: {"order": old["order"], "currency": "EUR"}})
    await shop.send(Pay("7"), Pay("7"))
    await follower.catch_up()
    assert seen == ["7 EUR", "7 EUR"]


async def test_a_state_that_cannot_be_read_is_stuck_and_not_lost(timed: Any) -> None:  # WM-58
    shop = Shop(timed, Fragile().flow)
    await shop.follow(Place("7"))
    follower, seen = await upgraded(shop, timed, {1: lambda old: old["no such"]})
    await shop.send(Pay("7"))
    await follower.catch_up()
    [stuck] = await follower.stuck("fragile")
    assert (stuck.event, stuck.waiting) == ("Paid", 1)
    assert stuck.reason.startswith("UnreadableState")
    mended, seen = await upgraded(shop, timed, {1: lambda old: {"order": old["order"], "currency": "USD"}})
    await mended.resume("fragile", "7")
    await mended.catch_up()
    assert seen == ["7 USD"]


async def test_a_state_that_would_not_come_back_sets_the_instance_aside(timed: Any) -> None:  # WM-58
    def placed(flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
        return go(Fulfilment(order=7), Ship("7"))  # type: ignore[arg-type]

    shop = Shop(timed, Flow("odd", state=Fulfilment, identity="order", begins={Placed: placed}), attempts=1)
    await shop.follow(Place("7"))
    [stuck] = await shop.follower.stuck("odd")
    assert stuck.reason.startswith("Unencodable")
    assert await shop.seen("7") == ("Placed",)


async def test_an_event_that_cannot_be_decoded_stops_the_flow_until_it_is_skipped(timed: Any) -> None:
    fragile = Fragile()
    shop = Shop(timed, fragile.flow)
    await shop.follow(Place("7"))
    await timed.events.append("odd", [b'{"$type":"Paid","order":7}'], 0)
    with pytest.raises(PartStopped, match="fragile stands before event 2") as stopped:
        await shop.follow(Pay("7"))
    assert (stopped.value.part, stopped.value.position) == ("fragile", 2)
    lag = await shop.follower.lag("fragile")
    assert (lag.events, lag.reason) == (2, stopped.value.reason)
    await shop.follower.skip("fragile", position=2)
    await shop.follower.catch_up()
    assert fragile.heard == ["7 placed", "7 paid"]
    assert (await shop.follower.lag(fragile.flow)).reason == ""


async def test_an_identity_that_raises_stops_the_flow(timed: Any) -> None:
    flow = Flow(
        "keyed",
        state=Fulfilment,
        identity=lambda event: {"8": "8"}[event.order],
        begins={Placed: lambda flow, _: go(flow)},
    )
    shop = Shop(timed, flow)
    with pytest.raises(PartStopped, match="KeyError"):
        await shop.follow(Place("8"), Place("7"))


async def test_an_event_of_a_known_instance_that_cannot_be_decoded_sets_that_aside(timed: Any) -> None:  # WM-57
    fragile = Fragile()
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"))
    headers = headers_of([InFlow("fragile", "7")])
    await timed.events.append("odd", [Item(b'{"$type":"Paid","order":7}', headers)], 0)
    await shop.follow(Place("8"))
    [stuck] = await shop.follower.stuck("fragile")
    assert (stuck.id, stuck.event) == ("7", "Paid")
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    [stuck] = await shop.follower.stuck("fragile")
    assert stuck.attempts == 1
    await shop.follower.skip("fragile", "7")
    assert await shop.follower.stuck("fragile") == []
    assert fragile.heard == ["7 placed", "8 placed"]


async def test_a_command_that_fails_for_good_is_a_dead_letter_of_the_queue_of_commands(timed: Any) -> None:  # WM-57
    async def fail(command: Ship) -> None:
        raise ValueError("no carrier")

    desk = CommandBus()
    desk.register(Ship, fail)
    flow = Flow("odd", state=Fulfilment, identity="order", begins={Placed: lambda flow, event: go(flow, Ship("7"))})
    await Shop(timed).send(Place("7"))
    follower = Follower(timed, [flow], commands=desk, name="shop", attempts=2, backoff="none")
    await follower.catch_up()
    [dead] = await timed.queue("shop commands").dead()
    assert (dead.attempts, dead.reason) == (2, "ValueError: no carrier")
    assert await follower.stuck(flow) == []


async def test_what_waits_behind_the_end_of_an_instance_is_passed_over(timed: Any) -> None:  # WM-56
    fragile = Fragile("7")
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"), Pay("7"), Pay("7"))
    fragile.flow.begins[Placed] = lambda flow, event: end(Ship(event.order))
    await shop.follower.resume("fragile", "7")
    await shop.follower.catch_up()
    assert await shop.follower.stuck("fragile") == []
    assert await shop.seen("7") == ("Placed", "Paid", "Paid", "Shipped")


async def test_a_store_that_fails_while_waiting_events_are_read_is_no_failure_of_the_instance(
    timed: Any, monkeypatch: Any
) -> None:  # WM-57
    fragile = Fragile("7")
    shop = Shop(timed, fragile.flow, attempts=1)
    await shop.follow(Place("7"))
    await shop.follower.resume("fragile", "7")
    page, fails = timed.events.page, [True]

    async def fail(after: int, limit: int, headers: bool = True) -> Any:
        if limit == 1 and fails[0]:
            fails[0] = False
            raise StoreError("the store", "it is away")
        return await page(after, limit, headers)

    monkeypatch.setattr(timed.events, "page", fail)
    fragile.broken.clear()
    await shop.follower.catch_up()
    assert (fails, fragile.heard) == ([False], ["7 placed"])


async def test_an_entry_of_the_index_that_no_instance_has_is_removed(timed: Any) -> None:  # WM-55
    shop = Shop(timed, Fragile().flow)
    await shop.follow(Place("7"))
    due = timed.documents("modd due fragile")
    for order in "78":
        await due.put(DueEntry(1.0, "late", order).place, f'[1.0,"late","{order}"]'.encode())
    await shop.follower.catch_up()
    assert len(await due.items()) == 1


async def test_an_instance_that_goes_on_while_it_is_read_is_not_told() -> None:
    store = MemoryStore()
    await FlowDocuments(store, "payment").write("a", None, FlowInstance("a", "running"))
    stuck = StuckInstances(store, "payment")
    await stuck._documents._stuck.put("a", b"")  # as it was when the index was read
    assert await stuck.all() == []
