"""One turn: order, the values that a component returns, and the messages that a sender gets (MO-1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import anyio
import pytest

from modd import Bus, Failure, Message, NotAMessage, TurnFailed
from tests.names import A, B, N, Start, failures_of

pytestmark = pytest.mark.anyio


async def test_messages_are_handled_breadth_first_in_component_order() -> None:
    # MO-1
    seen: list[str] = []

    def first(message: Message) -> Any:
        seen.append(f"1:{message}")
        return [N(1), N(2)] if isinstance(message, Start) else None

    async def second(message: Message) -> Any:
        seen.append(f"2:{message}")
        return N(3) if isinstance(message, Start) else None

    await Bus([first, second])(Start())
    order = ["Start()", "N(n=1)", "N(n=2)", "N(n=3)"]
    assert seen == [f"{who}:{what}" for what in order for who in (1, 2)]


async def test_every_form_of_giving_back_is_flattened_in_order() -> None:
    # MO-1
    seen: list[int] = []

    def nothing(message: Start) -> None:
        return None

    def one(message: Start) -> N:
        return N(1)

    def several(message: Start) -> Any:
        return [N(2), None, (N(3), [N(4)])]

    def generator(message: Start) -> Iterator[N]:
        yield N(5)
        yield N(6)

    async def awaited(message: Start) -> list[N]:
        await anyio.lowlevel.checkpoint()
        return [N(7)]

    async def async_generator(message: Start) -> AsyncIterator[N]:
        yield N(8)
        await anyio.lowlevel.checkpoint()
        yield N(9)

    class Later:
        def __await__(self) -> Any:
            yield from anyio.lowlevel.checkpoint().__await__()
            return N(10)

    def awaitable(message: Start) -> Awaitable[N]:
        return Later()

    def awaitables(message: Start) -> Any:
        return [awaited(message), N(11)]

    def keep(message: N) -> None:
        seen.append(message.n)

    parts = [nothing, one, several, generator, awaited, async_generator, awaitable, awaitables]
    await Bus([*parts, keep])(Start())
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 7, 11]


async def test_await_means_that_all_that_was_caused_is_done() -> None:
    # MO-8
    done: list[int] = []

    async def slow(message: N) -> Any:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        done.append(message.n)
        return N(message.n - 1) if message.n else None

    await Bus([slow])(N(3))
    assert done == [3, 2, 1, 0]


async def test_an_author_receives_its_own_result() -> None:
    # MO-6
    seen: list[Message] = []

    def author(message: Message) -> Any:
        seen.append(message)
        return A() if isinstance(message, Start) else None

    await Bus([author])(Start())
    assert seen == [Start(), A()]


async def test_a_generator_is_drained_before_the_next_component_gets_the_message() -> None:
    # MO-1
    seen: list[str] = []

    async def first(message: Start) -> AsyncIterator[A]:
        seen.append("begin")
        yield A()
        await anyio.lowlevel.checkpoint()
        seen.append("end")

    def second(message: Start) -> None:
        seen.append("second")

    await Bus([first, second])(Start())
    assert seen == ["begin", "end", "second"]


async def test_a_generator_that_raises_keeps_what_it_yielded() -> None:
    # MO-3
    seen: list[Message] = []

    def sync(message: Start) -> Iterator[N]:
        yield N(1)
        raise ValueError("sync")

    async def late(message: Start) -> AsyncIterator[N]:
        yield N(2)
        raise ValueError("late")

    def keep(message: N) -> None:
        seen.append(message)

    with pytest.raises(TurnFailed) as caught:
        await Bus([sync, late, keep])(Start())
    assert seen == [N(1), N(2)]
    assert failures_of(caught.value) == ["ValueError('sync')", "ValueError('late')"]


@pytest.mark.parametrize("wrong", ["text", 7, {"a": 1}, 1.5, b"x", {A()}, object()])
async def test_giving_back_anything_else_is_an_error_that_names_component_and_value(wrong: Any) -> None:
    # MO-13
    seen: list[Message] = []

    def sloppy(message: Start) -> Any:
        return [A(), wrong, B()]

    def keep(message: A | B) -> None:
        seen.append(message)

    with pytest.raises(TurnFailed) as caught:
        await Bus([sloppy, keep], name="shop")(Start())
    (error,) = caught.value.exceptions
    assert isinstance(error, NotAMessage) and isinstance(error, TypeError)
    assert "sloppy" in str(error) and type(wrong).__name__ in str(error)
    assert seen == [A()], "what came before is kept"


async def test_giving_back_a_message_class_asks_whether_an_instance_was_meant() -> None:
    # MO-13
    def sloppy(message: Start) -> Any:
        return A

    with pytest.raises(TurnFailed) as caught:
        await Bus([sloppy])(Start())
    assert "did you mean A()?" in str(caught.value.exceptions[0])


@pytest.mark.parametrize("wrong", ["text", 7, None, [A()], object()])
async def test_sending_anything_but_a_message_is_refused_at_once(wrong: Any) -> None:
    # MO-13
    bus = Bus([lambda message: None])
    with pytest.raises(NotAMessage, match="not a message"):
        await bus(wrong)
    with pytest.raises(NotAMessage, match=r"did you mean A\(\)\?"):
        await bus(A)  # type: ignore[arg-type]
    assert await bus(A()) == ()


async def test_a_component_in_place_of_a_message_is_added() -> None:
    # MO-5
    seen: list[Message] = []

    def late(message: A) -> None:
        seen.append(message)

    def builder(message: Start) -> Any:
        return [late, A()]

    bus = Bus([builder])
    await bus(Start())
    assert seen == [A()] and bus.components == (builder, late)


async def test_a_component_added_in_a_running_turn_counts_from_the_next_message_taken() -> None:
    # MO-5
    seen: list[Message] = []
    bus = Bus()

    def late(message: Message) -> None:
        seen.append(message)

    async def adder(message: Start) -> A:
        bus.add(late)
        await anyio.lowlevel.checkpoint()
        return A()

    bus.add(adder)
    await bus(Start())
    assert seen == [A()]


async def test_a_component_that_removes_itself_still_gives_back_what_it_has() -> None:
    # MO-5
    seen: list[Message] = []
    bus = Bus([lambda message: seen.append(message)])

    def once(message: Start) -> list[A]:
        bus.remove(once)
        return [A()]

    bus.add(once)
    await bus(Start())
    await bus(Start())
    assert seen == [Start(), A(), Start()]


async def test_a_message_that_nobody_takes_ends_the_turn_without_error() -> None:
    assert await Bus()(A()) == ()
    assert await Bus([lambda message: None])(A()) == ()


async def test_a_long_chain_keeps_no_more_than_what_is_queued() -> None:
    # MO-1
    alive = 0
    most = 0

    class Held:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    class Link(Message):
        n: int
        held: Held

    def chain(message: Link) -> Any:
        return Link(message.n - 1, Held()) if message.n else None

    await Bus([chain], limit=None)(Link(5_000, Held()))
    assert most <= 3


async def test_failure_given_back_by_a_component_is_raised_when_nobody_handles_it() -> None:
    # MO-17
    error = ValueError("by hand")

    def reporter(message: Start) -> Failure:
        return Failure(message, reporter, error)

    with pytest.raises(TurnFailed) as caught:
        await Bus([reporter])(Start())
    assert caught.value.exceptions == (error,)


@pytest.mark.parametrize("outbound", [[], [N]])
async def test_single_answers_of_several_components_keep_their_order(outbound: list[type[Message]]) -> None:
    # MO-1
    seen: list[int] = []

    def left(message: N) -> Any:
        seen.append(message.n)
        return N(2 * message.n) if message.n < 200 else None

    async def right(message: N) -> Any:
        return N(2 * message.n + 1) if message.n < 200 else None

    bus = Bus([left, right], outbound=outbound)
    for _ in range(2):
        seen.clear()
        await bus(N(1))
        assert seen == list(range(1, 400)), "a tree, level by level"


async def test_a_queue_that_was_emptied_is_filled_again_in_order() -> None:
    # MO-1
    seen: list[int] = []

    def left(message: N) -> Any:
        seen.append(message.n)
        return N(message.n - 1) if message.n > 0 else None

    def right(message: N) -> Any:
        return N(-message.n) if message.n > 0 and message.n % 2 == 0 else None

    bus = Bus([left, right])
    for _ in range(2):
        seen.clear()
        await bus(N(6))
        assert seen == [6, 5, -6, 4, 3, -4, 2, 1, -2, 0]


async def test_synchronous_components_with_much_in_the_queue_let_others_run() -> None:
    # MO-1
    beats, stop = 0, False

    def left(message: N) -> Any:
        return N(message.n - 1) if message.n > 1 else None

    def right(message: N) -> Any:
        return A() if message.n > 1 else None

    async def other() -> None:
        nonlocal beats
        while not stop:
            beats += 1
            await anyio.lowlevel.checkpoint()

    bus = Bus([left, right])
    await bus(N(1))
    await bus(A())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await bus(N(2_000))
        stop = True
    assert beats >= 4_000 // 256 - 2


async def test_a_list_that_is_handled_without_a_single_await_lets_others_run() -> None:
    # MO-1
    beats, stop, seen = 0, False, list[int]()

    def wide(message: Start) -> Any:
        return tuple(N(n) for n in range(3_000))

    def keep(message: N) -> None:
        seen.append(beats)

    async def other() -> None:
        nonlocal beats
        while not stop:
            beats += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await Bus([wide, keep])(Start())
        stop = True
    assert seen[-1] - seen[0] >= 3_000 // 256 - 3
