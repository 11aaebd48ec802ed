"""The commands for the queues of a store in a PostgreSQL database: ``python -m modd queue postgresql://host/shop``.

It needs the extra ``postgres``. Nothing is created, and a password is never printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from modd.cli.arguments import Arguments
from modd.cli.content import MASK_TEXT, Viewer
from modd.cli.dead_letters import complete_id, list_dead, process_dead_letters
from modd.cli.errors import NoSuchItem, NoSuchQueue
from modd.cli.handlers import forget_in, merge_handlers
from modd.cli.interaction import Confirm, Progress
from modd.cli.postgres_doctor import examine_database, rows_of
from modd.cli.postgres_migrations import create_store
from modd.cli.reports import (
    BatchResult,
    DatabaseHealth,
    DeadLetterList,
    ForgetResult,
    HandlerStatus,
    ItemDetails,
    Overview,
    QueueCounts,
    State,
)
from modd.stores.item_ids import id_at, position_in, queue_number
from modd.stores.postgres.queue_sql import DEAD, FIND, RETRYING
from modd.stores.postgres.store import PostgresStore
from modd.stores.postgres.values import decode_headers, decode_optional, decode_text, encode_text
from modd.texts import amount
from modd.worker.subscriptions import delivery_of

STATES: tuple[State, ...] = ("ready", "waits for its key", "delayed", "leased", "waits for a retry", "dead")
"""The states of an item, indexed by their number in the table."""


OWN_HEADERS = "modd-"
"""The prefix of the headers that modd sets; their values are never sensitive."""


ITEM = "SELECT state, due, attempts, key, headers, reason, body FROM modd.items WHERE place = %s"


LEFT = f"""SELECT left_item.name, count(*) FROM modd.left_items AS left_item JOIN modd.items AS item USING (place)
    WHERE left_item.queue = %s AND item.state = {RETRYING} AND item.due = left_item.due GROUP BY left_item.name"""


Report = Overview | DeadLetterList | ItemDetails | BatchResult | ForgetResult | DatabaseHealth


async def run_on_postgres(arguments: Arguments, viewer: Viewer, confirm: Confirm, progress: Progress) -> Report:
    """Run a command.

    Raises `UsageError`, `NoSuchItem`, `AmbiguousId`, `NoSuchHandler`, `NotConfirmed`, and `modd.ports.StoreError`.
    """
    async with create_store(arguments.path, arguments.schema) as store:
        queues = await read_queue_names(store)
        if arguments.command == "stats":
            return await count_database(store, queues)
        if arguments.command == "doctor":
            return await examine_database(store, [await count_queue(store, name) for name in queues])
        if arguments.command == "forget":
            known = {each.handler for name in queues for each in await handlers_of(store, name)}
            return await forget_in(store.queue, store.name, queues, arguments.handler, known)
        if arguments.name not in queues:
            raise NoSuchQueue(arguments.name, store.name, queues)
        return await run_on_queue(store, arguments, viewer, confirm, progress)


async def run_on_queue(
    store: PostgresStore, arguments: Arguments, viewer: Viewer, confirm: Confirm, progress: Progress
) -> Report:
    """Run a command for one queue, which is there."""
    if arguments.command == "dead":
        return await list_dead(store.queue(arguments.name), arguments.name, arguments.limit, viewer)
    if arguments.command == "show":
        return await show_row(store, arguments.name, arguments.id, viewer, is_raw=arguments.raw)
    return await process(store, arguments, confirm, progress)


async def read_queue_names(store: PostgresStore) -> list[str]:
    """Return the names of the queues of a store, sorted."""
    return sorted(decode_text(name) for [name] in await rows_of(store, "SELECT name FROM modd.queues"))


async def count_queue(store: PostgresStore, name: str) -> QueueCounts:
    """Count the items of a queue."""
    return QueueCounts(name, **msgspec.structs.asdict(await store.queue(name).stats()))


async def count_database(store: PostgresStore, queues: Sequence[str]) -> Overview:
    """Count the items of queues and of the outbox, and list the handlers."""
    counts = [await count_queue(store, name) for name in queues]
    handlers = [each for name in queues for each in await handlers_of(store, name)]
    [[outbox]] = await rows_of(store, "SELECT count(*) FROM modd.outbox")
    return Overview(store.name, counts, outbox, handlers)


async def handlers_of(store: PostgresStore, queue: str) -> list[HandlerStatus]:
    """List the handlers that workers have announced, and others for which deliveries are left."""
    rows = [(delivery_of(decode_text(name)), count) for name, count in await rows_of(store, LEFT, queue_number(queue))]
    left = Counter({delivery: count for delivery, count in rows if delivery is not None})
    announced = [(each.bus, each.type, each.handler, each.seen) for each in await store.queue(queue).subscriptions()]
    return merge_handlers(queue, left, announced)


async def show_row(store: PostgresStore, queue: str, id: str, viewer: Viewer, *, is_raw: bool) -> ItemDetails:
    """Return the details of one item, with key and foreign headers masked unless ``is_raw``. Raises `NoSuchItem`."""
    [whole] = await complete(store, queue, [id])
    [[nonce]] = await rows_of(store, "SELECT nonce FROM modd.store")
    number, place = queue_number(queue), position_in(nonce, whole)
    found = await rows_of(store, FIND, number, [encode_text(whole)], [] if place is None else [place], number)
    rows = [row for _, at, *_ in found for row in await rows_of(store, ITEM, at)]
    if not rows:
        raise NoSuchItem(whole, queue)
    state, due, attempts, key, packed, reason, body = max(rows, key=lambda row: row[0] == DEAD)
    view, headers, key = viewer(body), decode_headers(packed), decode_optional(key)
    if not is_raw:
        key = key and MASK_TEXT
        headers = {name: text if name.startswith(OWN_HEADERS) else MASK_TEXT for name, text in headers.items()}
    end = None if state == DEAD else due  # the column has another meaning for dead letters: their order
    masked = None if reason is None else view.mask(decode_text(reason))
    return ItemDetails(queue, whole, STATES[state], attempts, key, headers, end, masked, view.content)


async def process(store: PostgresStore, arguments: Arguments, confirm: Confirm, progress: Progress) -> BatchResult:
    """Redrive or discard dead letters."""
    command, queue = arguments.command, arguments.name
    assert command == "redrive" or command == "discard"  # the others have been run
    ids = await dead_ids(store, queue) if arguments.all else await complete(store, queue, arguments.ids)
    if arguments.all and ids and not arguments.yes:
        letters = "the only dead letter" if len(ids) == 1 else f"all {amount(len(ids), 'dead letter')}"
        confirm(f"{command} {letters} of {queue} in {store.name}?")
    with progress(command, len(ids)) as advance:
        return await process_dead_letters(store.queue(queue), queue, command, ids, advance)


async def dead_ids(store: PostgresStore, queue: str) -> list[str]:
    """Return the ids of all dead letters, in the order in which they were buried; without their bodies."""
    [[nonce]] = await rows_of(store, "SELECT nonce FROM modd.store")
    sql = f"SELECT id, place FROM modd.items WHERE queue = %s AND state = {DEAD} ORDER BY due, place"
    rows = await rows_of(store, sql, queue_number(queue))
    return [*dict.fromkeys(id_at(nonce, place) if id is None else decode_text(id) for id, place in rows)]


async def complete(store: PostgresStore, queue: str, ids: Sequence[str]) -> list[str]:
    """Return whole ids for ids of which some are shortened."""
    known = await dead_ids(store, queue)
    return [*dict.fromkeys(complete_id(id, queue, known) for id in ids)]
