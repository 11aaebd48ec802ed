"""Pauses between attempts: delays that grow, jitter, and a pause that doubles while a store fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from math import inf
from random import random as random_number
from typing import Any, Literal, TypeAlias

from anyio import current_time

from modd.checks import is_number
from modd.errors import InvalidOption

Backoff: TypeAlias = Literal["exponential", "fibonacci", "none"]
"""The growth of delays: by a factor, as the Fibonacci numbers, or none (every delay is 0)."""


FIRST_DELAY = 0.5
"""Seconds: the first delay of an exponential backoff."""


LONGEST_DELAY = 24 * 3600.0
"""Seconds: the upper limit of a delay, before jitter."""


TIME_PRECISION = 1e-9
"""Seconds: two times that are closer than this count as equal, because sums of floats are not exact."""


def delays(
    backoff: str = "exponential",
    multiplier: float = 1.5,
    jitter: float = 0.5,
    random: Callable[[], float] = random_number,
) -> Iterator[float]:
    """Return the seconds to wait after the first failed attempt, after the second, and so on without end.

    backoff: ``"exponential"`` (0.5, 0.75, 1.125, ...), ``"fibonacci"`` (1, 2, 3, 5, 8, ...) or ``"none"`` (always 0).
    multiplier: the factor from one delay to the next; only for exponential.
    jitter: spread a delay d evenly over d * (1 - jitter) to d * (1 + jitter), so that clients that failed together do
        not retry together. From 0 (none) to 1.
    random: returns a number from 0 up to 1; pass your own for delays that a test can predict.

    Raises: `InvalidOption`.
    """
    check_backoff(backoff, multiplier, jitter)
    return (spread(min(delay, LONGEST_DELAY), jitter, random) for delay in _plain_delays(backoff, multiplier))


def check_backoff(backoff: Any, multiplier: Any, jitter: Any) -> None:
    """Raise `InvalidOption` for options that `delays` cannot use."""
    if backoff not in ("exponential", "fibonacci", "none"):
        raise InvalidOption("backoff", backoff, 'give "exponential", "fibonacci" or "none"')
    if not (is_number(multiplier) and 0 <= multiplier < inf):
        raise InvalidOption("multiplier", multiplier, "give a number, 0 or more")
    if not (is_number(jitter) and 0 <= jitter <= 1):
        raise InvalidOption("jitter", jitter, "give a number from 0 to 1")


def exponential(multiplier: float = 1.5) -> Iterator[float]:
    """Return 0.5 seconds, then each delay times the multiplier."""
    delay = FIRST_DELAY
    while True:
        yield delay
        delay *= multiplier


def fibonacci() -> Iterator[float]:
    """Return 1, 2, 3, 5, 8 seconds: each delay is the sum of the two before."""
    delay, following = 1.0, 2.0
    while True:
        yield delay
        delay, following = following, delay + following


def spread(delay: float, jitter: float, random: Callable[[], float] = random_number) -> float:
    """Return a random delay between ``delay * (1 - jitter)`` and ``delay * (1 + jitter)``, all equally likely."""
    return delay * (1 + jitter * (2 * random() - 1))


class DoublingPause:
    """A pause between retries, in seconds, that doubles with every failure in a row up to a longest pause.

    Call `next` after a failure and sleep for the returned seconds, or call `begin` and ask `left` for the seconds until
    its end; call `reset` after a success.

    shortest: seconds of the first pause. longest: upper limit in seconds.
    """

    __slots__ = ("_end", "_longest", "_next", "_shortest")

    def __init__(self, shortest: float = 0.1, longest: float = 5.0) -> None:
        self._shortest, self._longest = shortest, max(shortest, longest)
        self._next, self._end = shortest, 0.0

    def next(self) -> float:
        """Return the seconds to pause now, and double the pause after it."""
        pause = self._next
        self._next = min(2 * pause, self._longest)
        return pause

    def begin(self) -> float:
        """Begin a pause by the clock of the loop, and return its seconds, as `next` does."""
        seconds = self.next()
        self._end = current_time() + seconds
        return seconds

    def left(self) -> float:
        """Return the seconds until the end of the pause that has begun; 0 if there is none."""
        return max(0.0, self._end - current_time())

    def reset(self) -> None:
        """End the pause, and start again with the shortest one."""
        self._next, self._end = self._shortest, 0.0


def _plain_delays(backoff: str, multiplier: float) -> Iterator[float]:
    if backoff == "none":
        return repeat(0.0)
    return exponential(multiplier) if backoff == "exponential" else fibonacci()
