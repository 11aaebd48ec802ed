"""Reports for people, with rich. What comes from a file is shown as text: it can neither style nor steer a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from modd.cli.doctor import ago
from modd.cli.reports import Content, DeadLetters, Health, Moved, Overview, QueueHealth, Shown

WIDE = 160
"""Columns where there is no terminal to ask for its own."""


SHORT = 80
"""Letters of a body or a reason in a list."""


def render(report: Any) -> None:
    """Print a report."""
    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else WIDE, highlight=False, markup=False, emoji=False)
    for part in _parts(report):
        console.print(part if isinstance(part, Table) else Text(printable(part)))


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far something is, on a terminal; told of the steps that are done."""
    if not sys.stdout.isatty():
        yield lambda _: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(file=sys.stdout)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)


def printable(text: str) -> str:
    """A text without what steers a terminal: such characters are shown by their codes."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


@singledispatch
def _parts(report: Any) -> Iterable[Table | str]:
    """What is printed for a report, one below the other."""
    raise NotImplementedError(type(report))


@_parts.register
def _overview(report: Overview) -> Iterable[Table | str]:
    rows = [(each.name, each.ready, each.delayed, each.leased, each.dead) for each in report.queues]
    yield _table(("queue", "ready", "delayed", "leased", "dead"), rows, numbers=range(1, 5))
    yield f"outbox: {report.outbox}"


@_parts.register
def _dead_letters(report: DeadLetters) -> Iterable[Table | str]:
    rows = [
        (each.id, each.content.type or "-", each.attempts, _short(each.reason), _short(_line(each.content)))
        for each in report.items
    ]
    yield _table(("id", "type", "attempts", "reason", "content"), rows, numbers=[2])
    if report.total > len(rows):
        yield f"{len(rows)} of {report.total}; --limit lists more"


@_parts.register
def _shown(report: Shown) -> Iterable[Table | str]:
    content = report.content
    known = {
        "queue": report.queue,
        "id": report.id,
        "state": report.state,
        "attempts": report.attempts,
        "due": None if report.due is None else datetime.fromtimestamp(report.due, UTC).isoformat(" "),
        "key": report.key,
        "reason": report.reason,
        **{f"header {name}": text for name, text in report.headers.items()},
        "type": content.type and f"{content.type}, version {content.version}",
        "message": content.id,
        "correlation": content.correlation_id,
        "causation": content.causation_id,
        "size": f"{content.size:_} bytes",
    }
    yield _pairs(known)
    if content.stamps:
        yield "stamps:\n" + "\n".join(each if isinstance(each, str) else _pretty(each) for each in content.stamps)
    yield _pretty(content.body) if content.shown else f"content not shown: {content.note}"


@_parts.register
def _moved(report: Moved) -> Iterable[Table | str]:
    done = {"redrive": "put back", "discard": "discarded"}[report.command]
    yield f"{report.queue}: {report.done} {done}"
    if report.missing:
        yield f"not among the dead letters: {', '.join(report.missing)}"


@_parts.register
def _health(report: Health) -> Iterable[Table | str]:
    journal, sizes = report.journal, report.sizes
    yield _pairs(
        {
            "file": f"{report.path}, {sizes.file:_} bytes, {sizes.free_pages} of {sizes.pages} pages free",
            "WAL": f"{sizes.wal:_} bytes",
            "SQLite": f"{journal.sqlite}, {'can damage' if journal.affected else 'does not damage'} a shared WAL",
            "journal": f"{journal.mode}: {journal.reason}",
            "synchronous": journal.synchronous,
            "schema": report.schema,
            report.check: "ok" if not report.damage else "\n".join(report.damage),
            "open in": _processes(report),
            "outbox": report.outbox,
        }
    )
    if report.queues:
        names = ("queue", "ready", "delayed", "leased", "dead", "oldest ready put", "oldest dead put")
        yield _table(names, [_health_row(each) for each in report.queues], numbers=range(1, 5))
    yield from (f"wrong: {each}" for each in report.wrong)
    yield from (f"advice: {each}" for each in report.advice)
    yield "well" if report.ok else "not well"


def _health_row(each: QueueHealth) -> tuple[Any, ...]:
    counts = each.counts
    ages = (each.oldest_ready, each.oldest_dead)
    times = ("-" if age is None else ago(age) for age in ages)
    return counts.name, counts.ready, counts.delayed, counts.leased, counts.dead, *times


def _processes(report: Health) -> str:
    if report.processes is None:
        return "not known on this system"
    return (
        ", ".join(f"{each.pid}{'' if each.writes else ' (reads)'}" for each in report.processes) or "no other process"
    )


def _line(content: Content) -> str:
    return msgspec.json.encode(content.body).decode() if content.shown else content.note


def _pretty(data: Any) -> str:
    return data if isinstance(data, str) else msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 3]}..."


def _pairs(known: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in known.items():
        if value is not None:
            table.add_row(_cell(name), _cell(value))
    return table


def _table(names: Iterable[str], rows: Iterable[Iterable[Any]], numbers: Iterable[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    right = {*numbers}
    for at, name in enumerate(names):
        table.add_column(name, justify="right" if at in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> Text:
    return Text(printable(str(value)))
