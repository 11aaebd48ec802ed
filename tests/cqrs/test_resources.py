"""What handlers get besides the intent: values and what is entered for each call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

import anyio
import pytest

from modd.cqrs import CommandBus, Emit, Envelope, EventBus, InvalidHandler, Next
from tests.cqrs.shop import Create, Created, numbered

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self, now: int = 0) -> None:
        self.now = now


class Settings(Protocol):
    limit: int


class Mailer:
    """A resource that can be called is a value all the same."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(self, text: str) -> None:
        self.sent.append(text)


class Session:
    def __init__(self, log: list[str], fail: str = "") -> None:
        self.log, self.fail = log, fail

    async def __aenter__(self) -> Session:
        await anyio.lowlevel.checkpoint()
        if self.fail == "enter":
            raise OSError("cannot enter")
        self.log.append("+session")
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> bool:
        self.log.append(f"-session {kind.__name__ if kind else 'done'}")
        if self.fail == "exit":
            raise OSError("cannot commit")
        return self.fail == "swallow"


class Other:
    pass


async def test_values_are_filled_by_annotation_wherever_they_stand() -> None:
    # MI-1
    clock, mailer = Clock(3), Mailer()

    def both(message: Create, clock: Clock, mailer: Mailer) -> int:
        mailer("hello")
        return clock.now

    async def keyword(message: Create, *, clock: Clock) -> int:
        return clock.now

    async def positional(message: Create, clock: Clock, /) -> int:
        return clock.now

    def first(envelope: Envelope[Create], clock: Clock, times: int = 1) -> int:
        return clock.now * times

    def later(message: Create, times: int = 1, clock: Clock | None = None, again: Clock = clock) -> int:
        return again.now * times

    def mixed(message: Create, clock: Clock, emit: Emit, mailer: Mailer) -> int:
        return clock.now

    for handler in (both, keyword, positional, first, later, mixed):
        bus = CommandBus({Create: handler}, resources={Clock: clock, Mailer: mailer})
        assert await bus.ask(Create()) == 3, handler
    assert mailer.sent == ["hello"]


async def test_a_default_counts_where_nothing_is_given_and_what_is_given_counts_more() -> None:
    # MI-1
    def handle(message: Create, clock: Clock = Clock(1)) -> int:  # noqa: B008
        return clock.now

    assert await CommandBus([handle]).ask(Create()) == 1
    assert await CommandBus([handle], resources={Clock: Clock(2)}).ask(Create()) == 2


async def test_what_a_partial_has_bound_stays() -> None:
    # MI-1
    def handle(message: Create, clock: Clock) -> int:
        return clock.now

    bus = CommandBus([partial(handle, clock=Clock(7))], resources={Clock: Clock(2)})
    assert await bus.ask(Create()) == 7


async def test_a_value_may_be_of_a_protocol_that_cannot_be_asked() -> None:
    # MI-1
    class Given:
        limit = 4

    def handle(message: Create, settings: Settings) -> int:
        return settings.limit

    assert await CommandBus([handle], resources={Settings: Given()}).ask(Create()) == 4

    @asynccontextmanager
    async def make() -> AsyncIterator[Settings]:
        yield Given()

    assert await CommandBus([handle], resources={Settings: make}).ask(Create()) == 4


async def test_a_factory_is_entered_for_each_call_inside_the_middleware() -> None:
    # MI-1
    log: list[str] = []

    async def around(envelope: Envelope[Any], call_next: Next) -> None:
        log.append("in")
        await call_next(envelope)
        log.append("out")

    async def handle(message: Create, session: Session) -> int:
        log.append("handle")
        return 1

    bus = CommandBus([handle], resources={Session: partial(Session, log)}, middleware=[around])
    for _ in range(2):
        assert await bus.ask(Create()) == 1
    assert log == ["in", "+session", "handle", "-session done", "out"] * 2


async def test_a_plain_handler_and_one_with_an_envelope_get_what_is_entered() -> None:
    # MI-1
    log: list[str] = []

    def plain(message: Create, session: Session, emit: Emit, clock: Clock) -> int:
        emit(Created())
        return clock.now

    def whole(envelope: Envelope[Create], *, session: Session) -> int:
        return int(envelope.id[-1])

    for handler, result in ((plain, 5), (whole, 1)):
        resources = {Session: lambda: Session(log), Clock: Clock(5)}
        assert await CommandBus({Create: handler}, resources=resources, new_id=numbered()).ask(Create()) == result
    assert log == ["+session", "-session done"] * 2


async def test_it_is_left_with_the_error_of_the_handler() -> None:
    # MI-1
    log: list[str] = []

    async def handle(message: Create, session: Session) -> int:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await CommandBus([handle], resources={Session: lambda: Session(log)}).dispatch(Create())
    assert log == ["+session", "-session ValueError"]


async def test_what_fails_to_enter_is_the_error_and_what_was_entered_is_left() -> None:
    # MI-1
    log: list[str] = []

    @asynccontextmanager
    async def other() -> AsyncIterator[Other]:
        log.append("+other")
        try:
            yield Other()
        finally:
            log.append("-other")

    async def handle(message: Create, other: Other, session: Session) -> int:
        raise AssertionError("it must not run")

    bus = CommandBus([handle], resources={Session: lambda: Session(log, "enter"), Other: other})
    with pytest.raises(OSError, match="cannot enter"):
        await bus.dispatch(Create())
    assert log == ["+other", "-other"]


async def test_a_commit_that_fails_drops_the_result_and_the_events() -> None:
    # MI-15
    log: list[str] = []

    async def handle(message: Create, session: Session, emit: Emit) -> int:
        emit(Created())
        return 1

    bus = CommandBus([handle], resources={Session: lambda: Session(log, "exit")})
    envelope = Envelope(Create())
    with pytest.raises(OSError, match="cannot commit"):
        await bus.dispatch(envelope)
    assert not [stamp for stamp in envelope.stamps if type(stamp).__name__ == "Handled"]


async def test_one_that_swallows_the_error_makes_no_result_of_it() -> None:
    # MI-5 MO-27
    log: list[str] = []

    async def handle(message: Create, session: Session) -> int:
        raise ValueError("boom")

    bus = CommandBus([handle], resources={Session: lambda: Session(log, "swallow")})
    with pytest.raises(ValueError, match="boom"):
        await bus.ask(Create())
    assert log == ["+session", "-session ValueError"]


async def test_it_is_left_when_the_dispatch_is_cancelled() -> None:
    # MI-6
    log: list[str] = []

    async def handle(message: Create, session: Session) -> int:
        scope.cancel()
        await anyio.sleep_forever()
        return 1

    bus = CommandBus([handle], resources={Session: lambda: Session(log)})
    with anyio.CancelScope() as scope:
        await bus.dispatch(Create())
    assert scope.cancelled_caught and len(log) == 2 and log[1].startswith("-session Cancel")


async def test_handlers_side_by_side_have_one_each() -> None:
    # MI-6
    seen: list[Session] = []

    async def one(event: Created, session: Session) -> None:
        seen.append(session)

    async def two(event: Created, *, session: Session) -> None:
        seen.append(session)

    await EventBus([one, two], resources={Session: lambda: Session([])}).dispatch(Created())
    assert len(seen) == 2 and seen[0] is not seen[1]


def test_what_is_not_among_the_resources_is_refused_and_told() -> None:
    # MI-1
    def handle(message: Create, other: Other) -> int:
        return 1

    wanted = "this bus can provide: Envelope, Emit, Ask, Transaction, Clock"
    with pytest.raises(InvalidHandler, match=wanted):
        CommandBus([handle], resources={Clock: Clock()})


def test_an_annotation_that_cannot_be_looked_up_is_refused() -> None:
    # MI-1
    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Strange(metaclass=Unhashable):
        pass

    def handle(message: Create, strange: Any) -> int:
        return 1

    handle.__annotations__["strange"] = Strange
    with pytest.raises(InvalidHandler, match="'strange' has the annotation Strange"):
        CommandBus([handle])


async def test_one_that_swallows_what_another_fails_to_enter_with_makes_nothing_of_it() -> None:
    # MI-5 MO-27
    log: list[str] = []

    @asynccontextmanager
    async def swallowing() -> AsyncIterator[Other]:
        with suppress(OSError):
            yield Other()

    async def handle(message: Create, other: Other, session: Session) -> int:
        raise AssertionError("it must not run")

    bus = CommandBus([handle], resources={Session: lambda: Session(log, "enter"), Other: swallowing})
    with pytest.raises(OSError, match="cannot enter"):
        await bus.dispatch(Create())


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_one_that_swallows_a_cancellation_makes_no_result_of_it() -> None:
    # MO-3
    started = anyio.Event()

    @asynccontextmanager
    async def swallowing() -> AsyncIterator[Other]:
        with suppress(asyncio.CancelledError):
            yield Other()

    async def handle(message: Create, other: Other) -> int:
        started.set()
        await anyio.sleep_forever()
        return 1

    task = asyncio.ensure_future(CommandBus([handle], resources={Other: swallowing}).ask(Create()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_factory_that_makes_nothing_to_enter_is_told_of() -> None:
    # MI-1
    async def handle(message: Create, clock: Clock) -> int:
        return 1

    with pytest.raises(InvalidHandler, match=r"its resource Clock is made by .* no async context manager"):
        await CommandBus([handle], resources={Clock: lambda: Clock()}).ask(Create())
