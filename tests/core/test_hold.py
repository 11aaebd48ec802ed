"""Holding something that others wait for."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus, Deadlock, Message
from modd.core import Gate, detached, hold, hold_if_free, let_go
from tests.cqrs.shop import Plain

pytestmark = pytest.mark.anyio


class Other(Message):
    pass


async def rounds(count: int = 5) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def test_one_at_a_time_in_the_order_in_which_they_came() -> None:
    # MO-8 MI-29
    gate, log = Gate("the cache"), list[str]()

    async def keep(name: str) -> None:
        async with hold(gate):
            log.append(f"+{name}")
            await rounds()
            log.append(f"-{name}")

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(keep, name)
            await anyio.lowlevel.checkpoint()
    came = [entry[1] for entry in log if entry[0] == "+"]
    assert came == sorted(came) and log == [f"{sign}{name}" for name in "abc" for sign in "+-"]
    assert gate.holder is None and not gate.line


async def test_an_error_lets_it_go() -> None:
    # MI-29
    gate = Gate("the cache")
    with pytest.raises(ValueError, match="boom"):
        async with hold(gate):
            raise ValueError("boom")
    assert gate.holder is None
    async with hold(gate):
        pass


async def test_who_is_cancelled_while_waiting_or_holding_is_in_nobodys_way() -> None:
    # MI-29 MO-3
    gate, log = Gate("the cache"), list[str]()
    scopes = {name: anyio.CancelScope() for name in "abc"}

    async def keep(name: str) -> None:
        with scopes[name]:
            async with hold(gate):
                log.append(name)
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(keep, name)
            await rounds()
        scopes["b"].cancel()
        await rounds()
        assert log == ["a"] and len(gate.line) == 1
        scopes["a"].cancel()
        await rounds()
        assert log == ["a", "c"]
        scopes["c"].cancel()
    assert gate.holder is None and not gate.line


async def test_who_is_cancelled_just_as_it_is_handed_over_passes_it_on() -> None:
    # MI-29 MO-3
    gate, log = Gate("the cache"), list[str]()
    scope = anyio.CancelScope()

    async def first() -> None:
        async with hold(gate):
            await rounds()
            scope.cancel()

    async def second() -> None:
        with scope:
            async with hold(gate):
                log.append("second")
                await anyio.sleep_forever()

    async def third() -> None:
        async with hold(gate):
            log.append("third")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for work in (first, second, third):
                tasks.start_soon(work)
                await anyio.lowlevel.checkpoint()
    assert log[-1] == "third" and gate.holder is None


async def test_to_hold_it_twice_is_a_deadlock() -> None:
    # MO-8
    gate = Gate("the cache of Get")
    with pytest.raises(Deadlock, match="the cache of Get waits for the cache of Get"):
        async with hold(gate), hold(gate):
            pass
    assert gate.holder is None


async def test_two_that_hold_what_the_other_wants_are_a_deadlock() -> None:
    # MO-8 MI-29
    one, two, found = Gate("one"), Gate("two"), list[Deadlock]()
    both = anyio.Event()

    async def keep(mine: Gate, wanted: Gate) -> None:
        async with hold(mine):
            if one.holder and two.holder:
                both.set()
            await both.wait()
            try:
                async with hold(wanted):
                    pass
            except Deadlock as error:
                found.append(error)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep, one, two)
            tasks.start_soon(keep, two, one)
    assert len(found) == 1 and set(found[0].circle) == {"one", "two"}
    assert one.holder is two.holder is None


async def test_a_circle_through_a_bus_is_a_deadlock() -> None:
    # MO-8 MI-29
    gate, found = Gate("the cache"), list[Deadlock]()
    held, wanted = anyio.Event(), anyio.Event()

    async def keep(message: Other) -> None:
        async with hold(gate):
            held.set()
            await wanted.wait()
            try:
                await bus(Plain())
            except Deadlock as error:
                found.append(error)

    async def want(message: Plain) -> None:
        await held.wait()
        wanted.set()
        async with hold(gate):
            pass

    bus, other = Bus([want], name="bus"), Bus([keep], name="other")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other, Other())
            tasks.start_soon(bus, Plain())
    assert len(found) == 1 and set(found[0].circle) == {"bus", "the cache"}
    assert gate.holder is None


async def test_inside_a_turn_it_is_held_and_what_is_sent_meanwhile_is_in_that_turn() -> None:
    # MO-8
    gate, log = Gate("the cache"), list[str]()

    async def keep(message: Plain) -> None:
        async with hold(gate):
            await bus(Other())
        await bus(Other())

    bus = Bus([keep])
    bus.add(lambda message: log.append(type(message).__name__))
    for _ in range(2):
        await bus(Plain())
    assert log == ["Other", "Other", "Plain"] * 2 and gate.holder is None


async def test_a_gate_is_held_if_it_is_free_and_those_that_come_meanwhile_wait_in_their_order() -> None:
    # WM-93
    gates, log = dict[Any, Gate](), list[str]()
    gate = gates["invoice/7"] = Gate("invoice/7", None, gates, "invoice/7")
    turn = hold_if_free(gate)
    assert turn is not None and hold_if_free(gate) is None

    async def keep(name: str) -> None:
        async with hold(gates["invoice/7"]):
            log.append(f"+{name}")
            await rounds()
            log.append(f"-{name}")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(detached_from, keep, name)
                await rounds()
            assert log == []
            let_go(turn, keep=True)
            assert hold_if_free(gate) is None
    assert log == [f"{sign}{name}" for name in "abc" for sign in "+-"]
    assert gates == {}
    assert hold_if_free(gate) is None  # it was removed, because those that came held it last


@pytest.mark.parametrize("keep", [False, True])
async def test_a_gate_of_a_key_that_nobody_waits_for_is_kept_or_removed(keep: bool) -> None:
    # WM-93
    gates = dict[Any, Gate]()
    gate = gates["invoice/7"] = Gate("invoice/7", None, gates, "invoice/7")
    turn = hold_if_free(gate)
    assert turn is not None
    let_go(turn, keep=keep)
    assert (gates == {"invoice/7": gate}) is keep
    assert (hold_if_free(gate) is not None) is keep


async def detached_from(work: Any, *arguments: Any) -> None:
    with detached():
        await work(*arguments)


async def test_work_inside_of_a_gate_that_was_free_cannot_wait_for_it() -> None:
    # WM-93
    gate = Gate("invoice/7")
    turn = hold_if_free(gate)
    assert turn is not None
    with pytest.raises(Deadlock, match="invoice/7 waits for invoice/7"):
        async with hold(gate):
            pass
    let_go(turn)
    async with hold(Gate("another")):
        inner = hold_if_free(gate)
        assert inner is not None and inner.outer is not None and inner.depth == 2
        let_go(inner)
