"""Dead letters: to list them, and to redrive or discard them in batches, between which other processes write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from anyio.lowlevel import checkpoint

from modd.cli.content import Viewer
from modd.cli.errors import AmbiguousId
from modd.cli.inspection import Inspector
from modd.cli.reports import BatchResult, DeadLetterList, DeadLetterSummary
from modd.ports.queue import Queue
from modd.stores.sqlite.store import SqliteStore

BATCH = 200
"""Dead letters in one transaction."""


SHORTENED = ("...", "\N{HORIZONTAL ELLIPSIS}")
"""The ends of a shortened id."""


def list_dead_letters(inspector: Inspector, queue: str, limit: int, viewer: Viewer) -> DeadLetterList:
    """List the first dead letters of a queue."""
    items: list[DeadLetterSummary] = []
    for id, body, reason, attempts in inspector.dead(queue, limit):
        view = viewer(body)
        items.append(DeadLetterSummary(id, view.mask(reason), attempts, view.content))
    return DeadLetterList(queue, inspector.counts(queue).dead, items)


def complete_ids(inspector: Inspector, queue: str, ids: Sequence[str]) -> list[str]:
    """Return whole ids for ids of which some are shortened: ``orders:01a2...`` is the only dead letter that begins so.

    An id is shortened only if it ends with three dots (or the one character for them): without this mark, the id of a
    letter that is gone, such as ``order-1``, would stand for ``order-10``. The id of an item in the queue always stands
    for itself, and so does a beginning that fits no dead letter. Each id is returned once.

    Raises:
        AmbiguousId: several dead letters begin so.
    """
    shortened = {id for id in ids if _beginning_in(id) and not inspector.has_item(queue, id)}
    known = inspector.dead_ids(queue) if shortened else []
    return [*dict.fromkeys(complete_id(id, queue, known) if id in shortened else id for id in ids)]


def find_item(inspector: Inspector, queue: str, id: str) -> str:
    """Return the id of an item: as it is, or whole for a shortened id, or for the id of the message in the item.

    Raises:
        AmbiguousId: several dead letters begin so, or several items have the message.
    """
    [whole] = complete_ids(inspector, queue, [id])
    found = [] if inspector.has_item(queue, whole) else inspector.ids_of_message(queue, whole)
    if len(found) > 1:
        raise AmbiguousId(id, queue, found, "items")
    return found[0] if found else whole


def complete_id(id: str, queue: str, known: Sequence[str]) -> str:
    """Return the whole id of the dead letter that begins so; the id itself if it is not shortened, or none does.

    known: the ids of the dead letters of the queue. Raises `AmbiguousId`.
    """
    beginning = _beginning_in(id)
    found = [each for each in known if each.startswith(beginning)] if beginning and id not in known else []
    if len(found) > 1:
        raise AmbiguousId(id, queue, found)
    return found[0] if found else id


def _beginning_in(id: str) -> str:
    """Return the beginning in a shortened id; an empty text for a whole id."""
    return next((id.removesuffix(mark) for mark in SHORTENED if id.endswith(mark)), "")


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
    async with SqliteStore(path) as store:
        return await process_dead_letters(store.queue(queue), queue, command, ids, advance)


async def process_dead_letters(
    store_queue: Queue,
    queue: str,
    command: Literal["redrive", "discard"],
    ids: Sequence[str],
    advance: Callable[[int], None],
) -> BatchResult:
    """Redrive or discard dead letters of an open queue; see `process_in_batches`. queue: its name."""
    missing, done = dict.fromkeys(ids), 0
    process = store_queue.redrive if command == "redrive" else store_queue.discard
    for start in range(0, len(ids), BATCH):
        await checkpoint()  # here a cancellation loses nothing
        batch = ids[start : start + BATCH]
        for id in await process(*batch):
            missing.pop(id, None)
            done += 1
        advance(len(batch))
    return BatchResult(queue, command, done, [*missing])


async def list_dead(queue: Queue, name: str, limit: int, viewer: Viewer) -> DeadLetterList:
    """List the first dead letters of a queue."""
    items = []
    for letter in await queue.dead(limit):
        view = viewer(letter.body)
        items.append(DeadLetterSummary(letter.id, view.mask(letter.reason), letter.attempts, view.content))
    return DeadLetterList(name, (await queue.stats()).dead, items)
