"""Immediate transactions, run again while other writers come first, as they can on a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import random
from typing import TypeVar

import anyio

from modd.ports.errors import ReadConflict

T = TypeVar("T")

ATTEMPTS = 20
"""Most attempts; a file needs one."""


SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.25
"""Seconds between two attempts."""


async def run_immediate(run: Callable[[], Awaitable[T]]) -> T:
    """Call a function that runs in an immediate transaction, and return its result.

    A file keeps other writers off meanwhile. A server does not: call it again, after a random pause, if it ends in a
    `ReadConflict`. Raises the last one.
    """
    pause = SHORTEST_PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return await run()
        except ReadConflict:
            await anyio.sleep(pause * random())
        pause = min(2 * pause, LONGEST_PAUSE)
    return await run()
