"""CircuitBreaker refuses dispatches after failures in a row."""

from __future__ import annotations

from math import inf
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd import InvalidOption
from modd.cqrs import (
    CircuitOpen,
    Command,
    CommandBus,
    Envelope,
    Failed,
    Forbidden,
    GiveUp,
    HandlersFailed,
    InvalidIntent,
    NoHandler,
    Query,
    QueryBus,
)
from modd.middleware.circuit_breaker import CircuitBreaker
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Work(Command[str]):
    ok: bool = True
    seconds: float = 0.0
    key: str = ""


class Export(Work):
    pass


class Missing(Command[None]):
    pass


class Find(Query[str]):
    pass


class Service:
    """A handler that fails when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.outcome: Exception | Failed = OSError("down")

    async def __call__(self, envelope: Envelope[Any]) -> str:
        self.calls += 1
        command: Work = envelope.message
        await anyio.sleep(command.seconds)
        if command.ok:
            return "done"
        if isinstance(self.outcome, Failed):
            envelope.add(self.outcome)
            return "failed"
        raise self.outcome


def by_key(envelope: Envelope[Any]) -> str:
    return str(envelope.message.key)


def bus_of(breaker: CircuitBreaker, service: Service, name: str = "commands") -> CommandBus:
    return CommandBus({Work: service, Export: service}, middleware=[breaker], name=name)


async def outcome_of(bus: CommandBus, intent: Work) -> str:
    """What becomes of an intent, in one word."""
    try:
        return await bus.ask(intent)
    except CircuitOpen:
        return "open"
    except Exception:
        return "failed"


async def outcomes_of(bus: CommandBus, *intents: Work) -> list[str]:
    return [await outcome_of(bus, intent) for intent in intents]


GOOD, BAD = Work(), Work(ok=False)


async def opened(failures: int = 1, **options: Any) -> tuple[CommandBus, Service, CircuitBreaker]:
    """A bus whose circuit has just opened, for 10 seconds."""
    service, breaker = Service(), CircuitBreaker(failures, reset_after=10, **options)
    bus = bus_of(breaker, service)
    await outcomes_of(bus, *[BAD] * failures)
    return bus, service, breaker


async def test_it_opens_after_so_many_failures_in_a_row() -> None:
    service = Service()
    bus = bus_of(CircuitBreaker(3, reset_after=10), service)
    assert await outcomes_of(bus, BAD, BAD, BAD, BAD, GOOD) == ["failed"] * 3 + ["open"] * 2
    assert service.calls == 3


async def test_a_success_begins_the_count_anew() -> None:
    bus = bus_of(CircuitBreaker(3, reset_after=10), Service())
    intents = (BAD, BAD, GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, GOOD)
    outcomes = await outcomes_of(bus, *intents)
    assert outcomes == ["failed", "failed", "done", "failed", "failed", "done", "failed", "failed", "failed", "open"]


async def test_the_error_says_when_to_try_again_and_that_is_true() -> None:
    bus, _, _ = await opened()
    await anyio.sleep(3.3)
    with pytest.raises(CircuitOpen) as caught:
        await bus.ask(GOOD)
    assert caught.value.intent is Work
    assert caught.value.retry_after == pytest.approx(6.7)
    await anyio.sleep(caught.value.retry_after)
    assert await bus.ask(GOOD) == "done"


async def test_a_trial_that_succeeds_closes_it() -> None:
    bus, _, _ = await opened(2)
    await anyio.sleep(10)
    assert await outcomes_of(bus, GOOD, BAD, GOOD, BAD, BAD, GOOD) == [
        "done",
        "failed",
        "done",
        "failed",
        "failed",
        "open",
    ]


async def test_a_trial_that_fails_opens_it_again() -> None:
    bus, service, _ = await opened(2)
    for _ in range(3):
        await anyio.sleep(9.9)
        assert await outcomes_of(bus, GOOD) == ["open"]
        await anyio.sleep(0.1)
        assert await outcomes_of(bus, BAD, GOOD) == ["failed", "open"]
    assert service.calls == 5


async def test_the_time_runs_from_the_end_of_the_trial() -> None:
    bus, _, _ = await opened()
    await anyio.sleep(10)
    assert await outcome_of(bus, Work(ok=False, seconds=60)) == "failed"
    with pytest.raises(CircuitOpen) as caught:
        await bus.ask(GOOD)
    assert caught.value.retry_after == pytest.approx(10)


async def test_there_is_one_trial_at_a_time() -> None:
    bus, service, _ = await opened()
    await anyio.sleep(10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.ask, Work(seconds=60))
        await anyio.sleep(30)
        with pytest.raises(CircuitOpen) as caught:
            await bus.ask(GOOD)
        assert caught.value.retry_after == 10
        assert service.calls == 2
    assert await bus.ask(GOOD) == "done"


async def test_a_trial_that_is_cancelled_leaves_the_trial_to_the_next_one() -> None:
    bus, service, _ = await opened()
    await anyio.sleep(10)
    for _ in range(2):
        with anyio.move_on_after(5) as scope:
            await bus.ask(Work(seconds=60))
        assert scope.cancelled_caught
    assert service.calls == 3
    assert await outcomes_of(bus, GOOD, BAD, GOOD) == ["done", "failed", "open"]


async def test_a_cancellation_at_any_point_leaves_the_trial_free() -> None:
    async def key(envelope: Envelope[Any]) -> str:
        await checkpoint()
        return "all"

    for after in range(10):
        bus, _, breaker = await opened(key=key)
        await anyio.sleep(10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.dispatch, Work(seconds=60))
            for _ in range(after):
                await checkpoint()
            tasks.cancel_scope.cancel()
        assert not any(broken.in_trial for broken in breaker._open.values())
        assert await bus.ask(GOOD) == "done"


async def test_a_cancellation_is_neither_failure_nor_success() -> None:
    bus = bus_of(CircuitBreaker(2, reset_after=10), Service())
    await outcomes_of(bus, BAD)
    with anyio.move_on_after(5):
        await bus.ask(Work(seconds=60))
    assert await outcomes_of(bus, BAD, GOOD) == ["failed", "open"]


async def test_a_new_failed_stamp_is_a_failure() -> None:
    service = Service()
    service.outcome = Failed("down")
    bus = bus_of(CircuitBreaker(2, reset_after=10), service)
    done = await bus.dispatch(GOOD, Failed("long ago"))
    assert done.result == "done"
    assert await outcomes_of(bus, BAD, BAD, GOOD) == ["failed", "failed", "open"]
    await anyio.sleep(10)
    assert await outcomes_of(bus, BAD, GOOD) == ["failed", "open"]


MISUSES = [
    InvalidIntent(Work, [("ok", "missing")]),
    Forbidden(Work, "ada", "not root"),
    GiveUp("the card is stolen"),
    HandlersFailed("2 failed", [GiveUp(""), Forbidden(Work, "ada", "not root")]),
]


@pytest.mark.parametrize("error", MISUSES, ids=lambda error: type(error).__name__)
async def test_misuse_is_neither_failure_nor_success(error: Exception) -> None:
    service = Service()
    bus = bus_of(CircuitBreaker(2, reset_after=10), service)
    await outcomes_of(bus, BAD)
    down, service.outcome = service.outcome, error
    assert await outcomes_of(bus, *[BAD] * 3, GOOD) == ["failed"] * 3 + ["done"]
    service.outcome = down
    await outcomes_of(bus, BAD)
    service.outcome = error
    await outcomes_of(bus, BAD)
    service.outcome = down
    assert await outcomes_of(bus, BAD, GOOD) == ["failed", "open"]


@pytest.mark.parametrize("error", MISUSES, ids=lambda error: type(error).__name__)
async def test_a_trial_that_is_misuse_leaves_the_trial_to_the_next_one(error: Exception) -> None:
    bus, service, _ = await opened()
    service.outcome = error
    await anyio.sleep(10)
    assert await outcomes_of(bus, BAD, BAD, GOOD, GOOD) == ["failed", "failed", "done", "done"]


async def test_errors_in_a_group_are_a_failure_if_one_of_them_is() -> None:
    service = Service()
    service.outcome = HandlersFailed("2 failed", [GiveUp(""), OSError()])
    assert await outcomes_of(bus_of(CircuitBreaker(1, reset_after=10), service), BAD, GOOD) == ["failed", "open"]


@pytest.mark.parametrize("ok", [True, False])
async def test_what_began_before_does_not_count_when_it_ends_while_it_is_open(ok: bool) -> None:
    bus = bus_of(CircuitBreaker(1, reset_after=10), Service())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome_of, bus, Work(ok=ok, seconds=5))
        await anyio.sleep(1)
        await outcomes_of(bus, BAD)
        await anyio.sleep(6)
        with pytest.raises(CircuitOpen) as caught:
            await bus.ask(GOOD)
        assert caught.value.retry_after == pytest.approx(4)


async def test_failures_at_the_same_time_count_together() -> None:
    bus = bus_of(CircuitBreaker(3, reset_after=10), Service())
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(outcome_of, bus, Work(ok=False, seconds=1))
    assert await outcomes_of(bus, GOOD) == ["open"]


async def test_by_default_each_type_has_a_circuit_of_its_own() -> None:
    bus, _, _ = await opened()
    assert await outcomes_of(bus, Export(), GOOD) == ["done", "open"]


async def test_a_key_of_ones_own_says_what_has_a_circuit() -> None:
    bus = bus_of(CircuitBreaker(1, reset_after=10, key=by_key), Service())
    outcomes = await outcomes_of(bus, Work(ok=False, key="a"), Export(key="a"), Work(key="b"))
    assert outcomes == ["failed", "open", "done"]


# MI-60
async def test_buses_that_share_it_have_circuits_of_their_own() -> None:
    breaker = CircuitBreaker(1, reset_after=10, key=by_key)
    one, two = bus_of(breaker, Service(), "a"), bus_of(breaker, Service(), "a:b")
    assert await outcomes_of(one, Work(ok=False, key="b:c"), Work(key="b:c")) == ["failed", "open"]
    assert await outcomes_of(two, Work(key="c")) == ["done"]


# MI-13
async def test_types_have_options_of_their_own() -> None:
    service = Service()
    bus = bus_of(CircuitBreaker(1, reset_after=10, intents={Export: {"failures": 2, "reset_after": 3}}), service)
    exports = [Export(ok=False), Export(ok=False), Export()]
    assert await outcomes_of(bus, BAD, GOOD, *exports) == ["failed", "open", "failed", "failed", "open"]
    await anyio.sleep(3)
    assert await outcomes_of(bus, GOOD, Export()) == ["open", "done"]


# MI-14
async def test_it_works_on_other_buses_too() -> None:
    async def find(query: Find) -> str:
        raise OSError

    bus = QueryBus([find], middleware=[CircuitBreaker(1, reset_after=10)])
    with pytest.raises(OSError):  # noqa: PT011
        await bus.ask(Find())
    with pytest.raises(CircuitOpen, match="Find"):
        await bus.ask(Find())


async def test_it_knows_no_more_keys_than_it_may() -> None:
    breaker = CircuitBreaker(2, reset_after=10, key=by_key, size=2)
    bus = bus_of(breaker, Service())
    await outcomes_of(bus, *[Work(ok=False, key=key) for key in "abc"])
    assert len(breaker._failures) == 2
    await outcomes_of(bus, *[Work(ok=False, key=key) for key in "ddeeff"])
    assert len(breaker._open) == 2
    assert await outcomes_of(bus, *[Work(key=key) for key in "def"]) == ["done", "open", "open"]
    await outcomes_of(bus, *[Work(key=str(n)) for n in range(9)])
    assert len(breaker._failures) <= 2, "what succeeds is not kept"


async def test_a_trial_of_what_was_forgotten_meanwhile_changes_nothing() -> None:
    breaker = CircuitBreaker(1, reset_after=10, key=by_key, size=1)
    bus = bus_of(breaker, Service())
    await outcomes_of(bus, Work(ok=False, key="a"))
    await anyio.sleep(10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.ask, Work(seconds=5, key="a"))
        await anyio.sleep(1)
        await outcomes_of(bus, Work(ok=False, key="b"), Work(ok=False, key="a"))
    assert await outcomes_of(bus, Work(key="a")) == ["open"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("failures", 0), ("failures", 1.5), ("failures", True), ("reset_after", 0), ("reset_after", inf), ("key", 1)],
)
def test_wrong_values_fail_at_once(option: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=option):
        CircuitBreaker(**{"failures": 1, "reset_after": 1.0} | {option: value})
    with pytest.raises(InvalidOption, match=option):
        CircuitBreaker(1, reset_after=1, intents={Work: {option: value}})  # type: ignore[misc]


def test_misspelt_options_and_foreign_types_fail_before_anything_is_dispatched() -> None:
    with pytest.raises(InvalidOption, match="size"):
        CircuitBreaker(1, reset_after=1, size=0)
    with pytest.raises(InvalidOption, match="there are: failures, reset_after, key"):
        CircuitBreaker(1, reset_after=1, intents={Work: {"failure": 5}})  # type: ignore[typeddict-unknown-key]
    bus = bus_of(CircuitBreaker(1, reset_after=1, intents={Missing: {"failures": 1}}), Service())
    with pytest.raises(NoHandler, match="Missing"):
        bus.check()
