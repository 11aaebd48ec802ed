"""The commands for the queues of a store on a NATS server: ``python -m modd queue nats://host/shop``."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import msgspec

from modd.cli.arguments import Arguments
from modd.cli.content import MASK_TEXT, Viewer
from modd.cli.dead_letters import complete_id, list_dead, process_dead_letters
from modd.cli.errors import NoSuchItem, NoSuchQueue, UsageError
from modd.cli.handlers import forget_in, merge_handlers
from modd.cli.interaction import Confirm, Progress
from modd.cli.nats_doctor import examine_server
from modd.cli.reports import (
    BatchResult,
    DeadLetterList,
    ForgetResult,
    HandlerStatus,
    ItemDetails,
    Overview,
    QueueCounts,
    ServerHealth,
    State,
)
from modd.concurrency.blocks import async_block
from modd.nats.link import Link
from modd.stores.nats.jetstream import JetStream
from modd.stores.nats.queue_records import ItemMeta, QueueSubjects, label_filter, read_item_meta
from modd.stores.nats.record import Record
from modd.stores.nats.store import NatsStore
from modd.texts import amount
from modd.worker.subscriptions import delivery_of

SCHEMES = ("nats://", "tls://")


ALL = 10**9
"""A limit above the number of dead letters."""


OWN_HEADERS = "modd-"
"""The prefix of the headers that modd sets; their values are never sensitive."""


class NatsAddress(NamedTuple):
    """The server and the store of an address such as ``nats://user:password@host:4222/shop``."""

    server: str
    store: str


def is_nats(path: str) -> bool:
    """True for the address of a store on a NATS server."""
    return path.startswith(SCHEMES)


def split_address(path: str) -> NatsAddress:
    """Return the parts of the address of a store. Raises `UsageError`."""
    scheme, _, rest = path.partition("://")
    server, _, store = rest.partition("/")
    if not server or not store:
        raise UsageError(f"{without_password(path)} names no store; give an address such as nats://localhost:4222/shop")
    return NatsAddress(f"{scheme}://{server}", store)


def without_password(path: str) -> str:
    """Return an address without user and password, for texts."""
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


async def run_on_nats(
    arguments: Arguments, viewer: Viewer, confirm: Confirm, progress: Progress
) -> Overview | DeadLetterList | ItemDetails | BatchResult | ForgetResult | ServerHealth:
    """Run a command.

    Raises `UsageError`, `NoSuchItem`, `AmbiguousId`, `NoSuchHandler`, `NotConfirmed`, and the errors of a link and of
    a store.
    """
    path = without_password(arguments.path)
    async with _open(arguments.path) as store:
        queues = await list_queues(store)
        if arguments.command == "stats":
            return await count_all(store, path, queues)
        if arguments.command == "doctor":
            return await examine_server(store, await store.stream.info(), await count_all(store, path, queues))
        if arguments.command == "forget":
            known = {each.handler for name in queues for each in await _handlers(store, name)}
            return await forget_in(store.queue, path, queues, arguments.handler, known)
        if arguments.name not in queues:
            raise NoSuchQueue(arguments.name, path, queues)
        if arguments.command == "dead":
            return await list_dead(store.queue(arguments.name), arguments.name, arguments.limit, viewer)
        if arguments.command == "show":
            return await show_stored_item(store, arguments.name, arguments.id, viewer, is_raw=arguments.raw)
        return await _process(store, arguments, confirm, progress)


async def list_queues(store: NatsStore) -> list[str]:
    """Return the names of the queues of a store, sorted."""
    return sorted(record.meta["queue"] for record in await store.stream.last_of_each(label_filter(store.subjects)))


async def count_all(store: NatsStore, path: str, queues: Sequence[str]) -> Overview:
    """Count the items of queues and of the outbox, and list the handlers."""
    counts = [QueueCounts(name, **msgspec.structs.asdict(await store.queue(name).stats())) for name in queues]
    handlers = [each for name in queues for each in await _handlers(store, name)]
    waiting = await store.stream.last_of_each(store.subjects.outbox_items)
    return Overview(path, counts, sum(not record.is_gone for record in waiting), handlers)


async def show_stored_item(store: NatsStore, name: str, id: str, viewer: Viewer, *, is_raw: bool) -> ItemDetails:
    """Return the details of one item, with key and foreign headers masked unless ``is_raw``. Raises `NoSuchItem`."""
    [whole] = await _complete(store, name, [id])
    found = await store.stream.last_of_each(QueueSubjects(store.subjects, name).of_id(whole))
    items = [(record, read_item_meta(record.meta)) for record in found if not record.is_gone]
    if not items:
        raise NoSuchItem(whole, name)
    record, meta = max(items, key=lambda item: item[1].state == "dead")
    view, key, headers = viewer(record.body), meta.key, meta.headers
    if not is_raw:
        key = key and MASK_TEXT
        headers = {name: text if name.startswith(OWN_HEADERS) else MASK_TEXT for name, text in headers.items()}
    reason = view.mask(meta.reason) if meta.state == "dead" else None
    return ItemDetails(
        name, whole, _state_of(meta), meta.attempts, key, headers, _end_of(record, meta), reason, view.content
    )


def _state_of(meta: ItemMeta) -> State:
    if meta.state == "leased" or meta.state == "dead" or meta.state == "ready":
        return meta.state
    if meta.state == "delayed" and not meta.attempts:
        return "delayed"
    return "waits for a retry" if meta.state in ("delayed", "left") else "ready"


def _end_of(record: Record, meta: ItemMeta) -> float | None:
    return record.at + meta.seconds if meta.state in ("leased", "delayed", "left") else None


async def _process(store: NatsStore, arguments: Arguments, confirm: Confirm, progress: Progress) -> BatchResult:
    command, queue = arguments.command, arguments.name
    assert command == "redrive" or command == "discard"
    ids = await _dead_ids(store, queue) if arguments.all else await _complete(store, queue, arguments.ids)
    if arguments.all and ids and not arguments.yes:
        letters = "the only dead letter" if len(ids) == 1 else f"all {amount(len(ids), 'dead letter')}"
        confirm(f"{command} {letters} of {queue} in {without_password(arguments.path)}?")
    with progress(command, len(ids)) as advance:
        return await process_dead_letters(store.queue(queue), queue, command, ids, advance)


async def _dead_ids(store: NatsStore, queue: str) -> list[str]:
    return [*dict.fromkeys(letter.id for letter in await store.queue(queue).dead(ALL))]


async def _complete(store: NatsStore, queue: str, ids: Sequence[str]) -> list[str]:
    """Return whole ids for ids of which some are shortened."""
    known = await _dead_ids(store, queue)
    return [*dict.fromkeys(complete_id(id, queue, known) for id in ids)]


async def _handlers(store: NatsStore, queue: str) -> list[HandlerStatus]:
    left: Counter[tuple[str, str]] = Counter()
    if (await store.queue(queue).stats()).left:
        for record in await store.stream.last_of_each(QueueSubjects(store.subjects, queue).items):
            delivery = delivery_of(record.meta.get("left", ""))
            if delivery is not None:
                left[delivery] += 1
    announced = [(each.bus, each.type, each.handler, each.seen) for each in await store.queue(queue).subscriptions()]
    return merge_handlers(queue, left, announced)


@async_block
async def _open(path: str) -> AsyncIterator[NatsStore]:
    server, name = split_address(path)
    async with Link(server, name="python -m modd") as link:
        stream = JetStream(link, name, link.timeout)
        info = await stream.requests.find_stream(stream.name)
        if info is None:  # else the store would be created
            raise UsageError(f"there is no store {name!r} on the server of {without_password(path)}")
        async with NatsStore(link, name, replicas=info["config"]["num_replicas"], durable="unchecked") as store:
            yield store
