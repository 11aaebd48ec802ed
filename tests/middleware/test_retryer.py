"""Retryer runs a failed dispatch again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd import Deadlock, InvalidOption, Message, TurnFailed, TurnOverflow
from modd.cqrs import (
    CircuitOpen,
    Command,
    CommandBus,
    Emit,
    Envelope,
    Event,
    EventBus,
    Failed,
    FeatureDisabled,
    Forbidden,
    GiveUp,
    Handled,
    HandlersFailed,
    InvalidIntent,
    Next,
    NoHandler,
    Query,
    QueryBus,
    RateLimited,
    Retried,
    RetryLater,
    Stamp,
)
from modd.middleware.retryer import Retryer
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Work(Command[str]):
    pass


class Export(Work):
    pass


class Missing(Command[None]):
    pass


class Find(Query[str]):
    pass


class Happened(Event):
    pass


class Worked(Event):
    attempt: int


class Note(Stamp):
    text: str


class Tries:
    """A handler that goes through outcomes: errors are raised, stamps are noted, anything else is the result."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = iter(outcomes)
        self.times: list[float] = []

    async def __call__(self, envelope: Envelope[Work]) -> str:
        self.times.append(anyio.current_time())
        outcome = next(self._outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, Stamp):
            envelope.add(outcome)
        return str(outcome)

    @property
    def waits(self) -> list[float]:
        return [round(after - before, 6) for before, after in zip(self.times, self.times[1:], strict=False)]


def bus_of(handler: Any, *inner: Any, **options: Any) -> CommandBus:
    options = {"jitter": 0} | options
    return CommandBus({Work: handler}, middleware=[Retryer(**options), *inner])


def attempts_of(envelope: Envelope[Any]) -> list[tuple[int, str]]:
    return [(stamp.attempt, stamp.error) for stamp in envelope.all(Retried)]


# MI-36
async def test_it_tries_three_times_with_exponential_delays() -> None:
    tries = Tries(*[OSError(n) for n in range(9)])
    with pytest.raises(OSError, match="2"):
        await CommandBus({Work: tries}, middleware=[Retryer(random=lambda: 0.5)]).ask(Work())
    assert tries.waits == [0.5, 0.75]


# MI-36, MI-37
@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ({"backoff": "exponential", "attempts": 4}, [0.5, 0.75, 1.125]),
        ({"backoff": "exponential", "attempts": 4, "multiplier": 2}, [0.5, 1, 2]),
        ({"backoff": "fibonacci", "attempts": 6}, [1, 2, 3, 5, 8]),
        ({"backoff": "none", "attempts": 3}, [0, 0]),
        ({"attempts": 1}, []),
        ({"jitter": 1, "random": lambda: 0.25}, [0.25, 0.375]),
    ],
)
async def test_it_waits_between_attempts(options: dict[str, Any], waits: list[float]) -> None:
    tries = Tries(*[OSError()] * 9)
    with pytest.raises(OSError):  # noqa: PT011
        await bus_of(tries, **options).ask(Work())
    assert tries.waits == waits


# MI-38
async def test_each_failed_attempt_leaves_a_stamp_and_a_good_one_none() -> None:
    bus = bus_of(Tries(OSError("first"), ValueError(), "done"))
    bus.clock = lambda: 7.0
    done = await bus.dispatch(Work())
    assert done.result == "done"
    assert done.envelope.all(Retried) == (Retried(1, "OSError: first", at=7.0), Retried(2, "ValueError", at=7.0))
    assert done.envelope.has(Retried) and len(done.results) == 1
    assert not (await bus_of(Tries("done")).dispatch(Work())).envelope.has(Retried)


# MI-38
@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_the_last_attempt_leaves_a_stamp_too_and_its_error_is_raised(attempts: int) -> None:
    errors = [OSError(str(n)) for n in range(1, 4)]
    envelope = Envelope(Work())
    with pytest.raises(OSError) as caught:  # noqa: PT011
        await bus_of(Tries(*errors), attempts=attempts).dispatch(envelope)
    assert caught.value is errors[attempts - 1]
    assert attempts_of(envelope) == [(n, f"OSError: {n}") for n in range(1, attempts + 1)]


# MI-39
async def test_a_new_failed_stamp_counts_as_a_failure() -> None:
    done = await bus_of(Tries(Failed("first"), OSError("second"), "done")).dispatch(Work())
    assert done.result == "done"
    assert attempts_of(done.envelope) == [(1, "first"), (2, "OSError: second")]
    assert not done.envelope.has(Failed)


# MI-39
async def test_what_is_raised_is_what_the_last_attempt_raised() -> None:
    tries = Tries(OSError("first"), Failed("second"), Failed("third"))
    done = await bus_of(tries).dispatch(Work())  # nothing is raised: the last one failed by a stamp alone
    assert [stamp.error for stamp in done.envelope.all(Failed)] == ["third"]
    assert attempts_of(done.envelope) == [(1, "OSError: first"), (2, "second"), (3, "third")]


# MI-39
async def test_a_failed_stamp_from_before_is_no_failure() -> None:
    tries = Tries("done")
    done = await bus_of(tries).dispatch(Work(), Failed("long ago"))
    assert done.result == "done" and len(tries.times) == 1 and not done.envelope.has(Retried)


# MI-40
async def test_every_attempt_starts_from_the_stamps_that_the_first_one_saw() -> None:
    seen: list[list[str]] = []
    envelopes: list[Envelope[Any]] = []

    async def inner(envelope: Envelope[Any], call_next: Next) -> None:
        seen.append([type(stamp).__name__ for stamp in envelope.stamps])
        envelopes.append(envelope)
        envelope.add(Note("inner"))
        await call_next(envelope)

    bus = bus_of(Tries(OSError(), Failed("no"), "done"), inner)
    done = await bus.dispatch(Work(), Note("before"))
    assert seen == [["Identity", "Note"] + ["Retried"] * n for n in range(3)]
    assert all(envelope is done.envelope for envelope in envelopes)
    assert [stamp.text for stamp in done.envelope.all(Note)] == ["before", "inner"]
    assert len(done.envelope.all(Handled)) == 1


# MI-40
async def test_a_handler_runs_again_though_it_was_done_before_something_around_it_failed() -> None:
    async def commit(envelope: Envelope[Any], call_next: Next) -> None:
        await call_next(envelope)
        if len(tries.times) < 3:
            raise OSError("no commit")

    tries = Tries("one", "two", "three")
    done = await bus_of(tries, commit).dispatch(Work())
    assert done.results == ("three",)


# MI-15, MI-40
async def test_only_the_events_of_the_good_attempt_are_released() -> None:
    calls: list[int] = []

    async def work(command: Work, emit: Emit) -> str:
        calls.append(1)
        emit(Worked(len(calls)))
        if len(calls) < 3:
            raise OSError("no")
        return "done"

    assert (await bus_of(work).dispatch(Work())).events == (Worked(3),)
    assert (await bus_of(work, attempts=1).dispatch(Work())).events == (Worked(4),)


# MI-7, MI-40
async def test_what_stands_in_for_the_handler_does_so_in_every_attempt() -> None:
    async def stands_in(envelope: Envelope[Any], call_next: Next) -> None:
        envelope.add(Handled("mock", "mock"))
        await call_next(envelope)

    tries = Tries()
    assert await bus_of(tries, stands_in).ask(Work()) == "mock"
    assert tries.times == []


# MI-41
async def test_options_of_a_type_are_merged_with_those_of_all() -> None:
    tries, exports = Tries(*[OSError()] * 9), Tries(*[OSError()] * 9)
    retryer = Retryer(attempts=4, backoff="fibonacci", jitter=0, intents={Export: {"attempts": 3}})
    bus = CommandBus({Work: tries, Export: exports}, middleware=[retryer])
    for intent in (Work(), Export()):
        with pytest.raises(OSError):  # noqa: PT011
            await bus.dispatch(intent)
    assert (tries.waits, exports.waits) == ([1, 2, 3], [1, 2])


# MI-13, MI-41
async def test_an_explicit_0_of_a_type_counts() -> None:
    tries = Tries(*[OSError()] * 9)
    retryer = Retryer(jitter=1, random=lambda: 0.0, intents={Work: {"jitter": 0, "multiplier": 0}})
    with pytest.raises(OSError):  # noqa: PT011
        await CommandBus({Work: tries}, middleware=[retryer]).ask(Work())
    assert tries.waits == [0.5, 0]


# MI-38
@pytest.mark.parametrize(
    "error",
    [
        InvalidIntent(Work, [("name", "missing")]),
        Forbidden(Work, "ada", "not root"),
        FeatureDisabled(Work),
        NoHandler(Work, "commands", ()),
        GiveUp("the card is stolen"),
        Deadlock(["a", "b"]),
        TurnOverflow("a", "too many"),
        TurnFailed("1 failure", [TurnOverflow("a", "too many"), OSError()]),
        TurnFailed("1 failure", [Deadlock(["a", "b"])]),
        HandlersFailed("2 failed", [GiveUp("no"), Forbidden(Work, "ada", "not root")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_no_attempt_can_mend_is_not_retried(error: Exception) -> None:
    tries, envelope = Tries(error), Envelope(Work())
    with pytest.raises(type(error)) as caught:
        await bus_of(tries).dispatch(envelope)
    assert caught.value is error and len(tries.times) == 1
    assert [attempt for attempt, _ in attempts_of(envelope)] == [1]


@pytest.mark.parametrize(
    ("options", "error", "number"),
    [
        ({"retry_on": (OSError,)}, ConnectionError(), 3),
        ({"retry_on": (OSError,)}, ValueError(), 1),
        ({"give_up_on": (ValueError,)}, ValueError(), 1),
        ({"give_up_on": (ValueError,)}, OSError(), 3),
        ({"retry_on": ()}, OSError(), 1),
        ({"retry_on": ()}, RetryLater(1), 3),
        ({"give_up_on": (RetryLater,)}, RetryLater(1), 1),
        ({"retry_on": (OSError,)}, HandlersFailed("2", [OSError(), ValueError()]), 3),
        ({"retry_on": (OSError,)}, HandlersFailed("2", [TypeError(), ValueError()]), 1),
        ({"retry_on": (HandlersFailed,)}, HandlersFailed("2", [TypeError(), ValueError()]), 3),
        ({"retry_on": (HandlersFailed,)}, HandlersFailed("2", [GiveUp(""), GiveUp("")]), 1),
        ({"give_up_on": (OSError,)}, HandlersFailed("2", [OSError(), ValueError()]), 3),
        ({"give_up_on": (HandlersFailed,)}, HandlersFailed("2", [OSError(), ValueError()]), 1),
    ],
)
async def test_which_errors_are_retried_can_be_said(options: dict[str, Any], error: Exception, number: int) -> None:
    tries = Tries(*[error] * 9)
    with pytest.raises(type(error)):
        await bus_of(tries, **options).ask(Work())
    assert len(tries.times) == number


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (RetryLater(60), 60),
        (RateLimited(Message, 60), 60),
        (CircuitOpen(Message, 60), 60),
        (RetryLater(-1), 0),
        (HandlersFailed("2", [RetryLater(60), OSError(), RetryLater(90)]), 90),
        (HandlersFailed("2", [OSError(), OSError()]), 0.5),
    ],
)
async def test_a_handler_can_say_how_long_to_wait(error: Exception, wait: float) -> None:
    tries = Tries(error, OSError(), "done")
    assert await bus_of(tries).ask(Work()) == "done"
    assert tries.waits == [wait, 0.75]


# MI-6, MI-38
async def test_several_handlers_are_tried_again_together() -> None:
    calls: list[str] = []

    def handler(name: str, failures: int) -> Callable[[Happened], Any]:
        async def handle(event: Happened) -> None:
            calls.append(name)
            if calls.count(name) <= failures:
                raise OSError(name)

        return handle

    bus = EventBus(middleware=[Retryer()])
    for name, failures in (("a", 2), ("b", 1)):
        bus.register(Happened, handler(name, failures))
    done = await bus.dispatch(Happened())
    assert len(done.results) == 2 and sorted(calls) == list("aaabbb")
    assert attempts_of(done.envelope) == [
        (1, "HandlersFailed: 2 handlers of Happened failed: OSError: a"),
        (2, "OSError: a"),
    ]


# MI-14
async def test_queries_are_retried_too() -> None:
    tries = Tries(OSError(), "found")

    async def find(envelope: Envelope[Find]) -> str:
        return await tries(envelope)  # type: ignore[arg-type]

    assert await QueryBus([find], middleware=[Retryer()]).ask(Find()) == "found"


# MI-9, MI-12
async def test_a_redispatched_envelope_has_attempts_of_its_own() -> None:
    bus = bus_of(Tries(OSError(), "one", OSError(), "two"))
    first = await bus.dispatch(Work())
    second = await bus.dispatch(first.envelope)
    assert second.result == "two" and second.envelope.id == first.envelope.id
    assert attempts_of(second.envelope) == [(1, "OSError")]


# MI-60
async def test_one_retryer_serves_several_buses_at_once() -> None:
    retryer = Retryer(jitter=0)
    tries = [Tries(OSError(), "one"), Tries(OSError(), OSError(), "two")]
    buses = [CommandBus({Work: each}, middleware=[retryer], name=f"bus {n}") for n, each in enumerate(tries)]
    async with anyio.create_task_group() as tasks:
        for bus in buses:
            tasks.start_soon(bus.ask, Work())
    assert [each.waits for each in tries] == [[0.5], [0.5, 0.75]]


async def test_a_cancelled_attempt_is_not_retried() -> None:
    calls: list[float] = []

    async def work(command: Work) -> str:
        calls.append(anyio.current_time())
        await anyio.sleep_forever()
        return "never"

    envelope = Envelope(Work())
    with anyio.move_on_after(60) as scope:
        await bus_of(work).dispatch(envelope)
    assert scope.cancelled_caught and len(calls) == 1
    assert not envelope.has(Retried)


async def test_waiting_for_the_next_attempt_can_be_cancelled() -> None:
    tries = Tries(OSError(), RetryLater(3600), "done")
    envelope = Envelope(Work())
    with anyio.move_on_after(60) as scope:
        await bus_of(tries).dispatch(envelope)
    assert scope.cancelled_caught and tries.waits == [0.5]
    assert attempts_of(envelope) == [(1, "OSError"), (2, "RetryLater: try again in 3600 s")]


@pytest.mark.parametrize("backoff", ["exponential", "none"])
async def test_a_cancellation_that_becomes_an_error_is_not_retried(backoff: str) -> None:
    calls: list[float] = []

    async def work(command: Work) -> str:
        calls.append(anyio.current_time())
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("the connection is gone")

    with anyio.move_on_after(60) as scope:
        await bus_of(work, backoff=backoff).ask(Work())
    assert scope.cancelled_caught and len(calls) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nor_is_one_of_asyncio_itself() -> None:
    calls: list[int] = []

    async def work(command: Work) -> str:
        calls.append(1)
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("the connection is gone")

    started = anyio.Event()
    task = asyncio.create_task(bus_of(work, backoff="none").ask(Work()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == [1]


# MI-41
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("attempts", 0),
        ("attempts", -1),
        ("attempts", True),
        ("attempts", 1.5),
        ("backoff", "linear"),
        ("multiplier", -1),
        ("jitter", 2),
        ("retry_on", BaseException),
        ("retry_on", OSError()),
        ("retry_on", (BaseException,)),
        ("retry_on", ("OSError",)),
        ("give_up_on", [OSError]),
    ],
)
def test_wrong_values_fail_at_once(option: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=option):
        Retryer(**{option: value})
    with pytest.raises(InvalidOption, match=option):
        Retryer(intents={Work: {option: value}})  # type: ignore[misc]


def test_misspelt_options_and_foreign_types_fail_before_anything_is_dispatched() -> None:
    with pytest.raises(InvalidOption, match="random"):
        Retryer(random=0.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match=r"Retryer\(intents\)"):
        Retryer(intents=[Work])  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="there are: attempts, backoff"):
        Retryer(intents={Work: {"attempt": 5}})  # type: ignore[typeddict-unknown-key]
    bus = CommandBus({Work: Tries()}, middleware=[Retryer(intents={Missing: {"attempts": 1}})])
    with pytest.raises(NoHandler, match="Missing"):
        bus.check()


# MI-41
async def test_a_single_type_of_error_counts_as_a_tuple_of_one() -> None:
    cases: list[tuple[dict[str, Any], int]]
    cases = [({"retry_on": OSError}, 3), ({"give_up_on": OSError}, 1), ({"retry_on": KeyError}, 1)]
    for options, attempts in cases:
        both: list[dict[str, Any]] = [options, {"intents": {Work: options}}]
        for given in both:
            tries = Tries(*[OSError() for _ in range(3)])
            bus = CommandBus({Work: tries}, middleware=[Retryer(backoff="none", **given)])
            with pytest.raises(OSError):  # noqa: PT011  # it has no text
                await bus.dispatch(Work())
            assert len(tries.times) == attempts
