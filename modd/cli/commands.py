"""The commands: each finds or does something, and returns a report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal, TypeAlias

import anyio

from modd.cli.arguments import Asked
from modd.cli.content import MASKED, Viewer, viewer
from modd.cli.dead_letters import moved
from modd.cli.doctor import Doctor
from modd.cli.inspection import Reading, looked
from modd.cli.reports import DeadLetter, DeadLetters, Moved, Overview, Report, Shown, State
from modd.cli.types import codecs_of
from modd.stores.sqlite.sql import decode_headers

STATES: tuple[State, ...] = ("ready", "waits for its key", "delayed", "leased", "waits for a retry", "dead")
"""By their numbers in the file."""


OWN_HEADERS = "modd-"
"""What the headers begin with of which modd knows the content."""


Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how far something is, given what it is and how many steps it has; told of the steps that are done."""


Confirm: TypeAlias = Callable[[str], None]
"""Asks whether to do something, and raises `NotConfirmed` if not."""


def unseen(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Progress that nobody is shown."""
    return nullcontext(lambda _: None)


def run(asked: Asked, confirm: Confirm, progress: Progress = unseen) -> Report:
    """Do what is asked for. Raises `Misuse`, `NoSuchItem`, `NotConfirmed` and `modd.ports.StoreError`."""
    if asked.command == "redrive" or asked.command == "discard":
        return _move(asked, asked.command, confirm, progress)
    show = viewer(codecs_of(asked.types), asked.raw)
    return looked(asked.path, partial(_report, asked, show))


def _report(asked: Asked, show: Viewer, there: Reading) -> Report:
    if asked.command == "dead":
        return dead_letters(there, there.checked(asked.name), asked.limit, show)
    if asked.command == "show":
        return shown(there, there.checked(asked.name), asked.id, show, is_raw=asked.raw)
    if asked.command == "doctor":
        return Doctor(there, full=asked.full).health()
    return overview(there)


def overview(there: Reading) -> Overview:
    """All queues, and the outbox."""
    return Overview(there.path, [there.counts(name) for name in there.names()], there.outbox())


def dead_letters(there: Reading, name: str, limit: int, show: Viewer) -> DeadLetters:
    """The first dead letters of a queue."""
    items: list[DeadLetter] = []
    for id, body, reason, attempts in there.dead(name, limit):
        view = show(body)
        items.append(DeadLetter(id, view.clean(reason), attempts, view.content))
    return DeadLetters(name, there.counts(name).dead, items)


def shown(there: Reading, name: str, id: str, show: Viewer, *, is_raw: bool = False) -> Shown:
    """One item. Raises `NoSuchItem`. Its key and the headers of others are masked unless it is shown as it is."""
    state, due, attempts, key, packed, reason, body = there.item(name, id)
    headers = decode_headers(packed)
    if not is_raw:
        key = key and MASKED
        headers = {head: text if head.startswith(OWN_HEADERS) else MASKED for head, text in headers.items()}
    view = show(body)
    at = None if STATES[state] == "dead" else due  # of the dead it is the order in which they were buried
    told = None if reason is None else view.clean(reason)
    return Shown(name, id, STATES[state], attempts, key, headers, at, told, view.content)


def _move(asked: Asked, command: Literal["redrive", "discard"], confirm: Confirm, progress: Progress) -> Moved:
    ids = looked(asked.path, partial(_ids, asked))
    if asked.all and ids and not asked.yes:
        confirm(f"{command} all {len(ids)} dead letters of {asked.name} in {asked.path}?")
    if not ids:
        return Moved(asked.name, command, 0, [])
    with progress(command, len(ids)) as advance:
        return anyio.run(partial(moved, asked.path, asked.name, command, ids, advance))


def _ids(asked: Asked, there: Reading) -> list[str]:
    name = there.checked(asked.name)
    return there.dead_ids(name) if asked.all else asked.ids
