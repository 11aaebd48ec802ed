"""What all built-in middleware have in common: options for some types, and the buses that they serve."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from modd import InvalidOption
from modd.cqrs import CommandBus, EventBus, NoHandler, QueryBus, TypedBus, WrongBus
from modd.middleware import Cacher, CircuitBreaker, Enqueue, FeatureFlag, Lock, Logger, RateLimit, Retryer, Timeout
from modd.middleware import Validator as Checks
from modd.middleware.options import Options
from modd.stores import MemoryQueue
from tests.cqrs.shop import Charge, Create, Created, CreatedByAdmin, Get, giving

pytestmark = pytest.mark.anyio


class SomeOptions(TypedDict, total=False):
    ttl: float
    short_circuit: bool


def test_an_explicit_zero_or_false_counts_and_the_nearest_base_counts_most() -> None:
    # MI-13
    given = {"ttl": 5.0, "short_circuit": True}
    intents: dict[Any, Any] = {CreatedByAdmin: {"short_circuit": False}, Created: {"ttl": 0}}
    options = Options("Some", SomeOptions, given, intents)
    assert options.of(Create) == {"ttl": 5.0, "short_circuit": True}
    assert options.of(Created) == {"ttl": 0, "short_circuit": True}
    assert options.of(CreatedByAdmin) == {"ttl": 0, "short_circuit": False} == options.of(CreatedByAdmin)
    assert options.sets == [options.of(kind) for kind in (Create, CreatedByAdmin, Created)]


def made(name: str, intents: Any) -> Any:
    makers: dict[str, Any] = {
        "Cacher": lambda: Cacher(intents=intents),
        "CircuitBreaker": lambda: CircuitBreaker(3, reset_after=5.0, intents=intents),
        "Enqueue": lambda: Enqueue(MemoryQueue(), intents=intents),
        "FeatureFlag": lambda: FeatureFlag(lambda kind: True, intents=intents),
        "Lock": lambda: Lock(lambda envelope: "key", intents=intents),
        "Logger": lambda: Logger(intents=intents),
        "RateLimit": lambda: RateLimit(5, per=1.0, intents=intents),
        "Retryer": lambda: Retryer(intents=intents),
        "Timeout": lambda: Timeout(5.0, intents=intents),
        "Validator": lambda: Checks(intents),
    }
    return makers[name]()


ALL = [
    "Cacher",
    "CircuitBreaker",
    "Enqueue",
    "FeatureFlag",
    "Lock",
    "Logger",
    "RateLimit",
    "Retryer",
    "Timeout",
    "Validator",
]


@pytest.mark.parametrize("name", ALL)
def test_misspelt_options_and_keys_that_are_no_types_fail_at_once(name: str) -> None:
    # MI-13
    cases: list[dict[Any, Any]] = [{Get: {"no_such_option": 1}}, {"Get": {}}, {int: {}}]
    for intents in cases:
        with pytest.raises(InvalidOption):
            made(name, intents)


@pytest.mark.parametrize("name", ["FeatureFlag", "Lock", "Logger", "RateLimit", "CircuitBreaker", "Retryer", "Timeout"])
async def test_all_but_cacher_and_enqueue_serve_all_three_buses(name: str) -> None:
    # MI-14
    given: list[tuple[type[TypedBus], Any]] = [(CommandBus, Create()), (QueryBus, Get()), (EventBus, Created())]
    for kind, intent in given:
        bus = kind({type(intent): giving(7)}, middleware=[made(name, {})])
        async with bus:
            assert (await bus.dispatch(intent)).result == 7


def test_cacher_is_for_queries_and_enqueue_for_commands_and_events() -> None:
    # MI-14
    for kind in (CommandBus, EventBus):
        with pytest.raises(WrongBus, match="Cacher"):
            kind(middleware=[made("Cacher", {})])
    with pytest.raises(WrongBus, match="Enqueue"):
        QueryBus(middleware=[made("Enqueue", {})])
    QueryBus(middleware=[made("Cacher", {})])
    for kind in (CommandBus, EventBus):
        kind(middleware=[made("Enqueue", {})])


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("Cacher", "Enqueue")])
async def test_options_for_a_type_that_the_bus_does_not_handle_are_an_error_when_it_is_checked(name: str) -> None:
    # MI-13
    bus = CommandBus({Create: giving(1)}, middleware=[made(name, {Charge: {}, Get: {}})])
    with pytest.raises(NoHandler, match="no handler for Charge"):
        bus.check()
    with pytest.raises(NoHandler):
        await bus.dispatch(Create())
