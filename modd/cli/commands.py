"""The commands: each inspects a file or changes its dead letters, and returns a report."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any, Literal, TypeAlias, cast

import anyio

from modd.catalog import Catalog
from modd.cli.arguments import AnyArguments, Arguments, CatalogArguments
from modd.cli.content import MASK_TEXT, Viewer, choose_viewer
from modd.cli.dead_letters import complete_ids, find_item, list_dead_letters, process_in_batches
from modd.cli.doctor import Doctor
from modd.cli.event_arguments import EventsArguments
from modd.cli.event_content import EventViewer
from modd.cli.event_reports import EventList, FoundEvents, StreamList
from modd.cli.event_search import find_correlated, find_position
from modd.cli.follow_arguments import FollowArguments
from modd.cli.follow_commands import run_follow
from modd.cli.follow_reports import FollowReport
from modd.cli.handlers import forget, list_handlers
from modd.cli.inspection import Inspector, inspect_file
from modd.cli.interaction import Confirm, Progress, no_progress
from modd.cli.migrate_arguments import MigrateArguments, is_postgres
from modd.cli.nats_queues import is_nats, run_on_nats
from modd.cli.reports import (
    BatchResult,
    DatabaseHealth,
    DeadLetterList,
    ForgetResult,
    ItemDetails,
    Migration,
    Overview,
    ServerHealth,
    State,
    StoreHealth,
)
from modd.cli.streams import list_events, list_streams
from modd.cli.types import load_aggregate, load_catalog, load_codecs
from modd.extras import require_extra
from modd.stores.sqlite.sql import decode_headers
from modd.texts import amount

Report: TypeAlias = (
    Overview
    | DeadLetterList
    | ItemDetails
    | BatchResult
    | ForgetResult
    | StoreHealth
    | DatabaseHealth
    | ServerHealth
    | Migration
    | StreamList
    | EventList
    | FoundEvents
    | FollowReport
    | Catalog
)
"""The result of a command."""


STATES: tuple[State, ...] = ("ready", "waits for its key", "delayed", "leased", "waits for a retry", "dead")
"""The states of an item, indexed by their number in the file."""


OWN_HEADERS = "modd-"
"""The prefix of the headers that modd sets; their values are never sensitive."""


def run_command(arguments: AnyArguments, confirm: Confirm, progress: Progress = no_progress) -> Report:
    """Run a command.

    Raises `UsageError`, `NoSuchItem`, `NoSuchStream`, `NoSuchEvent`, `AmbiguousId`, `NoSuchHandler`, `NotConfirmed`,
    `modd.ports.StoreError`, and those of `run_follow`.
    """
    if isinstance(arguments, CatalogArguments):
        return load_catalog(arguments.source)
    if isinstance(arguments, FollowArguments):
        return run_follow(arguments, confirm, progress)
    if isinstance(arguments, EventsArguments):
        return _look_at_events(arguments)
    if isinstance(arguments, MigrateArguments):
        return run_migration(arguments)
    if is_postgres(arguments.path):
        viewer, tool = choose_viewer(load_codecs(arguments.types), arguments.raw), import_tool("postgres_queues")
        return cast("Report", anyio.run(tool.run_on_postgres, arguments, viewer, confirm, progress))
    if is_nats(arguments.path):
        viewer = choose_viewer(load_codecs(arguments.types), arguments.raw)
        return anyio.run(run_on_nats, arguments, viewer, confirm, progress)
    if arguments.command == "redrive" or arguments.command == "discard":
        return _process(arguments, arguments.command, confirm, progress)
    if arguments.command == "forget":
        return forget(arguments.path, arguments.handler)
    viewer = choose_viewer(load_codecs(arguments.types), arguments.raw)
    return inspect_file(arguments.path, partial(_report, arguments, viewer))


def run_migration(arguments: MigrateArguments) -> Migration:
    """Bring the tables of a store up, or tell by which statements. Raises `UsageError`, and `modd.ports.StoreError`."""
    migration: Migration = import_tool("postgres_migrations").migrate_tables(arguments)
    return migration


def import_tool(name: str) -> Any:
    """Return a module of this package that needs the extra ``postgres``. Raises `MissingExtra`."""
    require_extra("a command for PostgreSQL", "postgres", "psycopg_pool")
    return import_module(f"modd.cli.{name}")


def _look_at_events(arguments: EventsArguments) -> StreamList | EventList | FoundEvents:
    if arguments.is_search:
        return _find_events(arguments)
    return _list_events(arguments) if arguments.stream else _list_streams(arguments)


def _find_events(arguments: EventsArguments) -> FoundEvents:
    viewer = EventViewer(load_codecs(arguments.types), is_raw=arguments.raw)
    id, after, limit = arguments.correlation, int(arguments.after or 0), arguments.limit

    def look(inspector: Inspector) -> FoundEvents:
        if id is None:
            return find_position(inspector, arguments.position or 0, viewer)
        return find_correlated(inspector, id, after, limit, viewer)

    return inspect_file(arguments.path, look)


def _list_streams(arguments: EventsArguments) -> StreamList:
    return inspect_file(arguments.path, partial(list_streams, after=arguments.after, limit=arguments.limit))


def _list_events(arguments: EventsArguments) -> EventList:
    stream, codecs = arguments.stream, load_codecs(arguments.types)
    aggregate = load_aggregate(arguments.aggregate, stream) if arguments.aggregate else None
    if aggregate is not None:
        codecs = [aggregate.event_codec, *codecs]
    viewer = EventViewer(codecs, "--types" if arguments.types else "--aggregate", is_raw=arguments.raw)
    after = int(arguments.after or 0)

    def look(inspector: Inspector) -> EventList:
        return list_events(inspector, stream, after, arguments.limit, viewer, aggregate)

    return inspect_file(arguments.path, look)


def _report(arguments: Arguments, viewer: Viewer, inspector: Inspector) -> Report:
    if arguments.command == "dead":
        return list_dead_letters(inspector, inspector.checked_queue(arguments.name), arguments.limit, viewer)
    if arguments.command == "show":
        queue = inspector.checked_queue(arguments.name)
        id = find_item(inspector, queue, arguments.id)
        return show_item(inspector, queue, id, viewer, is_raw=arguments.raw)
    if arguments.command == "doctor":
        return Doctor(inspector, full=arguments.full).examine()
    return count_items(inspector)


def count_items(inspector: Inspector) -> Overview:
    """Count the items of all queues and of the outbox, and list the handlers."""
    counts = [inspector.counts(name) for name in inspector.queues()]
    return Overview(inspector.path, counts, inspector.outbox(), list_handlers(inspector))


def show_item(inspector: Inspector, queue: str, id: str, viewer: Viewer, *, is_raw: bool = False) -> ItemDetails:
    """Return the details of one item, with key and foreign headers masked unless ``is_raw``. Raises `NoSuchItem`."""
    number, due, attempts, key, packed, reason, body = inspector.item(queue, id)
    state, headers, view = STATES[number], decode_headers(packed), viewer(body)
    if not is_raw:
        key = key and MASK_TEXT
        headers = {name: text if name.startswith(OWN_HEADERS) else MASK_TEXT for name, text in headers.items()}
    end = None if state == "dead" else due  # the column has another meaning for dead letters: their order
    masked_reason = None if reason is None else view.mask(reason)
    return ItemDetails(queue, id, state, attempts, key, headers, end, masked_reason, view.content)


def _process(
    arguments: Arguments, command: Literal["redrive", "discard"], confirm: Confirm, progress: Progress
) -> BatchResult:
    path, queue = arguments.path, arguments.name
    ids = inspect_file(path, partial(_ids, arguments))
    if arguments.all and ids and not arguments.yes:
        letters = "the only dead letter" if len(ids) == 1 else f"all {amount(len(ids), 'dead letter')}"
        confirm(f"{command} {letters} of {queue} in {path}?")
    if not ids:
        return BatchResult(queue, command, 0, [])
    with progress(command, len(ids)) as advance:
        return anyio.run(partial(process_in_batches, path, queue, command, ids, advance))


def _ids(arguments: Arguments, inspector: Inspector) -> list[str]:
    queue = inspector.checked_queue(arguments.name)
    return inspector.dead_ids(queue) if arguments.all else complete_ids(inspector, queue, arguments.ids)
