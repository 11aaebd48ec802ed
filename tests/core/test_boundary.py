"""What a bus lets in and out as a component of another (MO-16)."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Accepts, Bus, Failure, Message, Part, TurnFailed
from tests.names import A, B, C, N, Start
from tests.parts.components import Listener

pytestmark = pytest.mark.anyio


def give_a(message: Start) -> A:
    return A()


async def test_inbound_says_what_a_bus_gets_and_outbound_what_the_surrounding_bus_gets() -> None:
    # MO-16
    inside, outside = Listener(), Listener()

    def work(message: Start) -> list[Message]:
        return [A(), B()]

    inner = Bus([work, inside], name="inner", inbound=[Start], outbound=[A])
    await Bus([inner, outside], name="outer")(Start())
    await inner(C())
    assert inside.messages == [Start(), A(), B(), C()], "the inside sees everything, direct sends too"
    assert outside.messages == [Start(), A()]


async def test_by_default_a_bus_takes_what_its_components_accept_and_lets_nothing_out() -> None:
    # MO-16
    inside = Listener()
    inner = Bus([give_a, inside])
    outer = Bus([inner])
    assert inner.accepts == Accepts((Start,), everything=False, catches=False)
    assert await outer(Start()) == ()
    await outer(C())
    assert inside.messages == [Start(), A()], "a catch-all does not widen it"


async def test_a_bus_of_catch_alls_alone_takes_everything_but_failures() -> None:
    # MO-16
    def boom(message: C) -> None:
        raise ValueError

    inside = Listener()
    outer = Bus([Bus([inside]), boom])
    await outer(A())
    with pytest.raises(TurnFailed):
        await outer(C())
    assert inside.messages == [A(), C()]


async def test_subclasses_of_a_listed_type_count() -> None:
    # MO-16
    class Special(A):
        pass

    def work(message: Start) -> Special:
        return Special()

    assert await Bus([work], outbound=[A])(Start()) == (Special(),)
    inside = Listener()
    await Bus([Bus([inside], inbound=[A])])(Special())
    assert inside.messages == [Special()]


async def test_message_in_inbound_lets_everything_in() -> None:
    # MO-16
    inside = Listener()
    await Bus([Bus([inside, give_a], inbound=[Message])])(B())
    assert inside.messages == [B()]


async def test_what_was_let_in_does_not_go_out_again() -> None:
    # MO-10
    inner = Bus([Listener()], inbound=[A], outbound=[A])
    assert await inner(A()) == ()
    outside = Listener()
    await Bus([inner, outside])(A())
    assert outside.messages == [A()]


async def test_what_a_bus_let_out_is_not_given_back_to_it_with_one_type_in_both_lists() -> None:
    # MO-10
    inside, outside = Listener(), Listener()

    def work(message: Start) -> A:
        return A()

    inner = Bus([work, inside], name="inner", inbound=[Start, A], outbound=[A])
    outer = Bus([inner, outside])
    await outer(Start())
    assert inside.messages == [Start(), A()]
    assert outside.messages == [Start(), A()]
    await outer(A())
    assert inside.messages[-1:] == [A()] and len(inside.messages) == 3, "the same from a sender is let in"


async def test_an_equal_value_or_the_same_object_from_anybody_else_is_another_entry() -> None:
    # MO-10
    inside = Listener()
    the_same = A()

    def work(message: Start) -> A:
        return the_same

    inner = Bus([work, inside], name="inner", inbound=[Start, A], outbound=[A])
    seen: list[int] = []

    def once(message: A) -> Any:
        seen.append(1)
        return the_same if len(seen) == 1 else None

    await Bus([inner, once], name="outer")(Start())
    assert inside.messages == [Start(), the_same, the_same]


async def test_one_object_let_out_by_two_buses_reaches_each_of_them_once() -> None:
    # MO-10
    the_same = A()

    def context(name: str, heard: Listener) -> Bus:
        def work(message: Start) -> A:
            return the_same

        return Bus([work, heard], name=name, inbound=[Start, A], outbound=[A])

    left, right, outside = Listener(), Listener(), Listener()
    await Bus([context("left", left), context("right", right), outside])(Start())
    assert left.messages == [Start(), the_same, the_same]
    assert right.messages == [Start(), the_same, the_same]
    assert outside.messages == [Start(), the_same, the_same]


async def test_one_object_let_out_twice_by_one_bus_arrives_twice_outside() -> None:
    # MO-10
    the_same = A()

    def work(message: Start) -> list[A]:
        return [the_same, the_same]

    inside, outside = Listener(), Listener()
    await Bus([Bus([work, inside], inbound=[Start, A], outbound=[A]), outside])(Start())
    assert inside.messages == [Start(), the_same, the_same] == outside.messages


async def test_an_object_that_comes_back_by_way_of_a_third_bus_is_let_in_again() -> None:
    # MO-10
    the_same = A()
    inside, third_heard = Listener(), Listener()

    def work(message: Start) -> A:
        return the_same

    passed: list[Message] = []

    def passes_on(message: A) -> Any:
        passed.append(message)
        return message if len(passed) == 1 else None

    inner = Bus([work, inside], name="inner", inbound=[Start, A], outbound=[A])
    third = Bus([passes_on, third_heard], name="third", inbound=[A], outbound=[A])
    await Bus([inner, third], name="outer")(Start())
    assert inside.messages == [Start(), the_same, the_same]
    assert len(passed) == 2, "its own answer inside, and nothing back from outside"


async def test_a_part_around_a_bus_passes_on_its_boundary() -> None:
    # MO-16
    class Wrapped(Part):
        """Adds nothing."""

    inside, outside = Listener(), Listener()
    inner = Bus([give_a, inside], name="inner", inbound=[Start, A], outbound=[A])
    wrapped = Wrapped(Wrapped(inner))
    outer = Bus([wrapped, outside])
    await outer(Start())
    await outer(C())
    assert inside.messages == [Start(), A()]
    assert outside.messages == [Start(), A(), C()]
    assert wrapped.boundary is inner


async def test_a_bus_and_a_part_around_it_in_one_bus_do_not_echo() -> None:
    # MO-10
    inside = Listener()
    inner = Bus([give_a, inside], name="inner", inbound=[Start, A], outbound=[A])
    await Bus([inner, Part(inner)])(Start())
    assert inside.messages == [Start(), A(), Start(), A()]


async def test_contexts_talk_through_several_levels() -> None:
    # MO-16
    heard = Listener()

    def deep(message: Start) -> N:
        return N(1)

    level3 = Bus([deep], name="level3", outbound=[N])
    level2 = Bus([level3], name="level2", outbound=[N])
    level1 = Bus([level2], name="level1", outbound=[N])
    await Bus([level1, heard])(Start())
    assert heard.messages == [Start(), N(1)]


async def test_a_component_added_three_levels_down_renews_the_routes_of_all_around() -> None:
    # MO-5
    heard: list[Message] = []
    level3 = Bus(name="level3")
    outer = Bus([Bus([Part(Bus([level3], name="level2"))], name="level1")], name="outer")
    await outer(A())

    def late(message: A) -> None:
        heard.append(message)

    level3.add(late)
    await outer(A())
    assert heard == [A()]
    level3.remove(late)
    await outer(A())
    assert heard == [A()]


async def test_an_added_component_counts_in_a_running_turn_of_a_surrounding_bus() -> None:
    # MO-5
    heard: list[Message] = []
    inner = Bus(name="inner")

    def late(message: A) -> None:
        heard.append(message)

    def adder(message: Start) -> A:
        inner.add(late)
        return A()

    await Bus([inner, adder])(Start())
    assert heard == [A()]


async def test_the_messages_of_a_direct_send_are_the_senders() -> None:
    # MO-16
    heard = Listener()
    inner = Bus([give_a], name="inner", outbound=[A])
    Bus([inner, heard])
    assert await inner(Start()) == (A(),)
    assert heard.messages == []


async def test_failures_do_not_leave_with_their_messages() -> None:
    # MO-17
    def boom(message: Start) -> None:
        raise ValueError

    heard: list[Message] = []

    def rescue(failure: Failure) -> None:
        heard.append(failure)

    inner = Bus([boom], name="inner", outbound=[A])
    await Bus([inner, rescue])(Start())
    (failure,) = heard
    assert isinstance(failure, Failure) and failure.component is inner and isinstance(failure.error, TurnFailed)


async def test_a_bus_that_counts_as_false_has_its_boundary_all_the_same() -> None:
    # MO-10
    class Empty(Bus):
        def __len__(self) -> int:
            return 0

    seen: list[Message] = []

    def answer(message: A) -> B:
        return B()

    def keep(message: B) -> None:
        seen.append(message)

    inner = Empty([answer, keep], name="inner", inbound=[A, B], outbound=[B])
    await Bus([Part(inner)])(A())
    assert seen == [B()]


def test_a_component_that_equals_everything_can_be_inside_a_bus() -> None:
    # MO-13
    class Equal:
        __hash__ = object.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __call__(self, message: A) -> None:
            return None

    component = Equal()
    assert Bus([component]).components == (component,)
