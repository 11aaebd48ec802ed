"""threaded runs a blocking component in a worker thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import pytest
from anyio.lowlevel import checkpoint

from modd import Bus, Failure, Message, NotAComponent, Part, TurnFailed
from modd.parts import Filter, Log, Logged, Merge, Outbound, Reaction, Spawn, threaded
from tests.parts.components import Listener, Resource

pytestmark = pytest.mark.anyio


class Ordered(Message):
    n: int


class Other(Message):
    pass


class Made(Message):
    n: int
    in_thread: bool = True


MAIN = threading.main_thread()


def made(n: int) -> Made:
    return Made(n, threading.current_thread() is not MAIN)


def work(message: Ordered) -> Made:
    return made(message.n)


def work_list(message: Ordered) -> list[Any]:
    return [(made(message.n),), None]


def work_generator(message: Ordered) -> Iterator[Any]:
    yield made(message.n)


def work_nested(message: Ordered) -> Iterator[Any]:
    yield [work_generator(message)]


@pytest.mark.parametrize("component", [work, work_list, work_generator, work_nested])
async def test_the_component_and_what_it_yields_run_in_a_thread(component: Callable[..., Any]) -> None:
    # MO-1
    heard = Listener()
    await Bus([threaded(component), heard])(Ordered(1))
    assert heard.messages == [Ordered(1), Made(1)]


async def test_the_loop_goes_on_while_the_thread_works() -> None:
    # MO-1
    here, there = anyio.Event(), threading.Event()

    def block(message: Ordered) -> Made:
        anyio.from_thread.run_sync(here.set)
        there.wait()
        return made(message.n)

    heard = Listener()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Bus([threaded(block), heard]), Ordered(1))
        await here.wait()
        there.set()
    assert heard.messages == [Ordered(1), Made(1)]


async def test_it_accepts_what_the_component_accepts_and_has_its_name() -> None:
    # MO-1
    part = threaded(work)
    assert part.accepts.types == (Ordered,)
    assert (part.name, part.components) == ("threaded(work)", (work,))
    heard = Listener()
    await Bus([part, heard])(Other())
    assert heard.messages == [Other()]


async def test_parts_of_blocking_components_run_in_a_thread_too() -> None:
    # MO-1 MO-12 MO-15 MO-20
    heard = Listener()
    bus = Bus([threaded(Log(Outbound(Filter(Reaction(work), allow=Ordered)))), heard])
    await bus(Ordered(1))
    await bus(Ordered(1))
    assert [type(message) for message in heard.messages] == [Ordered, Logged, Made, Ordered, Logged]


async def test_a_component_that_it_gives_back_is_added() -> None:
    # MO-5
    def build(message: Ordered) -> Any:
        return lambda other: None

    bus = Bus([threaded(build)])
    await bus(Ordered(1))
    assert len(bus.components) == 2


async def test_what_came_before_an_error_is_kept() -> None:
    # MO-1
    closed: list[str] = []

    def fail(message: Ordered) -> Iterator[Made]:
        try:
            yield made(message.n)
            raise ValueError("boom")
        finally:
            closed.append(threading.current_thread().name)

    heard = Listener()
    with pytest.raises(TurnFailed) as info:
        await Bus([threaded(fail), heard])(Ordered(1))
    assert [type(message) for message in heard.messages] == [Ordered, Made, Failure]
    assert len(closed) == 1
    (error,) = info.value.exceptions
    assert str(error) == "boom"
    assert error.__notes__ == [
        "modd: raised by threaded(test_what_came_before_an_error_is_kept.fail) when given Ordered in bus"
    ]


async def test_failures_are_handled_in_a_thread_only_by_a_handler() -> None:
    # MO-1
    handled: list[Exception] = []

    def boom(message: Ordered) -> None:
        raise ValueError("boom")

    def handle(failure: Failure) -> None:
        handled.append(failure.error)

    await Bus([boom, threaded(handle)])(Ordered(1))
    assert len(handled) == 1
    with pytest.raises(TurnFailed):
        await Bus([boom, threaded(Listener())])(Ordered(1))


context: ContextVar[str] = ContextVar("context")


async def test_context_variables_are_carried_over() -> None:
    # MO-1
    seen: list[str] = []

    def look(message: Ordered) -> None:
        seen.append(context.get())

    context.set("carried")
    await Bus([threaded(look)])(Ordered(1))
    assert seen == ["carried"]


async def test_a_send_from_the_thread_counts_as_inside_the_turn() -> None:
    # MO-8
    heard = Listener()

    def ask(message: Ordered) -> None:
        anyio.from_thread.run(bus, Other())
        heard.messages.append(made(message.n))

    bus = Bus()
    bus.add(threaded(ask))
    bus.add(Filter(heard, allow=Other))
    with anyio.fail_after(60):  # it would wait for its own turn otherwise
        await bus(Ordered(1))
    assert heard.messages == [Other(), Made(1)], "the send was done before it returned"


async def test_a_cancelled_sender_waits_for_the_thread() -> None:
    # MO-1
    here, there, log = anyio.Event(), threading.Event(), list[str]()

    def block(message: Ordered) -> None:
        if message.n:
            anyio.from_thread.run_sync(here.set)
            there.wait()
            log.append("done")

    async def send() -> None:
        try:
            await bus(Ordered(1))
            await checkpoint()
        finally:
            log.append("sender ended")

    bus = Bus([threaded(block)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await here.wait()
        tasks.cancel_scope.cancel()
        there.set()
    assert log == ["done", "sender ended"]
    await bus(Ordered(0))


async def test_a_component_can_notice_that_its_sender_was_cancelled() -> None:
    # MO-1
    here, ended = anyio.Event(), threading.Event()

    def work_long(message: Ordered) -> None:
        anyio.from_thread.run_sync(here.set)
        try:
            while True:
                anyio.from_thread.check_cancelled()
        finally:
            ended.set()

    bus = Bus([threaded(work_long)])
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus, Ordered(1))
            await here.wait()
            tasks.cancel_scope.cancel()
    assert ended.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancel_does_not_wait_for_the_thread() -> None:
    # MO-1
    here, there, done = anyio.Event(), threading.Event(), threading.Event()

    def block(message: Ordered) -> None:
        if message.n:
            anyio.from_thread.run_sync(here.set)
            there.wait()
            done.set()

    bus = Bus([threaded(block)])
    task = asyncio.create_task(bus(Ordered(1)))
    await here.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not done.is_set()
    there.set()
    done.wait()
    await bus(Ordered(0))


async def test_components_inside_are_opened_on_the_loop() -> None:
    # MO-1
    held = Resource()
    async with Bus([threaded(held)]) as bus:
        await bus(Other())
    assert held.log == ["opened", "Other", "closed"]


async def work_async(message: Ordered) -> None: ...


async def work_async_generator(message: Ordered) -> AsyncIterator[Made]:
    yield made(1)


class Worker:
    async def __call__(self, message: Ordered) -> None: ...


class Slow(Worker):
    pass


@pytest.mark.parametrize(
    "component",
    [
        work_async,
        work_async_generator,
        Slow(),
        Filter(work_async),
        Spawn(Ordered, lambda _: None),
        threaded(work),
    ],
)
async def test_async_components_are_refused(component: Any) -> None:
    # MO-13
    with pytest.raises(NotAComponent, match=r"it is async and does not block the loop; use it without threaded\(\)"):
        threaded(component)


@pytest.mark.parametrize("component", [Bus([work]), Filter(Bus([work]))])
async def test_a_bus_is_refused(component: Part) -> None:
    # MO-13
    with pytest.raises(NotAComponent, match="a bus runs on the loop"):
        threaded(component)


async def test_state_is_kept_across_threads() -> None:
    # MO-19
    heard = Listener()
    bus = Bus([threaded(Merge(Ordered, Other, into=lambda ordered, other: made(ordered.n))), heard])
    await bus(Ordered(1))
    await bus(Other())
    assert heard.messages == [Ordered(1), Other(), Made(1)]
