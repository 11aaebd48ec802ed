"""The names of buses in keys: no two buses of one name share a middleware."""

from __future__ import annotations

import gc

import pytest

from modd import InvalidOption
from modd.cqrs import Command, CommandBus
from modd.middleware import Idempotency


class Pay(Command[None]): ...


async def pay(command: Pay) -> None: ...


@pytest.mark.costly
def test_a_second_bus_of_one_name_is_refused_until_the_first_one_is_gone() -> None:
    once = Idempotency()
    gc.disable()  # the bus and its handlers refer to each other, so that it stays until a collection
    try:
        bus: CommandBus | None = CommandBus([pay], name="till", middleware=[once])
        with pytest.raises(InvalidOption, match="till"):
            CommandBus([pay], name="till", middleware=[once])
        del bus
        assert CommandBus([pay], name="till", middleware=[once]).name == "till"
    finally:
        gc.enable()
