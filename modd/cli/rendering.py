"""Reports as text and tables, with rich. Content of a file is escaped, so that it cannot control the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import singledispatch
from time import time
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from modd.cli.event_reports import EventDetails, EventList, FoundEvents, StreamList
from modd.cli.feeds import describe_feeds
from modd.cli.follow_rendering import (
    advice_blocks,
    overview_blocks,
    rebuild_blocks,
    resume_blocks,
    skip_blocks,
    stuck_blocks,
)
from modd.cli.follow_reports import FollowOverview, RebuildResult, ResumeResult, SkipResult, StuckList
from modd.cli.formats import format_age, format_line, format_time
from modd.cli.layout import Block, Pairs, Rows, lay_out
from modd.cli.processes import describe_processes
from modd.cli.reports import (
    BatchResult,
    Content,
    DatabaseHealth,
    DeadLetterList,
    ForgetResult,
    HandlerStatus,
    ItemDetails,
    Overview,
    QueueHealth,
    ServerHealth,
    StoreHealth,
)
from modd.concurrency.blocks import block
from modd.texts import amount

WIDE = 160
"""Columns of the output if it is not a terminal."""


def render(report: Any) -> None:
    """Print a report."""
    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else WIDE, highlight=False, markup=False, emoji=False)
    for each in _blocks(report):
        for part in lay_out(each, console.width):
            console.print(part, crop=False)


@block
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; call the yielded function with the number of finished steps."""
    if not sys.stdout.isatty():
        yield lambda _: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(file=sys.stdout)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


@singledispatch
def _blocks(report: Any) -> Iterable[Block]:
    """Return the parts of a report, from top to bottom."""
    raise NotImplementedError(type(report))


_blocks.register(FollowOverview, overview_blocks)
_blocks.register(StuckList, stuck_blocks)
_blocks.register(ResumeResult, resume_blocks)
_blocks.register(SkipResult, skip_blocks)
_blocks.register(RebuildResult, rebuild_blocks)


@_blocks.register
def _overview(report: Overview) -> Iterable[Block]:
    rows = [(each.name, each.ready, each.delayed, each.leased, each.dead, each.left) for each in report.queues]
    yield Rows(("queue", "ready", "delayed", "leased", "dead", "left"), rows, numbers=range(1, 6))
    if report.handlers:
        rows = [*_handler_rows(report.handlers)]
        yield Rows(("queue", "handler", "bus", "announced", "left"), rows, numbers=[4], whole=range(3))
    yield f"outbox: {report.outbox}"


def _handler_rows(handlers: Iterable[HandlerStatus]) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each queue with deliveries for a handler, and one for all other queues of it."""
    rows: dict[tuple[str, str, str], list[HandlerStatus]] = {}
    for each in handlers:
        rows.setdefault((each.queue if each.left else "", each.handler, each.bus), []).append(each)
    for (_, handler, bus), statuses in rows.items():
        seen = max((each.seen for each in statuses if each.seen is not None), default=None)
        yield ", ".join(each.queue for each in statuses), handler, bus, _age(seen), statuses[0].left


@_blocks.register
def _streams(report: StreamList) -> Iterable[Block]:
    rows = [(each.name, each.events, each.position, format_time(each.at)) for each in report.streams]
    yield Rows(("stream", "events", "last position", "last time"), rows, numbers=[1, 2])
    yield f"{amount(report.events, 'event')} in all streams"
    if report.after is not None:
        yield "there are more streams; --after NAME, with the last name above, goes on, --limit lists more"


@_blocks.register
def _events(report: EventList) -> Iterable[Block]:
    for each in report.events:
        values = dict(_event_values(each, has_state=report.aggregate is not None))
        yield Pairs(values, whole=("id", "causation", "correlation"))
        yield ""
    yield f"{len(report.events)} of {amount(report.total, 'event')} of {report.stream}"
    if report.after is not None:
        yield f"--after {report.after} goes on, --limit lists more"


@_blocks.register
def _found_events(report: FoundEvents) -> Iterable[Block]:
    for each in report.events:
        values = {"stream": each.stream, **dict(_event_values(each.event, has_state=False))}
        yield Pairs(values, whole=("stream", "id", "causation", "correlation"))
        yield ""
    if report.correlation is not None:
        yield f"{amount(len(report.events), 'event')} with the correlation {report.correlation}"
    if report.after is not None:
        yield f"--after {report.after} goes on, --limit lists more"


def _event_values(event: EventDetails, *, has_state: bool) -> Iterator[tuple[str, Any]]:
    content = event.content
    yield "revision", f"{event.revision}, position {event.position}, {format_time(event.at)}"
    yield "type", content.type and f"{content.type}, version {content.version}"
    yield "id", content.id
    yield "causation", content.causation_id
    yield "correlation", content.correlation_id
    yield "actor", event.actor
    yield from ((f"header {name}", text) for name, text in event.headers.items())
    yield "stamps", ", ".join(map(_plain, content.stamps)) or None
    yield "event", _plain(content.body) if content.shown else f"not shown: {content.note}"
    if has_state:
        yield "state", f"not shown: {event.note}" if event.note else _plain(event.state)


@_blocks.register
def _dead_letters(report: DeadLetterList) -> Iterable[Block]:
    rows = [
        (item.id, item.content.type or "-", item.attempts, format_line(item.reason), format_line(_line(item.content)))
        for item in report.items
    ]
    yield Rows(("id", "type", "attempts", "reason", "content"), rows, numbers=[2])
    if report.total > len(rows):
        yield f"{len(rows)} of {report.total}; --limit lists more"


@_blocks.register
def _item(report: ItemDetails) -> Iterable[Block]:
    content = report.content
    values = {
        "queue": report.queue,
        "id": report.id,
        "state": report.state,
        "attempts": report.attempts,
        "due": None if report.due is None else format_time(report.due),
        "key": report.key,
        "reason": report.reason,
        **{f"header {name}": text for name, text in report.headers.items()},
        "type": content.type and f"{content.type}, version {content.version}",
        "message": content.id,
        "correlation": content.correlation_id,
        "causation": content.causation_id,
        "size": amount(content.size, "byte"),
    }
    yield Pairs(values, whole=("queue", "id"))
    if content.stamps:
        yield "stamps:\n" + "\n".join(stamp if isinstance(stamp, str) else _pretty(stamp) for stamp in content.stamps)
    yield _pretty(content.body) if content.shown else f"content not shown: {content.note}"


@_blocks.register
def _batch_result(report: BatchResult) -> Iterable[Block]:
    verb = {"redrive": "put back", "discard": "discarded"}[report.command]
    yield f"{report.queue}: {report.done} {verb}"
    if report.missing:
        yield (
            f"not among the dead letters: {', '.join(report.missing)}; give whole ids as `dead` lists them, or a "
            "beginning with ... behind it"
        )


@_blocks.register
def _forget_result(report: ForgetResult) -> Iterable[Block]:
    removed = amount(report.removed, "delivery", "deliveries")
    yield f"{report.handler}: forgotten in {', '.join(report.queues)}; {removed} removed"


@_blocks.register
def _health(report: StoreHealth) -> Iterable[Block]:
    journal, sizes = report.journal, report.sizes
    pages = f"{sizes.free_pages} of {amount(sizes.pages, 'page')} free"
    yield Pairs(
        {
            "file": f"{report.path}, {amount(sizes.file, 'byte')}, {pages}",
            "WAL": amount(sizes.wal, "byte"),
            "SQLite": f"{journal.sqlite}, safe with modd{'; no other program may write' if journal.affected else ''}",
            "journal": f"{journal.mode}: {journal.reason}",
            "synchronous": journal.synchronous,
            "schema": report.schema,
            report.check: "ok" if not report.damage else "\n".join(report.damage),
            "open in": describe_processes(report.processes),
            "outbox": report.outbox,
            "feeds": describe_feeds(report.feeds),
        }
    )
    yield from _findings(report)


@_blocks.register
def _database_health(report: DatabaseHealth) -> Iterable[Block]:
    yield Pairs(
        {
            "store": report.store,
            "server": f"PostgreSQL {report.server}",
            "schema": report.schema,
            "size": f"{amount(report.size, 'byte')}, {amount(report.dead_rows, 'dead row')} of items",
            "connections": f"{report.connections} of {report.most_connections}",
            "oldest transaction": format_age(report.oldest_transaction),
            "outbox": report.outbox,
            "feeds": describe_feeds(report.feeds),
        }
    )
    yield from _findings(report)


@_blocks.register
def _server_health(report: ServerHealth) -> Iterable[Block]:
    yield Pairs(
        {
            "store": report.path,
            "server": f"NATS {report.server}, JetStream API level {report.level}",
            "stream": f"{report.stream}, {amount(report.messages, 'message')}, {amount(report.size, 'byte')}",
            "replicas": report.replicas,
            "consumers": report.consumers,
            "outbox": report.outbox,
            "feeds": describe_feeds(report.feeds),
        }
    )
    yield from _findings(report)


def _findings(report: StoreHealth | DatabaseHealth | ServerHealth) -> Iterator[Block]:
    """Yield the end of a report of ``doctor``: the queues, the problems, the advice, and the verdict."""
    if report.queues:
        yield _health_rows(report.queues)
    yield from (f"problem: {text}" for text in report.problems)
    yield from advice_blocks(report.advice)
    yield "healthy" if report.ok else "not healthy"


def _health_rows(queues: Sequence[QueueHealth]) -> Rows:
    names = ("queue", "ready", "delayed", "leased", "dead", "left", "oldest ready", "oldest dead")
    return Rows(names, [_health_row(queue) for queue in queues], numbers=range(1, 6))


def _health_row(queue: QueueHealth) -> tuple[Any, ...]:
    counts = queue.counts
    times = ("-" if age is None else format_age(age) for age in (queue.oldest_ready, queue.oldest_dead))
    return counts.name, counts.ready, counts.delayed, counts.leased, counts.dead, counts.left, *times


def _age(at: float | None) -> str:
    return "no more" if at is None else format_age(max(0.0, time() - at))


def _line(content: Content) -> str:
    return msgspec.json.encode(content.body).decode() if content.shown else content.note


def _plain(data: Any) -> str:
    return data if isinstance(data, str) else msgspec.json.encode(data).decode()


def _pretty(data: Any) -> str:
    return data if isinstance(data, str) else msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
