"""Direct handling: a command is handled in the commit of the step that sends it, or goes into the queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from modd.aggregate import CommandRejected
from modd.cqrs import CommandBus, Emit, Envelope, Event, Failed
from modd.flow import Flow, Go, go
from modd.follower import Follower, direct
from tests.follower.shop import Fulfilment, Paid, Pay, Place, Placed, Ship, Shop, running

pytestmark = pytest.mark.anyio


def placed(flow: Fulfilment, event: Placed) -> Go[Fulfilment]:
    return go(flow, Ship(event.order))


def paid(flow: Fulfilment, event: Paid) -> Go[Fulfilment]:
    return go(flow, Ship(f"{event.order} again"))


ships = Flow("ships", state=Fulfilment, identity="order", begins={Placed: placed}, reacts={Paid: paid})


class Desk:
    """A follower whose commands one handler gets, and the number of commands that came by the queue."""

    def __init__(self, store: Any, handler: Callable[..., Awaitable[None]], monkeypatch: Any, **options: Any) -> None:
        self.store, self.shop, self.queued = store, Shop(store), 0
        monkeypatch.setattr(direct, "LONGEST", 1000.0)  # however slow the machine is
        monkeypatch.setattr(direct, "FIRST_PAUSE", 1000.0)
        bus = CommandBus()
        bus.register(Ship, handler)
        self.follower = Follower(store, [ships], commands=bus, backoff="none", **options)
        queue = store.queue("follower commands")
        put = queue.put

        async def count(*items: Any) -> Any:
            self.queued += len(items)
            return await put(*items)

        monkeypatch.setattr(queue, "put", count)

    async def follow(self, *commands: Any) -> None:
        """Have each command of the shop followed by all that it causes, before the next one."""
        async with running(self.follower):
            for command in (Place("first"), *commands):
                await self.shop.send(command)
                await self.follower.catch_up()


async def test_a_single_command_is_handled_in_the_commit_of_its_step(store: Any, monkeypatch: Any) -> None:  # WM-53
    seen: list[tuple[str, int, list[Any]]] = []

    async def handle(command: Ship) -> None:
        seen.append((command.order, await store.events.last(), await store.documents("modd flow ships").items()))
        await store.events.append(f"shipped/{command.order}", [b"x"], 0)

    desk = Desk(store, handle, monkeypatch)
    await desk.follow(Place("1"), Pay("1"))
    assert [order for order, *_ in seen] == ["first", "1", "1 again"]
    assert "1" not in dict(seen[1][2])  # its step is not committed yet
    assert desk.queued == 1  # the first one after the start, of which nothing is known yet
    streams = [event.stream async for event in store.events.read_all() if event.body == b"x"]
    assert streams == ["shipped/first", "shipped/1", "shipped/1 again"]


async def test_a_command_whose_handler_fails_is_undone_and_goes_into_the_queue(store: Any, monkeypatch: Any) -> None:
    # WM-53
    tries: list[str] = []

    async def handle(command: Ship) -> None:
        await store.events.append(f"shipped/{command.order}", [b"x"], 0)
        tries.append(command.order)
        if command.order == "1" and tries.count("1") == 1:
            raise ValueError("not yet")

    desk = Desk(store, handle, monkeypatch)
    await desk.follow(Place("1"), Pay("1"), Place("2"))
    assert tries == ["first", "1", "1", "1 again", "2"]
    assert desk.queued == 4
    streams = [event.stream async for event in store.events.read_all() if event.body == b"x"]
    assert streams == ["shipped/first", "shipped/1", "shipped/1 again", "shipped/2"]


async def test_a_rejection_keeps_no_later_command_of_its_type_waiting(store: Any, monkeypatch: Any) -> None:  # WM-52
    tries: list[str] = []

    async def handle(command: Ship) -> None:
        tries.append(command.order)
        if command.order == "1" and tries.count("1") == 1:
            raise CommandRejected("Not today.")

    desk = Desk(store, handle, monkeypatch)
    await desk.follow(Place("1"), Place("2"))
    assert (tries, desk.queued) == (["first", "1", "1", "2"], 2)


async def test_commands_of_an_instance_stay_behind_those_in_the_queue(store: Any, monkeypatch: Any) -> None:  # WM-54
    handled: list[str] = []

    async def handle(command: Ship) -> None:
        handled.append(command.order)

    desk = Desk(store, handle, monkeypatch)
    async with running(desk.follower):
        await desk.follower.catch_up()
        for command in (Place("1"), Pay("1")):
            await desk.shop.send(command)
            await desk.follower.catch_up()
    assert (handled, desk.queued) == (["1", "1 again"], 2)


async def test_commands_of_a_type_that_takes_long_go_into_the_queue(store: Any, monkeypatch: Any) -> None:  # WM-54
    async def handle(command: Ship) -> None:
        await anyio.sleep(0.03)

    desk = Desk(store, handle, monkeypatch)
    monkeypatch.setattr(direct, "LONGEST", 0.02)
    await desk.follow(Place("1"), Place("2"), Place("3"))
    assert desk.queued == 3


async def test_commands_of_a_type_that_has_taken_long_are_handled_at_once_again_after_a_time(
    store: Any, monkeypatch: Any
) -> None:
    # WM-144
    async def handle(command: Ship) -> None:
        """Take no time, but more than none."""

    desk = Desk(store, handle, monkeypatch)
    monkeypatch.setattr(direct, "LONGEST", 0.0)
    monkeypatch.setattr(direct, "FIRST_PAUSE", 0.0)
    await desk.follow(Place("1"), Place("2"), Place("3"))
    assert desk.queued == 1  # the first of a follower, whose queue may have some of an earlier run


async def test_a_step_whose_commit_conflicts_with_another_writer_is_done_again(store: Any, monkeypatch: Any) -> None:
    # WM-53
    tries: list[str] = []

    async def handle(command: Ship) -> None:
        tries.append(command.order)
        revision = 0 if command.order == "first" else 1
        if tries.count("1") == 1:
            revision = 7  # as if another writer were faster
        await store.events.append("shipped", [b"x"], revision)

    desk = Desk(store, handle, monkeypatch)
    await desk.follow(Place("1"))
    assert tries == ["first", "1", "1"]
    assert desk.queued == 2
    assert await desk.follower.stuck(ships) == []


async def test_a_command_that_cannot_be_committed_is_a_dead_letter_and_the_flow_goes_on(
    store: Any, monkeypatch: Any
) -> None:  # WM-57
    def fold(state: Any, value: str) -> Any:
        raise ValueError("cannot be folded")

    async def handle(command: Ship) -> None:
        if command.order == "1":
            await store.documents("any").fold([("a", "b")], fold, bytes, bytes)

    desk = Desk(store, handle, monkeypatch, attempts=2)
    await desk.follow(Place("1"), Place("2"))
    [dead] = await store.queue("follower commands").dead()
    assert dead.reason.startswith("ValueError: cannot be folded")
    assert (await desk.follower.lag(ships)).events == 0


class Noticed(Event):
    order: str


async def test_events_that_its_handler_emits_are_in_the_outbox(store: Any, monkeypatch: Any) -> None:  # WM-53
    async def handle(command: Ship, emit: Emit) -> None:
        emit(Noticed(command.order))

    desk = Desk(store, handle, monkeypatch)
    await desk.follow(Place("1"))
    assert len(await store.outbox.claim(10, 30)) == 2
    assert desk.queued == 1


async def test_a_dispatch_that_ends_as_failed_goes_into_the_queue(store: Any, monkeypatch: Any) -> None:  # WM-53
    async def handle(command: Ship, envelope: Envelope) -> None:
        if command.order == "1":
            envelope.add(Failed("no carrier"))

    desk = Desk(store, handle, monkeypatch, attempts=1)
    await desk.follow(Place("1"))
    [dead] = await store.queue("follower commands").dead()
    assert dead.reason == "no carrier"
    assert desk.queued == 2


async def test_a_command_goes_into_the_queue_while_its_bus_is_not_open(store: Any, monkeypatch: Any) -> None:  # WM-53
    async def handle(command: Ship) -> None: ...

    desk = Desk(store, handle, monkeypatch)
    engine = desk.follower._engine
    async with engine.session():
        for order in "12":
            await desk.shop.send(Place(order))
            while await engine.advance():
                pass
    assert desk.queued == 2
