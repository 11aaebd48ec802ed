"""The public class: its options, its run beside workers, the lag, and catching up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd.cqrs import CommandBus, Emit
from modd.errors import AlreadyOpen, Deadlock, InvalidOption
from modd.flow import Flow, Go, end, go
from modd.follower import Follower, Lag
from modd.ports import StoreError
from modd.projection import Projection
from modd.stores import MemoryStore
from modd.worker import AlreadyRunning, run_workers
from tests.follower.conftest import Clock
from tests.follower.shop import (
    Fulfilment,
    Pay,
    Place,
    Placed,
    Refill,
    Reserve,
    Ship,
    Shipped,
    Shop,
    fulfilment,
    running,
)
from tests.stores.sqlite.faulty import until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"parts": []}, "parts"),
        ({"parts": [Fulfilment()]}, "parts"),
        ({"parts": [fulfilment, fulfilment]}, "parts"),
        ({"parts": fulfilment}, "parts"),
        ({"store": object()}, "store"),
        ({"commands": None}, "commands"),
        ({"commands": CommandBus()}, "commands"),
        ({"batch": 0}, "batch"),
        ({"attempts": 0}, "attempts"),
        ({"backoff": "often"}, "backoff"),
        ({"lease": 0}, "lease"),
        ({"poll": 0}, "poll"),
        ({"drain": -1}, "drain"),
        ({"name": ""}, "name"),
    ],
)
async def test_an_option_that_cannot_work_is_an_error_when_it_is_made(options: dict[str, Any], name: str) -> None:
    # WM-67
    store = MemoryStore()
    good: dict[str, Any] = {"store": store, "parts": [fulfilment], "commands": Shop(store).desk}
    with pytest.raises(InvalidOption, match=f"^{name}="):
        Follower(**good | options)


async def test_a_command_in_the_code_of_a_flow_that_no_bus_handles_is_an_error_when_it_is_made() -> None:  # WM-67
    store = MemoryStore()
    with pytest.raises(InvalidOption, match="fulfilment sends Reserve, which order does not handle"):
        Follower(store, [fulfilment], commands=Shop(store).orders)


async def test_a_command_that_no_bus_handles_sets_the_instance_aside(timed: Any) -> None:  # WM-67
    kinds = [Reserve]
    flow = Flow("odd", state=Fulfilment, identity="order", begins={Placed: lambda flow, _: go(flow, kinds[0]("tea"))})
    shop = Shop(timed)
    follower = Follower(timed, [flow], commands=shop.orders, attempts=1)
    await shop.send(Place("7"))
    await follower.catch_up()
    [stuck] = await follower.stuck(flow)
    assert stuck.reason.startswith("NoHandler: no handler for Reserve")


async def test_it_does_not_ask_for_a_relay(store: Any, caplog: pytest.LogCaptureFixture) -> None:  # WM-155
    caplog.set_level(logging.INFO, "modd")
    shop = Shop(store)
    async with running(shop.follower):
        await shop.follow(Place("7"))
    assert not [text for text in caplog.messages if "Relay" in text]


async def test_it_asks_for_a_relay_if_handlers_outside_of_aggregates_may_emit_events(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # WM-155
    async def ship(command: Ship, emit: Emit) -> None:
        emit(Shipped(command.order))

    flow = Flow("sending", state=Fulfilment, identity="order", begins={Placed: lambda flow, event: go(flow)})
    caplog.set_level(logging.INFO, "modd")
    follower = Follower(store, [flow], commands=CommandBus([ship]))
    async with running(follower):
        await follower.wait_ready()
    assert [text for text in caplog.messages if text.endswith("a Relay, here or elsewhere, passes them on")]


async def test_it_runs_beside_workers_until_it_is_stopped(store: Any) -> None:  # WM-65
    shop = Shop(store, poll=0.05)
    await shop.send(Refill("tea", 1))

    class Orders:
        """Places an order, and stops the follower when it is shipped."""

        async def run(self) -> None:
            await shop.follow(Place("7"), Pay("7"))
            shop.follower.stop()

        def stop(self) -> None: ...

    with anyio.fail_after(60):
        await run_workers(shop.follower, Orders())
    assert await shop.seen("7") == ("Placed", "Paid", "Shipped")
    assert shop.follower.last_polled is not None
    assert shop.follower.drain == 30


async def test_stop_before_a_run_ends_the_next_one_alone(store: Any) -> None:  # WM-65
    shop = Shop(store)
    shop.follower.stop()
    with anyio.fail_after(60):
        await shop.follower.run()
    async with running(shop.follower):
        await shop.follow(Refill("tea", 1), Place("7"))
    assert await shop.pieces() == 0


async def test_a_follower_that_runs_is_run_a_second_time_only_after_its_end(store: Any) -> None:
    shop = Shop(store)
    async with running(shop.follower):
        await shop.follower.catch_up()
        with pytest.raises(AlreadyRunning, match="Follower follower of fulfilment"):
            await shop.follower.run()
    async with running(shop.follower):
        await shop.follower.catch_up()


async def test_who_has_written_can_read_what_follows_while_the_follower_runs(store: Any) -> None:  # WM-66
    shop = Shop(store, poll=60)
    async with running(shop.follower):
        await shop.follow(Refill("tea", 9))
        for order in "123":
            await shop.follow(Place(order))
            await shop.follow(Pay(order))
            assert await shop.seen(order) == ("Placed", "Paid", "Shipped")


async def test_several_catch_up_at_once(store: Any) -> None:  # WM-66
    shop = Shop(store)
    await shop.send(Refill("tea", 1), Place("7"), Pay("7"))
    seen: list[Any] = []

    async def catch_up() -> None:
        await shop.follower.catch_up()
        seen.append(await shop.seen("7"))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(catch_up)
            tasks.start_soon(shop.follower.run)
            await until(lambda: len(seen) == 3)
            shop.follower.stop()
    assert seen == [("Placed", "Paid", "Shipped")] * 3


async def test_catching_up_goes_on_by_itself_when_the_run_ends(store: Any, monkeypatch: Any) -> None:  # WM-66
    shop = Shop(store)
    release = anyio.Event()
    # not a wait that is cancelled: coverage of Python 3.11 loses sight of a coroutine into which an error is thrown
    monkeypatch.setattr(store.events, "wait", lambda after, seconds: anyio.sleep(0.005))

    async def wait(command: Ship) -> None:
        await release.wait()

    desk = CommandBus()
    desk.register(Ship, wait)
    flow = Flow("slow", state=Fulfilment, identity="order", begins={Placed: lambda flow, _: end(Ship("7"))})
    follower = Follower(store, [flow], commands=desk, poll=0.02, drain=0)
    await shop.send(Place("7"))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            async with running(follower):
                tasks.start_soon(follower.catch_up)
                await until(lambda: follower._commands is not None and follower._commands.worker.in_flight > 0)
            release.set()
    assert await store.queue("follower commands").stats() == await store.queue("none").stats()


async def test_a_handler_of_a_command_that_catches_up_is_a_deadlock_and_no_hang(store: Any) -> None:  # WM-66
    async def handle(command: Ship) -> None:
        await follower.catch_up()

    desk = CommandBus()
    desk.register(Ship, handle)
    flow = Flow("circle", state=Fulfilment, identity="order", begins={Placed: lambda flow, _: end(Ship("7"))})
    follower = Follower(store, [flow], commands=desk, attempts=1)
    await Shop(store).send(Place("7"))
    with anyio.fail_after(60):
        await follower.catch_up()
    [dead] = await store.queue("follower commands").dead()
    assert dead.reason.startswith(Deadlock.__name__)


async def _tick(clock: Clock) -> None:
    while True:
        clock.now += 0.01
        await anyio.sleep(0.005)


async def test_commands_behind_one_that_waits_for_a_retry_are_not_waited_for(timed: Any, clock: Clock) -> None:
    # WM-66
    fails = [0]

    async def handle(command: Ship) -> None:
        fails[0] += 1
        raise ValueError("not yet")

    desk = CommandBus()
    desk.register(Ship, handle)

    def placed(flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
        return go(flow, Ship("1"), Ship("2"))

    flow = Flow("two", state=Fulfilment, identity="order", begins={Placed: placed})
    follower = Follower(timed, [flow], commands=desk, backoff=lambda _: 9000, poll=0.02)
    shop = Shop(timed)
    await shop.send(Place("7"))
    async with running(follower):
        await until(lambda: fails[0] > 0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tick, clock)
            await follower.catch_up()
            tasks.cancel_scope.cancel()
    await follower.catch_up()
    assert (await timed.queue("follower commands").stats()).delayed == 1


async def test_the_lag_is_the_distance_to_the_end_of_the_log(timed: Any, clock: Clock) -> None:  # WM-65
    shop = Shop(timed)
    assert await shop.follower.lag(fulfilment) == Lag(0, 0.0)
    await shop.send(Refill("tea", 5))
    clock.now += 10
    await shop.send(Place("7"))
    clock.now += 5
    assert await shop.follower.lag(fulfilment) == Lag(2, 15.0)
    await shop.follower.catch_up()
    assert await shop.follower.lag("fulfilment") == Lag(0, 0.0)


async def test_of_two_followers_one_does_the_work_of_both(stores: Any) -> None:  # WM-54
    first, second = (Shop(each, poll=0.02, lease=1) for each in stores)
    orders = [str(number) for number in range(20)]
    async with running(first.follower), running(second.follower):
        await first.send(Refill("tea", 20))
        for order in orders:
            await (first if int(order) % 2 else second).send(Place(order), Pay(order))
        await first.follower.catch_up()
        await second.follower.catch_up()
    for order in orders:
        assert await first.seen(order) == ("Placed", "Paid", "Shipped")
    assert await first.pieces() == 0


async def test_a_follower_goes_on_when_another_one_has_died(stores: Any) -> None:  # WM-54
    first, second = (Shop(each, poll=0.02, lease=0.5) for each in stores)
    await stores[0].locks.acquire("modd track flow fulfilment", 0.1, "of a process that has died")
    await first.send(Refill("tea", 1))
    with anyio.fail_after(60):
        await second.follow(Place("7"))
    assert await second.pieces() == 0


async def test_a_lease_that_is_lost_ends_the_work_and_is_told(store: Any, caplog: Any) -> None:  # WM-54
    shop = Shop(store, poll=0.02, lease=0.1)
    async with running(shop.follower):
        await shop.follower.catch_up()
        [run] = shop.follower._engine.runs.values()
        await store.locks.release("modd track flow fulfilment", run.lease._token)
        await store.locks.acquire("modd track flow fulfilment", 0.3, "another process")
        with caplog.at_level(logging.WARNING, "modd.follower"):
            await until(lambda: not run.lease.active)
        await shop.follow(Refill("tea", 1), Place("7"))
    assert await shop.pieces() == 0
    assert "the lease 'modd track flow fulfilment' was lost: another process goes on" in caplog.text


class Failing:
    """A method that fails a number of times, and works then."""

    def __init__(self, part: Any, name: str, times: int, monkeypatch: Any) -> None:
        self.method: Callable[..., Any] = getattr(part, name)
        self.left = times
        monkeypatch.setattr(part, name, self)

    async def __call__(self, *args: Any, **options: Any) -> Any:
        if self.left:
            self.left -= 1
            raise StoreError("the store", "it is away for a while")
        return await self.method(*args, **options)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("events", "page"),
        ("events", "wait"),
        ("locks", "acquire"),
        ("modd tracks", "get_many"),
        ("modd tracks", "get"),
        ("modd flow fulfilment", "get_many"),
        ("modd due fulfilment", "items"),
    ],
)
async def test_a_store_that_fails_for_a_while_loses_nothing(
    store: Any, monkeypatch: Any, caplog: Any, part: str, name: str
) -> None:  # WM-53
    shop = Shop(store, poll=0.02)
    await shop.send(Refill("tea", 1), Place("7"))
    failing = Failing(
        getattr(store, part) if part in ("events", "locks") else store.documents(part), name, 2, monkeypatch
    )
    with caplog.at_level(logging.ERROR, "modd.follower"):
        async with running(shop.follower):
            await until(lambda: not failing.left)
            await shop.follower.catch_up()
    assert await shop.pieces() == 0
    assert "it is away for a while" in caplog.text


async def test_a_stop_while_a_run_waits_for_catching_up_ends_it(store: Any) -> None:  # WM-65
    release = anyio.Event()

    async def wait(command: Ship) -> None:
        await release.wait()

    desk = CommandBus()
    desk.register(Ship, wait)
    flow = Flow("slow", state=Fulfilment, identity="order", begins={Placed: lambda flow, _: end(Ship("7"))})
    follower = Follower(store, [flow], commands=desk)
    await Shop(store).send(Place("7"))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.catch_up)
            await until(lambda: follower._busy is not None)
            tasks.start_soon(follower.run)
            await anyio.wait_all_tasks_blocked()
            follower.stop()
            release.set()


async def test_a_bus_that_cannot_be_opened_is_an_error_of_the_run(store: Any) -> None:
    shop = Shop(store)
    async with shop.orders:
        with pytest.raises(AlreadyOpen):
            await shop.follower.run()
    async with running(shop.follower):
        await shop.follow(Refill("tea", 1), Place("7"))
    assert await shop.pieces() == 0


async def test_a_timeout_that_was_cancelled_wakes_nobody_for_long(timed: Any, clock: Clock) -> None:  # WM-55
    shop = Shop(timed, poll=0.02)
    async with running(shop.follower):
        await shop.follow(Refill("tea", 1), Place("7"))
        await shop.follow(Pay("7"))
        clock.now += 1800
        await shop.follow(Place("8"))
    assert await shop.seen("7") == ("Placed", "Paid", "Shipped")


async def test_commands_without_a_flow_are_an_error_when_it_is_made() -> None:  # WM-67
    store = MemoryStore()
    sales = Projection("sales", events={Placed: lambda state, event: state}, state=Fulfilment, key="order")
    with pytest.raises(InvalidOption, match="no part is a flow"):
        Follower(store, [sales], commands=Shop(store).desk)


async def test_a_flow_is_never_built_anew() -> None:  # WM-62
    with pytest.raises(InvalidOption, match="a flow is never built anew"):
        await Shop(MemoryStore()).follower.rebuild(fulfilment)
