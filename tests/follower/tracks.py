"""Tracks of tests: each notes its events in a document, one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import anyio

from modd.concurrency.polling import Polling
from modd.follower.cursor import Cursors
from modd.follower.engine import Engine, EngineOptions
from modd.follower.loop import EngineLoop
from modd.follower.track import EventFailure, LoggedEvent
from modd.worker.retry import checked_backoff

log = logging.getLogger("modd.follower")


class Notes:
    """A batch that appends bodies to a document."""

    def __init__(self, track: Noting, bodies: list[str], failed: EventFailure | None = None) -> None:
        self.track, self.bodies, self.failed = track, bodies, failed
        self.has_appended = track.appends

    @property
    def is_empty(self) -> bool:
        return not self.bodies

    async def write(self) -> None:
        if self.track.refuses in self.bodies:
            raise self.track.error
        for body in self.bodies:
            await self.track.documents.fold([("all", body)], lambda state, new: [*(state or []), new], _decode, _encode)

    def done(self) -> None:
        self.track.done += self.bodies
        self.track.progress.set()


class Noting:
    """A track that notes the bodies of its events, and is the only track of its part.

    fails_at: the body of an event that it cannot do. refuses: that of an event that it cannot write.
    appends: True to tell that each commit has appended events.
    """

    def __init__(self, store: Any, name: str = "notes", types: frozenset[str] | None = None) -> None:
        self.store, self.name, self.part, self.types = store, name, name, types
        self.key = f"test {name}"
        self.documents = store.documents(f"noted by {name}")
        self.error: Exception = ValueError("no such thing")
        self.fails_at = self.refuses = ""
        self.done: list[str] = []
        self.progress = anyio.Event()
        self.prepared: list[int] = []
        self.due: float | None = None
        self.ends = self.forgotten = 0
        self.appends = False
        self.live_key: str | None = self.key

    async def prepare(self, events: Sequence[LoggedEvent]) -> Notes:
        self.prepared.append(len(events))
        bodies = [_text(each) for each in events]
        if self.fails_at in bodies:
            at = bodies.index(self.fails_at)
            return Notes(self, bodies[:at], EventFailure(events[at].position, self.error))
        return Notes(self, bodies)

    async def next_due(self) -> float | None:
        return self.due

    async def prepare_due(self, now: float) -> Notes:
        self.due = None
        return Notes(self, ["due"])

    async def at_end(self) -> bool:
        self.ends += 1
        return False

    def forget(self) -> None:
        self.forgotten += 1

    async def live(self) -> str | None:
        return self.live_key

    async def open(self) -> Sequence[Noting]:
        await Cursors(self.store).create(self.key)
        return [self]

    async def until_done(self, number: int) -> None:
        """Wait until it has done so many events."""
        while len(self.done) < number:
            await self.progress.wait()
            self.progress = anyio.Event()

    async def noted(self) -> list[str]:
        """Return the bodies that are stored."""
        body = await self.documents.get("all")
        return [] if body is None else _decode(body)


def engine_of(store: Any, *sources: Any, batch: int | None = None, lease: float = 30, poll: float = 1) -> Engine:
    """Return an engine whose failures are tried again at once."""
    return Engine(store, sources, EngineOptions(batch, checked_backoff("none"), lease, poll), log)


def loop_of(store: Any, *sources: Any, poll: float = 1, lease: float = 30) -> EngineLoop:
    """Return the loop of such an engine."""
    return EngineLoop(engine_of(store, *sources, poll=poll, lease=lease), Polling(poll, store.clock), log)


async def run_to_end(engine: Engine) -> None:
    """Move the tracks of an engine until there is nothing more to do."""
    async with engine.session():
        while await engine.advance():
            pass


async def append(store: Any, *bodies: str, stream: str = "things", after: int = 0) -> None:
    """Append events to a stream; each has its text as its type."""
    await store.events.append(stream, [f'{{"$type":"{body}"}}'.encode() for body in bodies], after)


def _text(event: LoggedEvent) -> str:
    return event.type or event.body.decode()


def _decode(body: bytes) -> list[str]:
    return body.decode().split(",")


def _encode(bodies: list[str]) -> bytes:
    return ",".join(bodies).encode()
