"""A component that stores the messages that it receives."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, Failure, InvalidOption, TurnFailed
from modd.testing import Recorder
from tests.names import A, B, C, Start

pytestmark = pytest.mark.anyio


def gives(message: Start) -> list[Any]:
    return [A(), B()]


def fails(message: C) -> None:
    raise ValueError("no")


async def test_a_recorder_keeps_all_that_comes_by_in_its_order() -> None:
    recorder = Recorder()
    await Bus([gives, recorder])(Start())
    assert recorder.messages == [Start(), A(), B()]


async def test_a_recorder_of_some_types_keeps_these_and_their_subclasses() -> None:
    class Sub(A):
        """A kind of A."""

    recorder = Recorder(A, C)
    bus = Bus([gives, recorder])
    for message in (Start(), Sub(), C()):
        await bus(message)
    assert recorder.messages == [A(), Sub(), C()]


async def test_a_recorder_can_be_cleared() -> None:
    recorder = Recorder()
    bus = Bus([recorder])
    await bus(A())
    recorder.clear()
    await bus(B())
    assert recorder.messages == [B()]


async def test_a_recorder_of_everything_sees_failures_and_does_not_handle_them() -> None:
    recorder = Recorder()
    with pytest.raises(TurnFailed):
        await Bus([fails, recorder])(C())
    assert [type(message) for message in recorder.messages] == [C, Failure]


async def test_a_recorder_that_names_failures_handles_them() -> None:
    recorder = Recorder(Failure)
    await Bus([fails, recorder])(C())
    assert [type(message) for message in recorder.messages] == [Failure]


# MO-26
def test_a_recorder_has_a_name_in_the_graph() -> None:
    bus = Bus([Recorder(A), Recorder(name="all")], name="shop")
    assert str(bus.graph()).splitlines()[1:] == ["  Recorder: A", "  all: everything"]


@pytest.mark.parametrize("types", [("A",), (A()), (A, int)])
def test_a_recorder_of_something_else_than_message_types_is_an_error(types: Any) -> None:
    with pytest.raises(InvalidOption, match="give message types"):
        Recorder(*types if isinstance(types, tuple) else (types,))
