"""Merge combines the latest messages into one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from modd import Bus, InvalidOption, Message, TurnFailed
from modd.parts import Filter, Merge
from tests.parts.components import Listener

pytestmark = pytest.mark.anyio


class Rate(Message):
    n: int


class Amount(Message):
    n: int


class Estimate(Amount):
    pass


class Cleared(Message):
    pass


class Converted(Message):
    rate: Rate
    amount: Amount


def results(heard: Listener) -> list[Message]:
    return [message for message in heard.messages if isinstance(message, Converted)]


async def test_it_waits_for_all_inputs_and_then_follows_every_further_one() -> None:
    # MO-19
    heard = Listener()
    bus = Bus([Merge(Rate, Amount, into=Converted), heard])
    for message in (Amount(1), Amount(2), Rate(10)):
        await bus(message)
    assert results(heard) == [Converted(Rate(10), Amount(2))], "the latest of each, in the order of the types"
    await bus(Amount(3))
    await bus(Estimate(4))
    assert results(heard)[1:] == [Converted(Rate(10), Amount(3)), Converted(Rate(10), Estimate(4))]


@pytest.mark.parametrize("reset", [Cleared, [Cleared]])
async def test_a_reset_forgets_what_was_seen(reset: Any) -> None:
    # MO-19
    heard = Listener()
    bus = Bus([Merge(Rate, Amount, into=Converted, reset=reset), heard])
    for message in (Rate(1), Amount(1), Cleared(), Amount(2)):
        await bus(message)
    assert results(heard) == [Converted(Rate(1), Amount(1))]
    await bus(Rate(2))
    assert results(heard)[1:] == [Converted(Rate(2), Amount(2))]


async def test_a_message_that_is_an_input_and_resets_resets() -> None:
    # MO-19
    heard = Listener()
    bus = Bus([Merge(Rate, Amount, into=Converted, reset=Estimate), heard])
    for message in (Amount(1), Estimate(2), Rate(3)):
        await bus(message)
    assert results(heard) == []


async def test_its_own_output_is_ignored() -> None:
    # MO-19
    heard = Listener()
    bus = Bus([Filter(Merge(Rate, Amount, into=lambda rate, amount: Amount(rate.n * amount.n))), heard])
    await bus(Rate(2))
    await bus(Amount(3))
    assert heard.messages == [Rate(2), Amount(3), Amount(6)]
    await bus(Rate(5))
    assert heard.messages[3:] == [Rate(5), Amount(15)], "6 was not taken for an input"


async def test_a_message_of_two_of_the_types_counts_for_both() -> None:
    # MO-19
    heard = Listener()
    await Bus([Merge(Amount, Estimate, into=lambda *latest: Rate(len(latest))), heard])(Estimate(1))
    assert heard.messages == [Estimate(1), Rate(2)]


async def convert_async(rate: Rate, amount: Amount) -> Converted:
    return Converted(rate, amount)


def convert_generator(rate: Rate, amount: Amount) -> Iterator[Converted]:
    yield Converted(rate, amount)


async def convert_async_generator(rate: Rate, amount: Amount) -> AsyncIterator[Converted]:
    yield Converted(rate, amount)


@pytest.mark.parametrize("into", [convert_async, convert_generator, convert_async_generator])
async def test_into_may_be_of_every_kind(into: Callable[..., Any]) -> None:
    # MO-19
    heard = Listener()
    bus = Bus([Merge(Rate, Amount, into=into), heard])
    await bus(Rate(1))
    await bus(Amount(2))
    assert results(heard) == [Converted(Rate(1), Amount(2))]


async def test_what_was_seen_is_kept_when_into_fails() -> None:
    # MO-19
    heard = Listener()

    def into(rate: Rate, amount: Amount) -> Converted:
        if amount.n < 0:
            raise ValueError("negative")
        return Converted(rate, amount)

    bus = Bus([Merge(Rate, Amount, into=into), heard])
    await bus(Rate(1))
    with pytest.raises(TurnFailed) as info:
        await bus(Amount(-1))
    assert info.value.exceptions[0].__notes__ == ["modd: raised by Merge(Rate, Amount) when given Amount in bus"]
    await bus(Amount(1))
    assert results(heard) == [Converted(Rate(1), Amount(1))]


@pytest.mark.parametrize(
    ("types", "options", "text"),
    [
        ((), {"into": Converted}, "name at least 1 message type"),
        ((Rate, Rate), {"into": Converted}, "name each message type once"),
        ((Rate, "Amount"), {"into": Converted}, "give a message type"),
        ((Rate, Amount), {"into": lambda rate: rate}, r"a function of 2 arguments"),
        ((Rate, Amount), {"into": None}, "give a function"),
        ((Rate, Amount), {"into": Converted, "reset": Amount}, "covers the input Amount, so that Merge could never"),
        ((Rate, Amount), {"into": Converted, "reset": Message}, "covers the input Rate"),
        ((Rate, Amount), {"into": Converted, "reset": 1}, "reset=1"),
    ],
)
async def test_options_that_cannot_work_fail_when_it_is_made(types: Any, options: Any, text: str) -> None:
    # MO-19 MO-13
    with pytest.raises(InvalidOption, match=text):
        Merge(*types, **options)
