"""Steps: work counted in calls of functions, so that its growth is told without a clock."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """Count the calls of functions in this thread, those of builtins included; the one number is the count.

    The garbage collector, which comes when it likes, is not counted.
    """
    counts = [0]

    def profile(frame: Any, event: str, argument: Any) -> None:
        counts[0] += event in ("call", "c_call")

    before = sys.getprofile()
    gc.collect()
    gc.disable()
    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(before)
        gc.enable()


def calls_of(action: Callable[[], Any]) -> int:
    """Return the number of calls that an action takes."""
    with counted_calls() as counts:
        action()
    return counts[0]


async def calls_while(action: Callable[[], Awaitable[Any]]) -> int:
    """Return the number of calls that an async action takes, those of the event loop included."""
    with counted_calls() as counts:
        await action()
    return counts[0]
