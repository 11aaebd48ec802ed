"""Options by type are given as mappings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd.cqrs import Command
from modd.errors import InvalidOption
from modd.middleware import (
    Cacher,
    CircuitBreaker,
    Enqueue,
    FeatureFlag,
    Lock,
    Logger,
    Mocker,
    RateLimit,
    Retryer,
    Timeout,
    Validator,
    Webhook,
)
from modd.stores import MemoryQueue


class Pay(Command[None]):
    pass


MAKERS: dict[str, Callable[[Any], Any]] = {
    "Cacher": lambda given: Cacher(intents=given),
    "CircuitBreaker": lambda given: CircuitBreaker(1, reset_after=1, intents=given),
    "Enqueue": lambda given: Enqueue(MemoryQueue(), intents=given),
    "FeatureFlag": lambda given: FeatureFlag(bool, intents=given),
    "Lock": lambda given: Lock(lambda envelope: "all", intents=given),
    "Logger": lambda given: Logger(intents=given),
    "RateLimit": lambda given: RateLimit(1, per=1, intents=given),
    "Retryer": lambda given: Retryer(intents=given),
    "Timeout": lambda given: Timeout(1, intents=given),
    "Validator": Validator,
    "Webhook": lambda given: Webhook(intents=given),
}


@pytest.mark.parametrize("name", [*MAKERS, "Mocker"])
@pytest.mark.parametrize("given", [[], [Pay], Pay, "Pay", 5])
def test_what_is_no_mapping_from_type_to_options_is_refused(name: str, given: Any) -> None:
    # MI-13
    with pytest.raises(InvalidOption, match=rf"{name}\(intents\)=.*give a mapping from message type"):
        (MAKERS | {"Mocker": Mocker})[name](given)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("given", [[], 5, None, "ttl"])
def test_options_of_a_type_that_are_no_mapping_are_refused(name: str, given: Any) -> None:
    # MI-13
    with pytest.raises(InvalidOption, match=rf"{name}\(intents={{Pay: ...}}\)=.*a mapping of options"):
        MAKERS[name]({Pay: given})
