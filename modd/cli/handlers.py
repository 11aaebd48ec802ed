"""The handlers of queues: to list them, and to forget one with its deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import anyio

from modd.cli.errors import NoSuchHandler
from modd.cli.inspection import Inspector, inspect_file
from modd.cli.reports import ForgetResult, HandlerStatus
from modd.ports.queue import Queue
from modd.stores.item_ids import queue_number
from modd.stores.sqlite.queue_sql import RETRYING
from modd.stores.sqlite.store import SqliteStore
from modd.stores.sqlite.subscriptions import SUBSCRIPTIONS
from modd.worker.subscriptions import delivery_of

LEFT = f"""SELECT name, count(*) FROM modd_left JOIN modd_items AS item USING (place)
    WHERE modd_left.queue = ? AND item.state = {RETRYING} AND item.due = modd_left.due GROUP BY name"""


def list_handlers(inspector: Inspector) -> list[HandlerStatus]:
    """List the handlers that workers have announced, and others for which deliveries are left."""
    queues = inspector.queues() if inspector.version > 1 else ()  # the first version of the schema had no handlers
    return [handler for queue in queues for handler in _list(inspector, queue)]


def forget(path: str, handler: str) -> ForgetResult:
    """Forget a handler in all queues of a file, and remove its deliveries. Raises `NoSuchHandler`."""
    queues = inspect_file(path, Inspector.queues)
    known = {each.handler for each in inspect_file(path, list_handlers)}
    return anyio.run(partial(_forget, path, queues, handler, known))


def _list(inspector: Inspector, queue: str) -> list[HandlerStatus]:
    number, left = queue_number(queue), Counter[tuple[str, str]]()
    for name, count in inspector.rows(LEFT, number):
        delivery = delivery_of(name)
        if delivery is not None:
            left[delivery] += count
    return merge_handlers(queue, left, inspector.rows(SUBSCRIPTIONS, number))


def merge_handlers(
    queue: str, left: Counter[tuple[str, str]], announced: Iterable[tuple[str, str, str, float]]
) -> list[HandlerStatus]:
    """Return the handlers of a queue.

    left: the number of items that were left, by bus and handler. announced: bus, type, handler and time of
    subscriptions.
    """
    types: dict[tuple[str, str], list[str]] = {key: [] for key in left}
    seen: dict[tuple[str, str], float] = {}
    for bus, type, handler, at in announced:
        if handler:
            types.setdefault((bus, handler), []).append(type)
            seen[bus, handler] = max(at, seen.get((bus, handler), 0.0))
    return [HandlerStatus(queue, *key, types[key], seen.get(key), left[key]) for key in sorted(types)]


async def _forget(path: str, queues: list[str], handler: str, known: set[str]) -> ForgetResult:
    async with SqliteStore(path) as store:
        return await forget_in(store.queue, path, queues, handler, known)


async def forget_in(
    open_queue: Callable[[str], Queue], path: str, queues: Sequence[str], handler: str, known: set[str]
) -> ForgetResult:
    """Forget a handler in queues of a store. known: handlers to name in an error. Raises `NoSuchHandler`."""
    found, removed = list[str](), 0
    for name in queues:
        queue = open_queue(name)
        is_announced = any(each.handler == handler for each in await queue.subscriptions())
        count = await queue.forget(handler)
        removed += count
        if is_announced or count:
            found.append(name)
    if not found:
        raise NoSuchHandler(handler, path, sorted(known))
    return ForgetResult(handler, found, removed)
