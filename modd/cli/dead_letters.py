"""Dead letters: to list them, and to redrive or discard them in batches, between which other processes write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from anyio.lowlevel import checkpoint

from modd.cli.content import Viewer
from modd.cli.inspection import Inspector
from modd.cli.reports import BatchResult, DeadLetterList, DeadLetterSummary
from modd.stores.sqlite.store import SqliteStore

BATCH = 200
"""Dead letters in one transaction."""


def list_dead_letters(inspector: Inspector, queue: str, limit: int, viewer: Viewer) -> DeadLetterList:
    """List the first dead letters of a queue."""
    items: list[DeadLetterSummary] = []
    for id, body, reason, attempts in inspector.dead(queue, limit):
        view = viewer(body)
        items.append(DeadLetterSummary(id, view.mask(reason), attempts, view.content))
    return DeadLetterList(queue, inspector.counts(queue).dead, items)


async def process_in_batches(
    path: str,
    queue: str,
    command: Literal["redrive", "discard"],
    ids: Sequence[str],
    advance: Callable[[int], None] = lambda _: None,
) -> BatchResult:
    """Redrive or discard dead letters. Finished batches stay done if it is cancelled.

    ids: the dead letters; each is processed once, even if it is buried again meanwhile.
    advance: called after each batch with its number of ids.

    Raises:
        StoreError: the file cannot be opened or written.
    """
    missing, done = dict.fromkeys(ids), 0
    async with SqliteStore(path) as store:
        store_queue = store.queue(queue)
        process = store_queue.redrive if command == "redrive" else store_queue.discard
        for start in range(0, len(ids), BATCH):
            await checkpoint()  # here a cancellation loses nothing
            batch = ids[start : start + BATCH]
            for id in await process(*batch):
                missing.pop(id, None)
                done += 1
            advance(len(batch))
    return BatchResult(queue, command, done, [*missing])
