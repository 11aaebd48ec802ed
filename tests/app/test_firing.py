"""One firing of a timer: what it sends, and what becomes of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest

from modd import Bus, Message, Sensitive
from modd.app import every
from modd.cqrs import Command, CommandBus, GiveUp, InvalidIntent, NoHandler
from modd.errors import NotAMessage, TurnFailed
from modd.stores import SqliteStore, StoreClosed
from tests.app.timed import Remind, Times, Unknown, run_for
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


def one() -> Remind:
    return Remind(1)


async def one_later() -> Remind:
    await anyio.sleep(1)
    return Remind(1)


def several() -> list[Remind]:
    return [Remind(1), Remind(2)]


def generated() -> Iterator[Remind]:
    yield from several()


async def generated_later() -> AsyncIterator[Remind]:
    for message in several():
        yield message


def nothing() -> None:
    return None


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        (Remind(7), [7]),
        (one, [1]),
        (one_later, [1]),
        (several, [1, 2]),
        (generated, [1, 2]),
        (generated_later, [1, 2]),
        (nothing, []),
    ],
)
@pytest.mark.parametrize("kind", ["typed bus", "bus", "function"])
async def test_it_sends_a_message_or_the_messages_of_a_function(what: Any, numbers: list[int], kind: str) -> None:
    # AP-20
    times = Times()
    targets: dict[str, Callable[[], Any]] = {
        "typed bus": times.bus,
        "bus": lambda: Bus([times]),
        "function": lambda: times.__call__,
    }
    await run_for(15, every(10, what, to=targets[kind]()))
    assert [message.number for message in times.messages] == numbers


async def test_a_component_that_is_a_generator_runs_to_its_end_and_the_messages_it_returns_are_dropped() -> None:
    ended = []

    def component(message: Remind) -> Iterator[Remind]:
        yield message
        ended.append(message)

    await run_for(15, every(10, Remind(), to=component))
    assert ended == [Remind()]


class Flaky:
    """Fails at each second message."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.count = 0

    def __call__(self, message: Any = None) -> Remind:
        self.count += 1
        if self.count % 2:
            raise self.error
        return Remind()


@pytest.mark.parametrize("failing", ["what", "to"])
async def test_a_failure_is_logged_with_the_name_and_the_next_firing_comes(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    # AP-21
    flaky = Flaky(ConnectionError("no line"))
    to = CommandBus({Remind: flaky}) if failing == "to" else Times()
    await run_for(45, every(10, flaky if failing == "what" else Remind(), to=to, name="mails"))
    assert flaky.count == 4
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == ["the timer mails failed"] * 2
    assert all(record.name == "modd.app" and "no line" in str(record.exc_info) for record in errors)


async def test_one_of_several_messages_that_fails_keeps_none_of_the_others_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-21
    flaky = Flaky(ConnectionError("no line"))
    await run_for(15, every(10, several, to=CommandBus({Remind: flaky})))
    assert flaky.count == 2
    assert len(caplog.records) == 1


class Pay(Command[None]):
    pin: Annotated[str, Sensitive]


async def test_the_log_of_a_failure_has_no_sensitive_content(caplog: pytest.LogCaptureFixture) -> None:
    # AP-21
    async def pay(message: Pay) -> None:
        raise ValueError(f"{message.pin} is wrong")

    await run_for(15, every(10, Pay("1234-abcd"), to=CommandBus([pay])))
    assert "*** is wrong" in caplog.text
    assert "1234-abcd" not in caplog.text


def no_message() -> Any:
    return 5


def no_component() -> Any:
    return one


def no_intent() -> Any:
    raise InvalidIntent(Remind, [("$.number", "it is missing")])


async def takes_pay(message: Pay) -> None: ...


@pytest.mark.parametrize(
    ("what", "to", "error"),
    [
        (Unknown, CommandBus({Remind: print}), NoHandler),
        (Unknown, takes_pay, NoHandler),
        (no_message, CommandBus({Remind: print}), NotAMessage),
        (no_component, CommandBus({Remind: print}), NotAMessage),
        (no_intent, CommandBus({Remind: print}), InvalidIntent),
    ],
)
async def test_misuse_at_the_first_firing_is_raised(what: Any, to: Any, error: type[Exception]) -> None:
    # AP-21
    function = (lambda: Unknown()) if what is Unknown else what
    with pytest.raises(error):
        await every(10, function, to=to, name="unknown").run()


async def test_a_store_that_is_not_open_ends_a_timer_at_its_first_firing(tmp_path: Path) -> None:
    # AP-21, AP-87
    inbox = SqliteStore(tmp_path / "shop.db").inbox
    with pytest.raises(StoreClosed):
        await every(10, Remind(), to=CommandBus({Remind: print}), once=inbox).run()


async def test_misuse_inside_a_group_of_errors_is_raised_too() -> None:
    # AP-21
    async def handle(message: Remind) -> None:
        await CommandBus().dispatch(Unknown())

    with pytest.raises(TurnFailed):
        await every(10, Remind(), to=Bus([handle])).run()


async def test_misuse_after_a_firing_that_succeeded_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    # AP-21
    numbers = iter([Remind(), Unknown(), Remind()])
    times = Times()
    await run_for(35, every(10, lambda: next(numbers), to=times.bus(), name="mixed"))
    assert len(times.times) == 2
    assert "no handler for Unknown" in caplog.text


async def test_misuse_after_firings_that_failed_is_raised() -> None:
    # AP-21
    def what() -> Message:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        return Unknown()

    calls: list[int] = []
    with pytest.raises(NoHandler):
        await every(10, what, to=CommandBus({Remind: print})).run()
    assert len(calls) == 3


async def test_a_handler_that_gives_up_ends_no_app(caplog: pytest.LogCaptureFixture) -> None:
    # AP-21
    await run_for(25, every(10, Remind(), to=CommandBus({Remind: Flaky(GiveUp("never today"))})))
    assert "never today" in caplog.text
