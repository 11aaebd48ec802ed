"""Sends from inside a turn, deadlocks, and what is detached (MO-8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Deadlock, Message, TurnFailed, TurnOverflow, detached
from modd.parts import Filter, Outbound
from tests.names import A, B, C, N, Start

pytestmark = pytest.mark.anyio


async def gather(*calls: Callable[[], Any]) -> None:
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)


async def test_a_component_that_awaits_its_own_bus_gets_a_turn_within_its_turn() -> None:
    # MO-3
    seen: list[str] = []
    bus = Bus()

    async def asks(message: Start) -> A:
        await bus(N(1))
        seen.append("asked")
        return A()

    def later(message: Message) -> Any:
        seen.append(repr(message))
        return N(2) if message == N(1) else None

    bus.add(asks)
    bus.add(later)
    await bus(Start())
    assert seen == ["N(n=1)", "N(n=2)", "asked", "Start()", "A()"]


async def test_what_a_turn_within_lets_out_is_returned_and_leaves_with_the_surrounding_turn() -> None:
    # MO-8
    got: list[tuple[Message, ...]] = []
    bus = Bus(outbound=[A, B])

    async def asks(message: Start) -> B:
        got.append(await bus(N(1)))
        return B()

    def answer(message: N) -> A:
        return A()

    bus.add(asks)
    bus.add(answer)
    seen: list[Message] = []

    def keep(message: A | B) -> None:
        seen.append(message)

    assert await bus(Start()) == (A(), B())
    assert got == [(A(),)]
    await Bus([bus, keep])(Start())
    assert seen == [A(), B()]


@pytest.mark.parametrize("exclusive", [True, False, lambda message: 1, lambda message: type(message)])
async def test_it_leaves_with_the_surrounding_turn_though_it_failed(exclusive: Any) -> None:
    # MO-17
    bus = Bus(outbound=[A], exclusive=exclusive)

    async def asks(message: Start) -> None:
        with pytest.raises(TurnFailed):
            await bus(N(1))

    def answer(message: N) -> Any:
        yield A()
        raise ValueError("after it left")

    bus.add(asks)
    bus.add(answer)
    assert await bus(Start()) == (A(),)


async def test_three_children_of_one_component_that_await_the_own_bus_never_overlap() -> None:
    # MO-8
    bus = Bus()
    inside = most = 0

    async def asks(message: Start) -> None:
        await gather(lambda: bus(N(1)), lambda: bus(N(2)), lambda: bus(N(3)))

    async def busy(message: N) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(4):
            await checkpoint()
        inside -= 1
        return N(message.n + 10) if message.n < 10 else None

    bus.add(asks)
    bus.add(busy)
    await bus(Start())
    assert most == 1


async def test_a_surrounding_bus_can_be_awaited_from_a_nested_one() -> None:
    # MO-8
    seen: list[Message] = []
    outer = Bus(name="outer")

    async def asks(message: Start) -> None:
        await outer(A())

    def keep(message: A) -> None:
        seen.append(message)

    outer.add(Bus([asks], name="inner"))
    outer.add(keep)
    await outer(Start())
    assert seen == [A()]


def waiting(*targets: tuple[Bus, Message]) -> Callable[[Start], Any]:
    """A component that sends to all targets at once, when everybody holds the own bus."""

    async def component(message: Start) -> None:
        for _ in range(10):
            await checkpoint()
        await gather(*(lambda t=target: t[0](t[1]) for target in targets))

    return component


async def idle(message: A) -> None:
    await checkpoint()


@pytest.mark.parametrize("size", [2, 3, 5])
async def test_a_circle_of_waiting_buses_is_an_error_that_names_it(size: int) -> None:
    # MO-8
    buses = [Bus([idle], name=f"b{n}") for n in range(size)]
    for n, bus in enumerate(buses):
        bus.add(waiting((buses[(n + 1) % size], A())))
    errors: list[Deadlock] = []

    async def send(bus: Bus) -> None:
        try:
            await bus(Start())
        except TurnFailed as failed:
            errors.extend(find(failed, Deadlock))

    with anyio.fail_after(60):
        await gather(*(lambda b=bus: send(b) for bus in buses))
    (error,) = errors
    assert sorted(error.circle) == sorted(bus.name for bus in buses)
    around = [*error.circle, error.circle[0]]
    assert all(int(b[1]) == (int(a[1]) + 1) % size for a, b in pairwise(around)), "in waiting order"
    for bus in buses:
        assert await bus(A()) == (), "every bus goes on"


def find(group: BaseExceptionGroup[Any], kind: type[Any]) -> list[Any]:
    found: list[Any] = []
    for error in group.exceptions:
        found += find(error, kind) if isinstance(error, BaseExceptionGroup) else [error] * isinstance(error, kind)
    return found


async def test_a_circle_closed_by_one_of_two_places_that_a_turn_waits_in() -> None:
    # MO-8
    one, two, free = Bus([idle], name="one"), Bus([idle], name="two"), Bus([idle], name="free")
    one.add(waiting((free, A()), (two, A())))
    two.add(waiting((free, A()), (one, A())))
    failures: list[TurnFailed] = []

    async def send(bus: Bus) -> None:
        try:
            await bus(Start())
        except TurnFailed as failed:
            failures.append(failed)

    with anyio.fail_after(60):
        await gather(lambda: send(one), lambda: send(two))
    (error,) = [error for failed in failures for error in find(failed, Deadlock)]
    assert set(error.circle) == {"one", "two"}


async def test_a_circle_through_concurrent_fan_out_and_overlapping_and_keyed_turns() -> None:
    # MO-8
    state = Bus([idle], name="state")
    keyed = Bus([idle], name="keyed", exclusive=lambda message: "key")
    edge = Bus([], name="edge", exclusive=False, concurrent=True)
    state.add(waiting((keyed, A())))
    keyed.add(waiting((edge, N(1))))

    async def relay(message: N) -> None:
        await state(A())

    async def other(message: N) -> None:
        await checkpoint()

    edge.add(relay)
    edge.add(other)
    failures: list[TurnFailed] = []

    async def send(bus: Bus) -> None:
        try:
            await bus(Start())
        except TurnFailed as failed:
            failures.append(failed)

    with anyio.fail_after(60):
        await gather(lambda: send(state), lambda: send(keyed))
    assert {name for failed in failures for error in find(failed, Deadlock) for name in error.circle} == {
        "state",
        "keyed",
    }


async def test_within_one_turn_a_circle_of_two_branches_is_found_too() -> None:
    # MO-8
    home, away = Bus(name="home"), Bus(name="away")
    held = anyio.Event()

    async def go_away(message: Start) -> None:
        await away(A())

    async def stay(message: Start) -> None:
        await held.wait()
        await home(B())

    async def come_home(message: A) -> None:
        held.set()
        for _ in range(5):
            await checkpoint()
        await home(C())

    async def leave_again(message: B) -> None:
        await away(C())

    async def branches(message: N) -> None:
        await gather(lambda: go_away(Start()), lambda: stay(Start()))

    for component in (branches, leave_again):
        home.add(component)
    away.add(come_home)
    with anyio.fail_after(60), pytest.raises(TurnFailed) as caught:
        await home(N(1))
    (error,) = find(caught.value, Deadlock)
    assert set(error.circle) == {"home", "away"}


async def test_another_key_is_another_turn_and_the_same_key_is_within() -> None:
    # MO-8
    seen: list[N] = []
    bus = Bus(exclusive=lambda message: message.n % 2)

    async def asks(message: N) -> None:
        seen.append(message)
        if message.n < 4:
            await bus(N(message.n + 1))

    bus.add(asks)
    with anyio.fail_after(60):
        await bus(N(0))
    assert seen == [N(n) for n in range(5)]


async def test_a_turn_that_waits_twice_for_a_busy_bus_is_no_circle() -> None:
    # MO-8
    free, numbers = anyio.Event(), list[N]()

    async def wait(message: Start) -> None:
        await free.wait()

    async def note(message: N) -> None:
        numbers.append(message)

    async def send_two(message: A) -> None:
        await gather(lambda: busy(N(1)), lambda: busy(N(2)))

    async def send_on(message: C) -> None:
        await middle(B())

    busy, middle = Bus([wait, note], name="busy"), Bus([send_two], name="middle")
    front = Bus([send_on], name="front")
    async with anyio.create_task_group() as tasks:
        for bus, message in ((busy, Start()), (middle, A()), (front, C())):
            tasks.start_soon(bus, message)
            await anyio.wait_all_tasks_blocked()
        free.set()
    assert sorted(number.n for number in numbers) == [1, 2]


@pytest.mark.costly
async def test_there_is_no_false_alarm_in_a_storm_of_ordinary_traffic() -> None:
    # MO-8
    handled = 0
    front = Bus(name="front", exclusive=False)
    middle = [Bus(name=f"middle{n}", exclusive=lambda message: message.n % 3) for n in range(3)]
    store = Bus(name="store")

    async def route(message: N) -> None:
        await gather(lambda: middle[message.n % 3](message), lambda: middle[(message.n + 1) % 3](message))

    async def work(message: N) -> None:
        await gather(lambda: store(message), lambda: store(A()))

    async def count(message: N | A) -> None:
        nonlocal handled
        await checkpoint()
        handled += 1

    front.add(route)
    for bus in middle:
        bus.add(work)
    store.add(count)
    with anyio.fail_after(60):
        await gather(*(lambda n=n: front(N(n)) for n in range(200)))
    assert handled == 200 * 2 * 2


async def test_work_started_in_a_turn_counts_as_inside_until_the_turn_ends() -> None:
    # MO-8
    seen: list[str] = []
    bus = Bus()
    go, done = anyio.Event(), anyio.Event()

    async def background() -> None:
        await go.wait()
        await bus(A())
        seen.append("late")
        done.set()

    def keep(message: A) -> None:
        seen.append("A")

    bus.add(keep)
    async with anyio.create_task_group() as tasks:

        async def starts(message: Start) -> None:
            tasks.start_soon(background)
            await checkpoint()

        bus.add(starts)
        await bus(Start())
        go.set()
        await done.wait()
    assert seen == ["A", "late"]


async def test_work_may_wait_for_another_bus_when_the_turn_that_started_it_has_ended() -> None:
    # MO-8
    seen: list[Message] = []
    here, other = Bus(name="here"), Bus(name="other")
    held, go = anyio.Event(), anyio.Event()

    async def holds(message: Start) -> None:
        held.set()
        await go.wait()

    def keep(message: N) -> None:
        seen.append(message)

    other.add(holds)
    other.add(keep)
    async with anyio.create_task_group() as tasks:

        async def starts(message: A) -> None:
            tasks.start_soon(other, N(1))
            for _ in range(5):
                await checkpoint()

        here.add(starts)
        tasks.start_soon(other, Start())
        await held.wait()
        await here(A())
        assert seen == []
        go.set()
    assert seen == [N(1)]


async def test_detached_work_is_outside_and_waits_for_the_turn_to_end() -> None:
    # MO-8
    seen: list[str] = []
    bus = Bus()
    async with anyio.create_task_group() as tasks:

        async def starts(message: Start) -> B:
            with detached():
                tasks.start_soon(bus, A())
            for _ in range(10):
                await checkpoint()
            await bus(N(1))
            return B()

        def keep(message: Message) -> None:
            seen.append(type(message).__name__)

        bus.add(starts)
        bus.add(keep)
        await bus(Start())
    assert seen == ["N", "Start", "B", "A"]


async def test_turns_are_nested_a_hundred_deep_at_most() -> None:
    # MO-9
    depth = 0
    bus = Bus(name="deep")

    async def deeper(message: A) -> None:
        nonlocal depth
        depth += 1
        await bus(A())

    bus.add(deeper)
    with pytest.raises(TurnFailed) as caught:
        await bus(A())
    errors = find(caught.value, TurnOverflow)
    assert depth == 100 and "deep" in str(errors[0]) and "100" in str(errors[0])
    assert errors[0].cycle == ()


async def test_a_closed_circle_is_only_an_error_of_the_one_that_closes_it() -> None:
    # MO-8
    slow, other = Bus([idle], name="slow"), Bus([idle], name="other")
    got: list[str] = []

    async def patient(message: Start) -> None:
        try:
            await waiting((other, A()))(message)
        except* Deadlock as error:
            got.append(str(error.exceptions[0]))

    slow.add(patient)
    other.add(patient_of(slow, got))
    with anyio.fail_after(60):
        await gather(lambda: slow(Start()), lambda: other(Start()))
    assert len(got) == 1 and "waits for" in got[0] and "detached" in got[0]


def patient_of(bus: Bus, got: list[str]) -> Callable[[Start], Any]:
    async def patient(message: Start) -> None:
        try:
            await waiting((bus, A()))(message)
        except* Deadlock as error:
            got.append(str(error.exceptions[0]))

    return patient


async def test_sends_that_outlive_their_turn_still_do_not_overlap_with_the_next() -> None:
    # MO-8
    inside = most = 0
    order: list[int] = []
    bus = Bus()
    async with anyio.create_task_group() as tasks:

        async def starts(message: Start) -> None:
            tasks.start_soon(bus, N(1))
            tasks.start_soon(bus, N(2))
            for _ in range(5):
                await checkpoint()

        async def work(message: N) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            for _ in range(20):
                await checkpoint()
            inside -= 1
            order.append(message.n)

        bus.add(starts)
        bus.add(work)
        await bus(Start())
        await bus(N(3))
    assert most == 1 and sorted(order[:2]) == [1, 2] and order[2:] == [3]
    assert await bus(A()) == ()


async def test_a_circle_through_sends_that_outlive_their_turn_is_found() -> None:
    # MO-8
    here, other = Bus([idle], name="here"), Bus([idle], name="other")
    errors: list[Deadlock] = []

    async def caught(bus: Bus, message: Message) -> None:
        try:
            await bus(message)
        except TurnFailed as failed:
            errors.extend(find(failed, Deadlock))

    async with anyio.create_task_group() as tasks:

        async def starts(message: Start) -> None:
            tasks.start_soon(caught, here, N(1))
            for _ in range(5):
                await checkpoint()

        async def crosses(message: N) -> None:
            for _ in range(20):
                await checkpoint()
            await other(A())

        async def crosses_back(message: N) -> None:
            for _ in range(20):
                await checkpoint()
            await here(A())

        here.add(starts)
        here.add(crosses)
        other.add(crosses_back)
        with anyio.fail_after(60):
            await here(Start())
            await caught(other, N(1))
    assert [set(error.circle) for error in errors] == [{"here", "other"}]
    assert await here(A()) == await other(A()) == ()


def context_in(levels: int, context: Any, options: dict[str, Any], wrap: Callable[[Bus], Any]) -> Any:
    """Put a bus into so many buses that let A out, each by a wrapper."""
    for level in range(levels):
        context = wrap(Bus([context], name=f"around {level}", inbound=[Start], outbound=[A], **options))
    return context


WRAPPERS: list[Callable[[Bus], Any]] = [lambda bus: bus, Filter, Outbound]


@pytest.mark.costly
@pytest.mark.parametrize("options", [{}, {"exclusive": False}, {"concurrent": True}, {"exclusive": type}], ids=str)
@pytest.mark.parametrize("wrap", WRAPPERS, ids=["alone", "in a filter", "in an outbound"])
@pytest.mark.parametrize("way", ["root", "own", "next door", "by hand"])
async def test_a_message_leaves_each_bus_around_it_once_in_whichever_turn_inside(
    options: dict[str, Any], wrap: Callable[[Bus], Any], way: str
) -> None:
    # DF-19
    for levels, depth, fails in [
        (0, 0, False),
        (0, 1, True),
        (0, 9, False),
        (1, 1, False),
        (2, 5, True),
        (2, 6, False),
    ]:
        left = await times_that_a_leaves(options, wrap, way, levels, depth, fails)
        lost = fails and way == "by hand"  # the function between is raised an error, which has the message
        assert left == (0 if lost else 1), (levels, depth, fails)


async def times_that_a_leaves(
    options: dict[str, Any], wrap: Callable[[Bus], Any], way: str, levels: int, depth: int, fails: bool
) -> int:
    """Return how often A gets to the outermost bus if it comes from a turn that is so many turns deep."""
    got, left = list[Message](), depth

    async def ask(message: Start) -> Any:
        nonlocal left
        if left:
            left -= 1
            with suppress(TurnFailed):
                await {"root": top, "own": context, "next door": beside, "by hand": top}[way](Start())
            return None
        return [A(), B()] if fails else A()

    def fail(message: B) -> None:
        raise ValueError("after it left")

    async def call_back(message: Start) -> None:
        await context(message)

    async def by_hand(message: Start) -> Any:
        return await context(message)

    context = Bus([ask, fail], name="context", inbound=[Start], outbound=[A], **options)
    beside = Bus([call_back], name="next door")
    inner: Any = context_in(levels, by_hand if way == "by hand" else wrap(context), options, wrap)
    top = Bus([inner, got.append], inbound=[Start], name="top", **options)
    with suppress(TurnFailed):
        await top(Start())
    return got.count(A())


async def test_what_left_in_a_turn_that_was_cancelled_leaves_with_the_turn_around() -> None:
    # DF-19
    got: list[Message] = []

    async def ask(message: Start) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await top(N(1))

    async def hang(message: A) -> None:
        scopes[0].cancel()
        await anyio.sleep_forever()

    def give(message: N) -> A:
        return A()

    scopes: list[anyio.CancelScope] = []
    context = Bus([ask, give, hang], name="context", outbound=[A])
    top = Bus([context, got.append], name="top")
    await top(Start())
    assert got.count(A()) == 1
