"""Cancelling a sender ends its own turn and no other (MO-3)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Failure, Message, Observer, StrayCancellation, TurnFailed
from modd.core.turn import current_turn
from tests.names import A, B, C, N, Start

pytestmark = pytest.mark.anyio


class Abandoned(Observer):
    """Keeps what was abandoned."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.errors: list[str] = []

    def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
        self.messages += messages
        self.errors += map(repr, failures)


class Steps:
    """Cancels a scope at the n-th await that is reached."""

    def __init__(self, at: int, scope: anyio.CancelScope) -> None:
        self.at, self.scope, self.count = at, scope, 0

    async def __call__(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.scope.cancel()
        await checkpoint()


def long_turn(step: Steps) -> Bus:
    """A bus with many awaits: nested, from inside, generators, failures and their handling."""
    bus = Bus(name="long")

    async def first(message: Start) -> Any:
        await step()
        yield A()
        await step()
        yield N(3)

    async def asks(message: A) -> B:
        await step()
        await bus(N(1))
        await step()
        return B()

    async def counts(message: N) -> Any:
        await step()
        return N(message.n - 1) if message.n else None

    async def fails(message: B) -> None:
        await step()
        raise ValueError("fails")

    async def rescue(failure: Failure) -> None:
        await step()

    async def inner(message: B) -> C:
        await step()
        return C()

    for component in (first, asks, counts, fails, rescue, Bus([inner], name="nested", outbound=[C])):
        bus.add(component)
    return bus


@pytest.mark.parametrize("at", range(1, 16))
@pytest.mark.parametrize("observed", [False, True])
async def test_a_sender_may_be_cancelled_at_every_await_of_a_long_turn(at: int, observed: bool) -> None:
    # MO-3
    scope = anyio.CancelScope()
    step = Steps(at, scope)
    bus = long_turn(step)
    with scope, bus.observe(Abandoned()) if observed else nullcontext():
        await bus(Start())
    assert scope.cancelled_caught == (at <= step.count) and step.count <= 15
    step.at = 0
    assert await bus(Start()) == (), "the bus stays usable"


async def test_others_go_on_when_the_sender_in_front_is_cancelled() -> None:
    # MO-8
    seen: list[N] = []
    begun = anyio.Event()

    async def work(message: N) -> None:
        if message.n == 0:
            begun.set()
            await anyio.sleep_forever()
        seen.append(message)

    bus = Bus([work])
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def first() -> None:
            with scope:
                await bus(N(0))

        tasks.start_soon(first)
        await begun.wait()
        tasks.start_soon(bus, N(1))
        tasks.start_soon(bus, N(2))
        await checkpoint()
        scope.cancel()
    assert sorted(seen, key=lambda message: message.n) == [N(1), N(2)]


@pytest.mark.parametrize("handed_over", [False, True])
async def test_a_sender_may_be_cancelled_while_it_waits_in_the_line(handed_over: bool) -> None:
    # MO-8
    seen: list[N] = []
    go = anyio.Event()

    async def work(message: N) -> None:
        if message.n == 0:
            await go.wait()
        seen.append(message)

    bus = Bus([work])
    scopes = {n: anyio.CancelScope() for n in (1, 2)}

    async def send(n: int) -> None:
        with scopes[n]:
            await bus(N(n))

    async with anyio.create_task_group() as tasks:
        await start(tasks, bus, N(0))
        await start(tasks, send, 1)
        await start(tasks, send, 2)
        if handed_over:
            go.set()
            while N(0) not in seen:
                await checkpoint()
        scopes[1].cancel()
        go.set()
    assert N(0) in seen and N(2) in seen
    assert await bus(N(3)) == ()


async def start(tasks: Any, function: Any, argument: Any) -> None:
    """Start a task and let it come to its first wait."""
    tasks.start_soon(function, argument)
    for _ in range(5):
        await checkpoint()


async def test_a_turn_within_may_be_cancelled_while_it_waits() -> None:
    # MO-8
    bus = Bus()
    done: list[str] = []

    async def asks(message: Start) -> None:
        async with anyio.create_task_group() as tasks:
            await start(tasks, bus, N(0))
            with anyio.move_on_after(0):
                await bus(N(1))
            done.append("moved on")
            tasks.cancel_scope.cancel()

    async def work(message: N) -> None:
        done.append(str(message.n))
        await anyio.sleep_forever()

    bus.add(asks)
    bus.add(work)
    await bus(Start())
    assert done == ["0", "moved on"]
    assert await bus(A()) == ()


async def test_what_a_cancelled_turn_within_let_out_still_leaves() -> None:
    # MO-17
    bus = Bus(outbound=[A])

    async def asks(message: Start) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await bus(N(0))

    async def gives(message: N) -> A:
        return A()

    async def waits(message: A) -> None:
        scopes[0].cancel()
        await checkpoint()

    scopes: list[anyio.CancelScope] = []
    for component in (asks, gives, waits):
        bus.add(component)
    assert await bus(Start()) == (A(),)


async def clean_up_badly(message: Start) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise ValueError("clean-up")


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("observed", [False, True])
async def test_a_component_that_raises_in_its_clean_up_swallows_no_cancellation(
    concurrent: bool, observed: bool
) -> None:
    # MO-3
    after: list[Message] = []

    async def late(message: A) -> None:
        after.append(message)

    bus = Bus([lambda message: A(), clean_up_badly, clean_up_badly], concurrent=concurrent)
    watch = Abandoned()
    with bus.observe(watch) if observed else nullcontext():
        with anyio.move_on_after(0) as scope:
            await bus(Start())
    assert scope.cancelled_caught
    assert after == []
    if observed:
        assert "ValueError('clean-up')" in watch.errors
    with pytest.raises(TurnFailed):
        await Bus([bad])(Start())


def bad(message: Start) -> None:
    raise ValueError("bad")


async def test_observers_are_told_what_was_not_handled_and_which_failures_nobody_gets() -> None:
    # MO-26
    async def waits(message: N) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    def gives(message: Start) -> Any:
        return [A(), N(1), N(2)]

    def lost(message: A) -> None:
        raise KeyError("lost")

    def refuse(failure: Failure) -> None:
        raise failure.error

    watch = Abandoned()
    bus = Bus([gives, bad, lost, refuse, waits])
    with bus.observe(watch), anyio.CancelScope() as scope:
        await bus(Start())
    assert watch.messages == [N(1), N(2)]
    assert watch.errors == ["ValueError('bad')", "KeyError('lost')"]


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_sender_may_be_cancelled_at_the_checkpoint_before_its_turn(exclusive: bool) -> None:
    # MO-3
    seen: list[Message] = []
    bus = Bus([seen.append], exclusive=exclusive)
    with anyio.CancelScope() as scope:
        scope.cancel()
        for n in range(1_000):
            await bus(N(n))
    assert scope.cancelled_caught and len(seen) < 300
    assert await bus(A()) == () and seen[-1] == A()


async def test_a_cancellation_that_was_not_the_senders_is_a_failure() -> None:
    # MO-3
    def odd(message: Start) -> None:
        try:
            raise asyncio.CancelledError
        except asyncio.CancelledError:
            raise ValueError("odd") from None

    with pytest.raises(TurnFailed) as caught:
        await Bus([odd])(Start())
    assert isinstance(caught.value.exceptions[0], ValueError)


class TestOnAsyncioOnly:
    """Native ``task.cancel()`` is delivered once, unlike that of a scope."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.mark.parametrize("concurrent", [False, True])
    async def test_a_native_cancellation_is_not_swallowed(self, concurrent: bool) -> None:
        # MO-3
        bus = Bus([clean_up_badly, bad], concurrent=concurrent)
        task = asyncio.create_task(bus(Start()))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel("by hand")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bus(A()) == ()

    async def test_a_gate_is_passed_on_when_it_is_handed_to_a_sender_that_is_cancelled(self) -> None:
        # MO-8
        seen: list[Message] = []
        go = anyio.Event()

        async def holds(message: Start) -> None:
            await go.wait()

        def keep(message: N) -> None:
            seen.append(message)

        bus = Bus([keep, holds])

        async def first() -> None:
            await bus(Start())
            second.cancel()  # the second has the gate now, and has not run yet

        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(first())]
        await asyncio.sleep(0)
        second = asyncio.create_task(bus(N(1)))
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(bus(N(2))))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)
        with pytest.raises(asyncio.CancelledError):
            await second
        assert seen == [N(2)]

    async def test_an_asyncio_timeout_around_a_send_is_a_timeout(self) -> None:
        # MO-3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Bus([clean_up_badly])(Start())

    async def test_a_timeout_inside_a_component_is_a_failure_and_no_cancellation(self) -> None:
        # MO-3
        async def slow(message: Start) -> None:
            async with asyncio.timeout(0):
                await asyncio.sleep(10)

        with pytest.raises(TurnFailed) as caught:
            await Bus([slow])(Start())
        assert isinstance(caught.value.exceptions[0], TimeoutError)

    async def test_a_sender_that_cleans_up_after_its_cancellation_gets_failures(self) -> None:
        # MO-3
        outcome: list[str] = []

        async def slow(message: A) -> None:
            await asyncio.wait_for(asyncio.sleep(10), 0.001)

        async def sender() -> None:
            bus = Bus([bad, slow])
            try:
                await asyncio.sleep(10)
            finally:
                for message in (Start(), A()):
                    try:
                        await bus(message)
                    except TurnFailed as failed:
                        outcome.append(type(failed.exceptions[0]).__name__)

        task = asyncio.create_task(sender())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert outcome == ["ValueError", "TimeoutError"]

    @pytest.mark.parametrize("concurrent", [False, True])
    async def test_a_component_that_awaits_a_cancelled_task_has_failed(self, concurrent: bool) -> None:
        async def waits(message: Start) -> None:
            task = asyncio.ensure_future(asyncio.sleep(10))
            task.cancel()
            await task

        bus = Bus([waits, lambda message: None], concurrent=concurrent)
        with pytest.raises(TurnFailed) as caught:
            await bus(Start())
        assert [type(error) for error in caught.value.exceptions] == [StrayCancellation]
        assert await bus(A()) == ()

    async def test_an_idle_bus_is_bound_to_no_loop(self) -> None:
        seen: list[Message] = []

        async def keep(message: A) -> None:
            await checkpoint()
            seen.append(message)

        bus = Bus([keep])
        await bus(A())
        with ThreadPoolExecutor() as threads:  # asyncio.to_thread would carry over that a loop runs here
            threads.submit(anyio.run, bus, A()).result()
            threads.submit(lambda: anyio.run(bus, A(), backend="trio")).result()
        assert seen == [A()] * 3


async def test_an_observer_that_stops_the_program_leaves_no_bus_held() -> None:
    # MO-26
    class Stop(BaseException):
        pass

    class Stops(Observer):
        def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
            raise Stop

    async def forever(message: Start) -> None:
        await anyio.sleep_forever()

    bus = Bus([forever])
    with bus.observe(Stops()), anyio.move_on_after(0), pytest.raises(Stop):
        await bus(Start())
    assert await bus(A()) == ()


async def test_an_observed_send_may_be_closed_from_elsewhere() -> None:
    # MO-26
    async def forever(message: Start) -> None:
        await anyio.sleep_forever()

    bus = Bus([forever])
    watch = Abandoned()
    coroutine: Any = bus(Start())
    with bus.observe(watch):
        contextvars.copy_context().run(coroutine.send, None)
        coroutine.close()
    assert watch.messages == [Start()]
    assert await bus(A()) == ()


async def test_dropped_buses_leave_nothing_behind() -> None:
    # MO-3
    def make() -> tuple[Bus, list[Exception]]:
        kept: list[Exception] = []

        async def bad(message: Start) -> None:
            raise ValueError("kept")

        def keep(failure: Failure) -> None:
            kept.append(failure.error)

        return Bus([bad, keep]), kept

    bus, _ = make()
    await bus(Start())
    gone = weakref.ref(bus)
    del bus, _
    await Bus([lambda message: None])(A())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Bus([idle]), A())
    current_turn.set(None)
    gc.collect()
    assert gone() is None


async def idle(message: A) -> None:
    await checkpoint()


async def test_a_send_that_is_never_awaited_holds_nothing() -> None:
    async def waits(message: Start) -> None:
        await anyio.sleep_forever()

    bus = Bus([waits])
    coroutine: Any = bus(Start())
    coroutine.close()
    assert await bus(A()) == ()
