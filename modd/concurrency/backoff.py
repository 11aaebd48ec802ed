"""How long to wait before the next attempt, as pure functions (MI-36, MI-37)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from math import inf
from random import random as random_number
from typing import Any, Literal, TypeAlias

from modd.errors import InvalidOption

Backoff: TypeAlias = Literal["exponential", "fibonacci", "none"]
"""How the delays grow: by a factor, as the Fibonacci numbers, or not at all (there are none)."""


FIRST = 0.5
"""The first delay of an exponential backoff, in seconds."""


LONGEST = 24 * 3600.0
"""No delay is longer, in seconds, before jitter."""


INSTANT = 1e-9
"""A time that is as near as that, in seconds, is reached: sums of floats are not more exact."""


def delays(
    backoff: str = "exponential",
    multiplier: float = 1.5,
    jitter: float = 0.5,
    random: Callable[[], float] = random_number,
) -> Iterator[float]:
    """The seconds to wait after the first failed attempt, after the second, and so on without end.

    backoff: ``"exponential"`` (0.5, 0.75, 1.125, ...), ``"fibonacci"`` (1, 2, 3, 5, 8, ...) or ``"none"`` (always 0).
    multiplier: the factor from one delay to the next; of exponential alone.
    jitter: a delay d is spread evenly over d * (1 - jitter) to d * (1 + jitter), so that many who failed at the same
        time do not come back at the same time. 0 for none, 1 at most.
    random: numbers from 0 up to 1; give one of your own for delays that are known before.

    Raises `InvalidOption` (MI-37).
    """
    check_backoff(backoff, multiplier, jitter)
    return (spread(min(delay, LONGEST), jitter, random) for delay in _delays(backoff, multiplier))


def check_backoff(backoff: Any, multiplier: Any, jitter: Any) -> None:
    """Raise `InvalidOption` for what no delays can be made of."""
    if backoff not in ("exponential", "fibonacci", "none"):
        raise InvalidOption("backoff", backoff, 'give "exponential", "fibonacci" or "none"')
    if not (_is_number(multiplier) and 0 <= multiplier < inf):
        raise InvalidOption("multiplier", multiplier, "give a number, 0 or more")
    if not (_is_number(jitter) and 0 <= jitter <= 1):
        raise InvalidOption("jitter", jitter, "give a number from 0 to 1")


def exponential(multiplier: float = 1.5) -> Iterator[float]:
    """0.5 seconds, then each the multiple of the one before."""
    delay = FIRST
    while True:
        yield delay
        delay *= multiplier


def fibonacci() -> Iterator[float]:
    """1, 2, 3, 5, 8 seconds: each as long as the two before it."""
    delay, following = 1.0, 2.0
    while True:
        yield delay
        delay, following = following, delay + following


def spread(delay: float, jitter: float, random: Callable[[], float] = random_number) -> float:
    """Some delay within a share of this one, up or down, all equally likely."""
    return delay * (1 + jitter * (2 * random() - 1))


def _delays(backoff: str, multiplier: float) -> Iterator[float]:
    if backoff == "none":
        return repeat(0.0)
    return exponential(multiplier) if backoff == "exponential" else fibonacci()


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)
