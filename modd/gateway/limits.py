"""Limits: how much clients may use of a gateway, and the count of their connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, fields
from math import inf
from typing import Any, NoReturn

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from modd.checks import checked_count, checked_span
from modd.concurrency.blocks import block
from modd.cqrs import Actor
from modd.gateway.errors import Refused


@dataclass(frozen=True)
class Limits:
    """The limits of a gateway.

    body: bytes of a request's body, and of a WebSocket frame; by default 65 536. More: 413.
    connections: requests and streams at a time; by default 10 000. More: 503.
    per_actor: those of one actor; by default 20. More: 429.
    per_address: those of one address; by default 50. More: 429.
    in_flight: commands and queries of one WebSocket at a time; by default 16.
    buffer: events that wait for a client that does not read; by default 256. More: the client is cut off.
    lifetime: seconds after which a stream ends, so that the client is asked anew for who it is; by default 3 600.
    timeout: seconds for a request; by default 30. Longer: 504, and the handler is cancelled.

    Raises:
        InvalidOption: a value is not positive.
    """

    body: int = 65_536
    connections: int = 10_000
    per_actor: int = 20
    per_address: int = 50
    in_flight: int = 16
    buffer: int = 256
    lifetime: float = 3600.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check: Any = checked_span if field.name in ("lifetime", "timeout") else checked_count
            check(field.name, getattr(self, field.name))


class ConnectionCount:
    """Counts the requests and streams that are under way: all, by address and by actor.

    limits: the limits.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0
        self._by_address: Counter[str] = Counter()
        self._by_actor: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """The number of requests and streams that are under way."""
        return self._total

    @block
    def of_address(self, address: str) -> Iterator[None]:
        """Count a request or stream for the block. Raises `Refused` if that is more than a limit."""
        if self._total >= self._limits.connections:
            raise Refused(503, "Too many connections.", retry_after=5)
        self._total += 1
        try:
            with _counted(self._by_address, address, self._limits.per_address, "address"):
                yield
        finally:
            self._total -= 1

    @block
    def of_actor(self, actor: Actor | None) -> Iterator[None]:
        """Count a request or stream of an actor for the block. Raises `Refused` if that is more than the limit."""
        if actor is None:
            yield
            return
        with _counted(self._by_actor, actor.id, self._limits.per_actor, "actor"):
            yield


@block
def _counted(counts: Counter[str], key: str, most: int, subject: str) -> Iterator[None]:
    if counts[key] >= most:
        raise Refused(429, f"Too many connections of one {subject}.", retry_after=1)
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]


@block
def time_limit(seconds: float) -> Iterator[None]:
    """Cancel the block after these seconds. Raises `Refused` then, with the status 504."""
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise Refused(504, "The request took too long.")


GRACE = 5.0
"""Seconds after which a body has to come at `SLOWEST` at least."""

SLOWEST = 1024
"""Bytes of a body per second."""


LONGEST_SEND = 30.0
"""Seconds that a client has to take a response, and a second more for each `SLOWEST` bytes."""


def longest_send(response: Response) -> float:
    """Return the seconds after which a client that does not take a response is cut off; a stream ends by itself."""
    body = getattr(response, "body", None)
    return inf if body is None else LONGEST_SEND + len(body) / SLOWEST


async def read_body(chunks: AsyncGenerator[bytes, None], announced: str | None, most: int) -> bytes:
    """Return the body of a request. Raises `Refused` for one that is too long, too slow, or incomplete.

    chunks: its parts. announced: the header ``Content-Length``. most: bytes.
    """
    if announced is not None and announced.isdecimal() and int(announced[:20]) > most:
        _refuse_length(most)
    start, body = anyio.current_time(), bytearray()
    async with aclosing(chunks):
        while True:
            chunk = await _next(chunks, start + GRACE + len(body) / SLOWEST)
            if chunk is None:
                return bytes(body)
            body += chunk
            if len(body) > most:
                _refuse_length(most)


async def _next(chunks: AsyncGenerator[bytes, None], deadline: float) -> bytes | None:
    """Return the next part of a body; None at its end. Raises `Refused` if there is none until the deadline."""
    chunk = None
    with anyio.CancelScope(deadline=deadline) as scope:
        try:
            chunk = await anext(chunks, None)
        except ClientDisconnect:
            raise Refused(400, "The body is incomplete.") from None
    if scope.cancelled_caught:
        raise Refused(408, "The body came too slowly.")
    return chunk


def _refuse_length(most: int) -> NoReturn:
    raise Refused(413, f"The body has more than {most} bytes.")
