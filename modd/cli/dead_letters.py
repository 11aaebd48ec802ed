"""What is done to dead letters: in steps, so that others write between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from anyio.lowlevel import checkpoint

from modd.cli.reports import Moved
from modd.stores.sqlite.store import SqliteStore

STEP = 200
"""Items of one transaction."""


async def moved(
    path: str,
    queue: str,
    command: Literal["redrive", "discard"],
    ids: Sequence[str],
    advance: Callable[[int], None] = lambda _: None,
) -> Moved:
    """Put dead letters back, or forget them. What is done stays done if it is stopped in the middle.

    ids: of the items; each is taken once, also if it is buried again meanwhile. advance: called after each step with
    how many ids that were. Raises `modd.ports.StoreError`.
    """
    left = dict.fromkeys(ids)
    async with SqliteStore(path) as store:
        part = store.queue(queue)
        apply = part.redrive if command == "redrive" else part.discard
        for start in range(0, len(ids), STEP):
            await checkpoint()  # between two steps is a good moment to be stopped
            step = ids[start : start + STEP]
            for id in await apply(*step):
                left.pop(id, None)
            advance(len(step))
    return Moved(queue, command, len({*ids}) - len(left), [*left])
