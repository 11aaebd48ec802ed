# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse of services; it does not run (see wrong.py)."""

from __future__ import annotations

from typing import assert_type

from modd.service import Entropy, Handler, Service, pure
from modd.testing import given
from tests.typing.services import (
    Asked,
    Join,
    Joined,
    Leave,
    Look,
    Room,
    Told,
    execute,
    handler,
    interpret,
    is_full,
    join_alone,
    load,
    service,
)


async def waits(command: Join) -> Joined:
    return Joined(command.player)


def returns_text(command: Join) -> str:
    return command.player


def of_another(command: Look) -> Room:
    return Room()


# A function that is async, or returns something else than events.
Service(waits)  # type: ignore[arg-type]
Service(returns_text)  # type: ignore[arg-type]
Service(5)  # type: ignore[arg-type]
Service(execute, guarded="yes")  # type: ignore[arg-type]

# Another command, another model, or no model.
service.execute(Look("7"), Room(), Entropy([3]))  # type: ignore[arg-type]
service.execute(Join("7", "ada"), Entropy([3]), Room())  # type: ignore[arg-type]
service.execute(Join("7", "ada"))  # type: ignore[call-arg]
service.execute(Join("7", "ada"), Room(), Entropy(["3"]))  # type: ignore[list-item]
assert_type(service.execute(Join("7", "ada"), Room(), Entropy([3])), list[Joined])  # type: ignore[assert-type]
given(service, Room())  # type: ignore[call-overload]
given(service, Room(), Entropy([3])).when(Look("7"))  # type: ignore[arg-type]
given(service, Room(), Entropy([3])).when(Leave("7")).then_error(ValueError)  # type: ignore[type-var]
pure(join_alone)(Leave("7"))  # type: ignore[arg-type]
Entropy([1]).take("1")  # type: ignore[arg-type]

# A handler of another service.
Handler(execute, interpret=interpret)  # type: ignore[arg-type]
Handler(service, interpret=interpret, load=of_another)  # type: ignore[arg-type]
Handler(service)  # type: ignore[call-arg]
Handler(service, interpret=interpret, load=load, errors=[is_full])  # type: ignore[arg-type]
Handler(service, interpret=interpret, load=load, transaction="rooms.db")  # type: ignore[arg-type]
Handler(service, interpret=interpret, laod=load)  # type: ignore[call-arg]
assert_type(handler, Handler[Told])  # type: ignore[assert-type]


async def use() -> None:
    await handler(Told("7"))  # type: ignore[arg-type]
    assert_type(await handler(Asked("7")), list[Told])  # type: ignore[assert-type]
