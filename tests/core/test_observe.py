"""Observing deliveries and registrations, here and in nested buses (MO-26)."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec import defstruct

from modd import Bus, Delivery, Failure, InvalidOption, Journey, Message, Observer, Part, TurnFailed
from tests.names import A, B, Start

pytestmark = pytest.mark.anyio


class Watch(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.deliveries: list[Delivery] = []

    def began(self, delivery: Delivery) -> None:
        assert delivery.outcome == "running" and delivery.seconds is None
        self.deliveries.append(delivery)
        self.lines.append(f"{delivery.message} begins in {delivery.bus.name}")

    def ended(self, delivery: Delivery) -> None:
        assert delivery.seconds is not None and delivery.seconds >= 0
        self.lines.append(f"{delivery.message} {delivery.outcome}")

    def unreceived(self, message: Message, bus: Any) -> None:
        self.lines.append(f"{message} unreceived in {bus.name}")

    def added(self, component: Any, bus: Any) -> None:
        self.lines.append(f"added to {bus.name}")

    def removed(self, component: Any, bus: Any) -> None:
        self.lines.append(f"removed from {bus.name}")


def give(message: Start) -> A:
    return A()


async def take(message: A) -> None:
    await checkpoint()


async def test_each_delivery_is_seen_to_begin_and_end_with_what_caused_it() -> None:
    # MO-26
    watch = Watch()
    bus = Bus([give, take], name="shop")
    with bus.observe(watch):
        await bus(Start())
    assert watch.lines == ["Start() begins in shop", "Start() done", "A() begins in shop", "A() done"]
    first, second = watch.deliveries
    assert (first.component, first.cause, first.returned) == (give, None, (A(),))
    assert (second.component, second.cause, second.error) == (take, first, None)
    await bus(Start())
    assert len(watch.deliveries) == 2, "after the block nothing is told"


@pytest.mark.parametrize("concurrent", [False, True])
async def test_nested_buses_are_seen_with_the_delivery_around_as_cause(concurrent: bool) -> None:
    # MO-26
    watch = Watch()
    inner = Bus([Part(give), take], name="inner", outbound=[A])
    outer = Bus([Part(inner), take], name="outer", concurrent=concurrent)
    with outer.observe(watch):
        await outer(Start())
        await inner(A())
    into, given, taken, outside, direct = watch.deliveries
    assert [d.bus.name for d in watch.deliveries] == ["outer", "inner", "inner", "outer", "inner"]
    assert given.cause is into and taken.cause is given and outside.cause is into and direct.cause is None


async def test_a_send_from_inside_is_caused_by_the_delivery_that_sent_it() -> None:
    # MO-26
    watch = Watch()
    bus = Bus()

    async def asks(message: Start) -> None:
        await bus(A())

    bus.add(asks)
    bus.add(take)
    with bus.observe(watch):
        await bus(Start())
    outer, inner = watch.deliveries
    assert inner.cause is outer


async def test_failures_and_their_handling_are_seen() -> None:
    # MO-26
    def boom(message: Start) -> None:
        raise ValueError("boom")

    watch = Watch()
    bus = Bus([boom, take])
    with bus.observe(watch), pytest.raises(TurnFailed):
        await bus(Start())
    (delivery,) = watch.deliveries
    assert delivery.outcome == "failed" and isinstance(delivery.error, ValueError)
    assert isinstance(delivery.returned[0], Failure)


async def test_a_cancelled_delivery_is_seen_as_cancelled() -> None:
    # MO-26
    async def forever(message: Start) -> None:
        await anyio.sleep_forever()

    watch = Watch()
    bus = Bus([forever])
    with bus.observe(watch), anyio.move_on_after(0):
        await bus(Start())
    assert watch.deliveries[0].outcome == "cancelled"


async def test_a_turn_that_is_cut_short_is_seen_as_failed() -> None:
    # MO-26
    def again(message: A) -> A:
        return A()

    watch = Watch()
    bus = Bus([again], limit=5)
    with bus.observe(watch), pytest.raises(TurnFailed):
        await bus(A())
    assert [delivery.outcome for delivery in watch.deliveries] == ["done"] * 4 + ["failed"]


async def test_a_message_that_nobody_receives_is_reported() -> None:
    # MO-24
    watch = Watch()
    inner = Bus([give], name="inner", outbound=[A])
    outer = Bus([inner], name="outer")
    with outer.observe(watch):
        await outer(B())
        await outer(Start())
    assert [line for line in watch.lines if "unreceived" in line] == [
        "B() unreceived in outer",
        "A() unreceived in outer",
    ]


async def test_registrations_are_seen_here_and_in_nested_buses() -> None:
    # MO-26
    watch = Watch()
    inner = Bus(name="inner")
    outer = Bus([inner], name="outer")
    with outer.observe(watch):
        inner.add(take)
        outer.add(give)
        inner.remove(take)
        outer.remove(inner)
        inner.add(take)
        await inner(A())
    assert watch.lines == ["added to inner", "added to outer", "removed from inner", "removed from outer"]


async def test_a_bus_added_to_an_observed_one_is_observed_and_an_observer_counts_in_a_running_turn() -> None:
    # MO-26
    watch = Watch()
    outer, inner = Bus(name="outer"), Bus([take], name="inner")

    async def adder(message: Start) -> A:
        stack.enter_context(outer.observe(watch))
        outer.add(inner)
        return A()

    with ExitStack() as stack:
        outer.add(adder)
        await inner(A())
        await outer(Start())
    assert watch.lines == [
        "added to outer",
        "A() begins in outer",
        "A() begins in inner",
        "A() done",
        "A() done",
    ]


async def test_an_observer_that_fails_changes_no_outcome_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    # MO-26
    class Broken(Observer):
        def began(self, delivery: Delivery) -> None:
            raise RuntimeError("broken")

        ended = began

    watch = Watch()
    bus = Bus([give, take], outbound=[A])
    with caplog.at_level(logging.ERROR, "modd"), bus.observe(Broken()), bus.observe(watch):
        assert await bus(Start()) == (A(),)
    assert len(watch.deliveries) == 2
    assert "Broken" in caplog.text and "broken" in caplog.text


async def test_an_observer_that_overrides_nothing_is_fine_with_everything() -> None:
    # MO-26
    bus = Bus([give])
    with bus.observe(Observer()):
        await bus(Start())
        bus.add(take)
        bus.remove(take)
        with anyio.move_on_after(0):
            bus.add(take)
            await bus(Start())


async def test_one_observer_twice_is_told_once_until_the_last_block_ends() -> None:
    # MO-26
    watch = Watch()
    bus = Bus([take])
    with bus.observe(watch):
        with bus.observe(watch):
            await bus(A())
        await bus(A())
    assert len(watch.deliveries) == 2


def test_an_observer_is_an_instance_of_observer() -> None:
    # MO-13
    with pytest.raises(InvalidOption, match=r"modd\.Observer"), Bus().observe(print):  # type: ignore[arg-type]
        pass


async def test_sensitive_fields_are_masked_in_the_graph_of_what_happens() -> None:
    # MO-26
    assert str(Bus([give], name="shop").graph()) == "shop: Start\n  give: Start"


async def test_the_graph_shows_the_wiring_to_any_depth() -> None:
    # MO-26
    def log(message: Message) -> None:
        return None

    def rescue(failure: Failure | B) -> None:
        return None

    inner = Bus([give, take], name="inner", inbound=[Start])
    outer = Bus([Part(inner), named(log), named(rescue), Bus(name="empty")], name="outer")
    graph = outer.graph()
    assert str(graph).splitlines() == [
        "outer: Start, B",
        "  Part: Start",
        "    inner: Start",
        "      give: Start",
        "      take: A",
        "  log: everything",
        "  rescue: Failure, B",
        "  empty: nothing",
    ]
    assert graph.mermaid().startswith('flowchart LR\n    n0["outer"]\n    n1["Part"]\n    n0 -->|"Start"| n1')
    assert graph.nodes[2] == (("outer", "Part", "inner"), ("Start",))


async def test_names_are_escaped_wherever_mermaid_is_written() -> None:
    # DF-26
    name = 'a"] end; <br> %%\n|x|'
    kind: Any = defstruct('Greedy["end"]', [], bases=(Message,))

    def take(message: Any) -> None: ...

    take.__annotations__["message"] = kind
    take.__qualname__ = name
    bus = Bus([Bus([take], name=name, outbound=[kind])], name=name)
    with Journey(bus) as journey:
        await bus(kind())
    escaped = "a#34;] #101;nd#59; #60;br#62; #37;#37;#10;#124;x#124;"
    graph, diagram = bus.graph().mermaid(), journey.mermaid()
    assert f'n0["{escaped}"]' in graph and '-->|"Greedy[#34;#101;nd#34;]"| n1' in graph
    assert f"box transparent {escaped}" in diagram and f"participant p2 as {escaped}" in diagram
    assert not any(mark in text for text in (graph, diagram) for mark in ('"] end', "<br>", "%%", "\n|"))


def named(function: Any) -> Any:
    function.__qualname__ = function.__name__
    return function


async def test_an_error_that_counts_as_false_is_a_failure_all_the_same() -> None:
    # MO-26
    class Errors(Exception):
        def __len__(self) -> int:
            return 0

    ended: list[Delivery] = []

    class Watching(Observer):
        def ended(self, delivery: Delivery) -> None:
            ended.append(delivery)

    def fail(message: Start) -> None:
        raise Errors

    bus = Bus([fail])
    with bus.observe(Watching()), pytest.raises(TurnFailed):
        await bus(Start())
    assert [delivery.outcome for delivery in ended] == ["failed"]
