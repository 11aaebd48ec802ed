"""Failure is a message, and each reaches the sender that caused it (MO-17)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec import defstruct

from modd import Bus, DuplicateName, Failure, Message, ModdError, Part, TurnFailed
from tests.names import A, N, Start, failures_of

pytestmark = pytest.mark.anyio


def boom(message: Start) -> None:
    raise ValueError("boom")


async def boom_later(message: Start) -> None:
    await checkpoint()
    raise ValueError("later")


@pytest.mark.parametrize("component", [boom, boom_later])
async def test_the_others_still_get_the_message_and_the_turn_goes_on(component: Any) -> None:
    # MO-3
    seen: list[Message] = []

    async def answer(message: Start) -> A:
        return A()

    def keep(message: Start | A) -> None:
        seen.append(message)

    bus = Bus([component, answer, keep])
    with pytest.raises(TurnFailed) as caught:
        await bus(Start())
    assert seen == [Start(), A()]
    assert isinstance(caught.value, ModdError) and isinstance(caught.value, ExceptionGroup)
    with pytest.raises(TurnFailed):
        await bus(Start())
    assert seen == [Start(), A(), Start(), A()], "nothing is left over in the queue"


async def test_a_component_that_names_failure_handles_it() -> None:
    # MO-17
    seen: list[Failure] = []

    def rescue(failure: Failure) -> A:
        seen.append(failure)
        return A()

    got: list[Message] = []

    def keep(message: A) -> None:
        got.append(message)

    await Bus([boom, rescue, keep])(Start())
    (failure,) = seen
    assert (failure.message, failure.component, repr(failure.error)) == (Start(), boom, "ValueError('boom')")
    assert got == [A()]


async def test_a_union_with_failure_handles_it_and_a_catch_all_only_sees_it() -> None:
    # MO-17
    seen: list[Message] = []

    def either(message: A | Failure) -> None:
        seen.append(message)

    await Bus([boom, either])(Start())
    assert isinstance(seen[0], Failure)

    def catch_all(message: Message) -> None:
        seen.append(message)

    with pytest.raises(TurnFailed):
        await Bus([boom, catch_all])(Start())
    assert isinstance(seen[-1], Failure)


async def test_a_handler_that_does_not_want_a_failure_raises_its_error() -> None:
    # MO-17
    def refuse(failure: Failure) -> None:
        raise failure.error

    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, refuse, refuse])(Start())
    assert failures_of(caught.value) == ["ValueError('boom')"]


async def test_a_failure_in_handling_a_failure_is_raised_and_not_queued() -> None:
    # MO-17
    calls = 0

    def clumsy(failure: Failure) -> None:
        nonlocal calls
        calls += 1
        raise KeyError("clumsy")

    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, clumsy])(Start())
    assert calls == 1
    assert failures_of(caught.value) == ["ValueError('boom')", "KeyError('clumsy')"]


async def test_one_handler_is_enough_but_the_failure_of_another_is_raised() -> None:
    # MO-17
    def clumsy(failure: Failure) -> None:
        raise KeyError("clumsy")

    def rescue(failure: Failure) -> None:
        return None

    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, clumsy, rescue])(Start())
    assert failures_of(caught.value) == ["KeyError('clumsy')"]


async def test_a_failure_that_one_declines_and_another_handles_is_handled() -> None:
    # MO-17
    def decline(failure: Failure) -> None:
        raise failure.error

    for handlers in ([decline, lambda_handler], [lambda_handler, decline]):
        await Bus([boom, *handlers])(Start())
        await Bus([boom, *handlers[:1], Bus(handlers[1:], name="inner", inbound=[Failure])])(Start())


async def test_what_left_another_bus_that_a_component_awaits_is_not_taken_for_its_own() -> None:
    # MO-17
    elsewhere = Bus([lambda message: A() if isinstance(message, N) else None, boom_n], name="elsewhere", outbound=[A])

    async def asks(message: Start) -> None:
        await elsewhere(N(1))

    seen: list[Message] = []

    def keep(message: A) -> None:
        seen.append(message)

    with pytest.raises(TurnFailed) as caught:
        await Bus([Bus([asks], name="asking"), Part(asks), keep])(Start())
    assert seen == []
    error: Any = caught.value.exceptions[1]
    assert (error.bus, error.outbound) == (elsewhere, (A(),))


def boom_n(message: N) -> None:
    raise ValueError("boom")


async def test_a_sent_failure_that_nobody_handles_comes_back_to_its_sender() -> None:
    # MO-17
    error = ValueError("sent")
    with pytest.raises(TurnFailed) as caught:
        await Bus()(Failure(A(), boom, error))
    assert caught.value.exceptions == (error,)
    await Bus([lambda_handler])(Failure(A(), boom, error))


def lambda_handler(failure: Failure) -> None:
    return None


async def test_each_error_has_one_note_with_component_type_and_bus_but_no_content() -> None:
    # MO-17
    def refuse(failure: Failure) -> None:
        raise failure.error

    def secret(message: N) -> None:
        raise ValueError("boom")

    with pytest.raises(TurnFailed) as caught:
        await Bus([secret, refuse], name="shop")(N(4711))
    (error,) = caught.value.exceptions
    (note,) = error.__notes__
    assert "secret" in note and "N" in note and "shop" in note and "4711" not in note


async def test_an_instance_that_is_raised_again_and_again_has_one_note() -> None:
    # MO-17
    error = ValueError("the same")
    error.add_note("the user's own")

    def again(message: N) -> None:
        raise error

    def too(message: N) -> None:
        raise error

    bus = Bus([again, too])
    for n in range(3):
        with pytest.raises(TurnFailed) as caught:
            await bus(N(n))
        assert caught.value.exceptions == (error, error)
        assert len(error.__notes__) == 2
        assert "the user's own" in error.__notes__


async def test_a_failing_add_note_changes_nothing() -> None:
    # MO-17
    class Stubborn(Exception):
        def add_note(self, note: str, /) -> None:
            raise RuntimeError("no notes")

    def fail(message: Start) -> None:
        raise Stubborn

    with pytest.raises(TurnFailed) as caught:
        await Bus([fail])(Start())
    assert isinstance(caught.value.exceptions[0], Stubborn)


async def test_what_left_before_the_failure_is_on_the_error_and_derive_keeps_it() -> None:
    # MO-17
    def give(message: Start) -> list[Message]:
        return [A(), N(1)]

    def fail(message: A) -> None:
        raise ValueError("boom")

    with pytest.raises(TurnFailed) as caught:
        await Bus([give, fail], outbound=[N])(Start())
    assert caught.value.outbound == (N(1),)
    derived = caught.value.subgroup(ValueError)
    assert isinstance(derived, TurnFailed) and derived.outbound == (N(1),)


async def test_the_surrounding_bus_still_gets_what_left_a_failed_turn() -> None:
    # MO-17
    seen: list[Message] = []

    def give(message: Start) -> A:
        return A()

    inner = Bus([give, boom], name="inner", outbound=[A])

    def keep(message: A | Failure) -> None:
        seen.append(message)

    await Bus([inner, keep], name="outer")(Start())
    assert seen[0] == A()
    failure = seen[1]
    assert isinstance(failure, Failure) and failure.component is inner
    assert isinstance(failure.error, TurnFailed) and failure.error.outbound == (A(),)


async def test_an_inner_failure_skips_no_sibling_and_reaches_the_sender_that_caused_it() -> None:
    # MO-17
    seen: list[Message] = []
    inner = Bus([boom_later], name="inner", inbound=[Start])

    def sibling(message: Message) -> None:
        seen.append(message)

    outer = Bus([inner, sibling], name="outer")
    outcomes: dict[str, Any] = {}

    async def send(name: str, message: Message) -> None:
        try:
            outcomes[name] = await outer(message)
        except TurnFailed as error:
            outcomes[name] = failures_of(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, "bad", Start())
        tasks.start_soon(send, "good", A())
    assert outcomes == {"bad": ["ValueError('later')"], "good": ()}
    assert Start() in seen and A() in seen


async def test_the_error_of_a_turn_within_reaches_the_component_that_sent() -> None:
    # MO-8
    caught: list[str] = []
    bus = Bus()

    async def asks(message: A) -> None:
        try:
            await bus(Start())
        except TurnFailed as error:
            caught.extend(failures_of(error))

    bus.add(asks)
    bus.add(boom)
    assert await bus(A()) == ()
    assert caught == ["ValueError('boom')"]


async def test_a_failure_crosses_a_boundary_only_if_it_is_listed() -> None:
    # MO-17
    seen: list[Message] = []

    def rescue(failure: Failure) -> None:
        seen.append(failure)

    inner = Bus([boom], name="inner", outbound=[Failure])
    await Bus([inner, rescue], name="outer")(Start())
    (failure,) = seen
    assert isinstance(failure, Failure) and failure.component is boom

    alone = await inner(Start())
    assert [type(message) for message in alone] == [Failure], "handed over to the sender, who listed it"

    with pytest.raises(TurnFailed) as caught:
        await Bus([inner], name="outer")(Start())
    assert failures_of(caught.value) == ["ValueError('boom')"], "nobody handled it"


async def test_a_failure_that_was_handled_inside_does_not_cross() -> None:
    # MO-17
    inner = Bus([boom, lambda_handler], outbound=[Failure])
    assert await inner(Start()) == ()


async def test_listing_message_does_not_list_failure() -> None:
    # MO-17
    with pytest.raises(TurnFailed):
        await Bus([boom], outbound=[Message])(Start())
    seen: list[Message] = []

    def see(message: Message) -> None:
        seen.append(message)

    with pytest.raises(TurnFailed):
        await Bus([boom, Bus([see], name="log", inbound=[Message])])(Start())
    assert seen == [Start()]


async def test_a_bus_that_lists_failure_in_inbound_handles_those_of_the_surrounding_bus() -> None:
    # MO-17
    seen: list[str] = []

    def rescue(failure: Failure) -> None:
        seen.append(repr(failure.error))

    await Bus([boom, Bus([rescue], name="rescue", inbound=[Failure])])(Start())
    assert seen == ["ValueError('boom')"]

    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, Bus([lambda message: None], name="idle", inbound=[Failure])])(Start())
    assert failures_of(caught.value) == ["ValueError('boom')"], "nobody in it handled the failure"


class Stop(BaseException):
    """Not an error of a component."""


@pytest.mark.parametrize("concurrent", [False, True])
async def test_what_is_not_an_error_of_a_component_passes_through(concurrent: bool) -> None:
    def stop(message: Start) -> None:
        raise Stop

    async def wait(message: Start) -> None:
        await checkpoint()

    bus = Bus([stop, wait], concurrent=concurrent)
    for _ in range(2):
        with pytest.raises(Stop):
            await bus(Start())
    assert await bus(A()) == ()


async def test_several_that_pass_through_at_once_pass_together() -> None:
    async def stop(message: Start) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise Stop

    def begin(message: Start) -> None:
        raise Stop

    with pytest.raises(BaseExceptionGroup) as caught:
        await Bus([stop, begin, stop], concurrent=True)(Start())
    assert [type(error) for error in caught.value.exceptions] == [Stop] * 3


async def test_a_failure_that_was_let_in_does_not_go_out_again() -> None:
    # MO-10 MO-17
    seen: list[Message] = []

    def see(message: Message) -> None:
        seen.append(message)

    context = Bus([lambda message: None], name="context", inbound=[Failure], outbound=[Failure])
    with pytest.raises(TurnFailed) as caught:
        await Bus([boom, context, see])(Start())
    assert [type(message) for message in seen] == [Start, Failure]
    assert failures_of(caught.value) == ["ValueError('boom')"]


async def test_a_name_that_clashes_on_the_way_out_loses_neither_the_error_nor_the_queue() -> None:
    # MO-4 MO-17
    class Same(Message, tag="same"):
        pass

    class Other(Message, tag="same"):
        pass

    def emits(message: Start) -> Same:
        return Same()

    def knows(message: Other) -> Other:
        return Other()

    def gives(message: Start) -> A:
        return A()

    seen: list[Message] = []

    def keep(message: A) -> None:
        seen.append(message)

    inner = Bus([emits, boom], name="inner", inbound=[Start], outbound=[Same])
    with pytest.raises(TurnFailed) as caught:
        await Bus([knows, gives, inner, keep], name="outer")(Start())
    assert seen == [A()]
    assert [type(error) for error in caught.value.exceptions] == [DuplicateName, TurnFailed]


def test_a_type_of_your_own_named_failure_needs_another_name_on_the_wire() -> None:
    # MO-4
    mine: Any = defstruct("Failure", [], bases=(Message,))

    def takes(message: Message) -> None:
        return None

    takes.__annotations__["message"] = mine
    with pytest.raises(DuplicateName, match="Failure"):
        Bus([takes])


async def test_coroutines_behind_one_that_raises_are_closed() -> None:
    # MO-17
    async def bad(message: Start) -> None:
        raise ValueError("bad")

    async def good(message: Start) -> None:
        return None

    def both(message: Start) -> Any:
        return [bad(message), good(message), A()]

    with pytest.raises(TurnFailed):
        await Bus([both])(Start())
