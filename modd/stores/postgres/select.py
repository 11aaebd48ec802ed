"""Statements that read, and the digests that tell if their rows have changed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol

from modd.stores.postgres.session import ConnectionSession, Parameters


class ReadStatement(Protocol):
    """A statement that reads."""

    @property
    def title(self) -> str:
        """The words for it in a `modd.ports.ReadConflict`."""
        ...

    async def rows(self, session: ConnectionSession) -> list[Any]:
        """Return its rows."""
        ...

    async def digest(self, session: ConnectionSession, rows: list[Any] | None = None) -> bytes:
        """Return what differs whenever its rows do. rows: its rows, if they were just read."""
        ...


class Select:
    """A statement of modd that reads.

    sql, parameters: the statement.
    title: the words for it in a `modd.ports.ReadConflict`; the statement by default.
    version: a cheaper statement whose rows change whenever those of this one do; this one by default.
    """

    __slots__ = ("parameters", "sql", "title", "version")

    def __init__(
        self, sql: str, parameters: Parameters = (), *, title: str | None = None, version: Select | None = None
    ) -> None:
        self.sql, self.parameters, self.version = sql, parameters, version
        self.title = title or sql

    async def rows(self, session: ConnectionSession) -> list[Any]:
        """Return its rows."""
        return await session.rows(self.sql, self.parameters)

    async def digest(self, session: ConnectionSession, rows: list[Any] | None = None) -> bytes:
        """Return what differs whenever its rows do. rows: its rows, if they were just read."""
        if self.version is not None:
            return digest_of(await self.version.rows(session))
        return digest_of(await self.rows(session) if rows is None else rows)


def digest_of(rows: list[Any]) -> bytes:
    """Return a short text that differs for other rows."""
    return blake2b(repr(rows).encode(errors="surrogatepass"), digest_size=16).digest()
