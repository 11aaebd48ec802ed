"""The service: pure decisions."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from modd import InvalidOption, Message, NotAMessage
from modd.cqrs import InvalidHandler
from modd.service import DomainError, ImpureCall, Service
from tests.service.desk import Coats, Emptied, Full, Hang, Hung, NoCoat, Take, Taken, decide


def test_a_decision_is_an_event_several_or_none() -> None:
    # WM-43 RS-8
    service = Service(decide)
    assert service.execute(Hang("ada"), Coats()) == (Hung("ada", 0),)
    assert service.execute(Take("ada"), Coats(("ada",))) == (Taken("ada"), Emptied())
    assert Service(lambda command: Taken("ada")).execute(Take("ada")) == (Taken("ada"),)
    assert Service(lambda command: None).execute(Take("ada")) == ()
    assert Service(lambda command: ()).execute(Take("ada")) == ()


def test_the_steps_of_a_generator_are_events() -> None:
    # WM-43
    def execute(command: Take, number: int = 1) -> Iterator[Message | DomainError]:
        yield from [Emptied()] * number
        if number > 2:
            yield Full("at last")

    assert Service(execute).execute(Take("ada")) == (Emptied(),)
    assert Service(execute).execute(Take("ada"), 2) == (Emptied(), Emptied())
    assert Service(execute).execute(Take("ada"), number=0) == ()
    with pytest.raises(Full):
        Service(execute).execute(Take("ada"), 3)


def test_an_error_of_the_domain_is_raised_whether_it_was_returned_or_raised() -> None:
    # WM-43
    with pytest.raises(Full, match="2 hooks"):
        Service(decide).execute(Hang("bob"), Coats(("ada", "eve")))
    with pytest.raises(NoCoat, match="bob"):
        Service(decide).execute(Take("bob"), Coats())


async def waits(command: Take) -> None: ...


@pytest.mark.parametrize("returned", ["text", [Emptied(), 5], Full, waits(Take("ada")), {"a": 1}])
def test_anything_else_that_is_returned_is_refused_by_the_name_of_the_function(returned: Any) -> None:
    # WM-43
    def execute(command: Take) -> Any:
        return returned

    with pytest.raises(NotAMessage, match=r"execute gave"):
        Service(execute).execute(Take("ada"))


async def decides_and_waits(command: Take) -> None: ...


def takes_nothing() -> None: ...


@pytest.mark.parametrize(
    ("execute", "options", "error"),
    [
        (decides_and_waits, {}, InvalidOption),
        ("decide", {}, InvalidOption),
        (decide, {"guarded": 1}, InvalidOption),
        (takes_nothing, {}, InvalidHandler),
        (Coats, {}, InvalidHandler),
    ],
)
def test_a_service_that_cannot_work_is_refused_when_it_is_made(
    execute: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    # WM-43
    with pytest.raises(error):
        Service(execute, **options)


def test_a_guarded_service_refuses_impure_calls_at_each_call() -> None:
    # WM-48
    def execute(command: Take) -> Taken:
        return Taken(command.owner + str(time.time()))

    def step_by_step(command: Take) -> Iterator[Message]:
        yield Emptied()
        yield execute(command)

    for function in (execute, step_by_step):
        service = Service(function, guarded=True)
        for _ in range(2):
            with pytest.raises(ImpureCall, match=rf"{function.__name__} is to be pure, and calls time.time"):
                service.execute(Take("ada"))
        assert Service(function).execute(Take("ada"))
    assert Service(decide, guarded=True).execute(Hang("ada"), Coats()) == (Hung("ada", 0),)


def test_a_service_that_is_not_guarded_watches_nothing() -> None:
    # WM-48
    def watched(command: Take) -> Taken:
        monitoring = getattr(sys, "monitoring", None)
        tools = [] if monitoring is None else [monitoring.get_tool(tool) for tool in range(6)]
        return Taken(f"{'modd.service.pure' in tools or sys.getprofile() is not before}")

    before = sys.getprofile()
    assert Service(watched).execute(Take("ada")) == (Taken("False"),)
    assert Service(watched, guarded=True).execute(Take("ada")) == (Taken("True"),)


def test_a_service_knows_the_name_and_the_model_of_its_function() -> None:
    # WM-43
    def with_default(command: Take, coats: Coats | None = None, *, loud: bool = False) -> None: ...

    def with_several(command: Take, *coats: Coats) -> None: ...

    assert (Service(decide).name, Service(decide).takes_model, Service(decide).needs_model) == ("decide", True, True)
    service = Service(with_default)
    assert (service.takes_model, service.needs_model) == (True, False)
    assert (Service(with_several).takes_model, Service(with_several).needs_model) == (True, False)
    assert not Service(lambda command: None).takes_model
