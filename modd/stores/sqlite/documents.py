"""Documents in the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from modd.checks import checked_count, checked_text
from modd.ports.errors import DocumentConflict
from modd.stores.checks import checked_bodies, checked_document_key
from modd.stores.folding import Folding, checked_folding
from modd.stores.sqlite.base import Store, StorePart
from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.limits import LARGEST, checked_bytes
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import REFUSING_OPERATIONS, USER_OPERATIONS, CallArgs, Connection, Refused

S = TypeVar("S")
V = TypeVar("V")


GET = "SELECT body FROM modd_documents WHERE space = ? AND key = ?"


BODY = Columns(body=bytes)


ITEMS = "SELECT key, body FROM modd_documents WHERE space = ? AND key > ? ORDER BY key LIMIT ?"


ITEM = Columns(key=str, body=bytes)


PUT = """INSERT INTO modd_documents (space, key, body) VALUES (?, ?, ?)
    ON CONFLICT (space, key) DO UPDATE SET body = excluded.body"""


DELETE = "DELETE FROM modd_documents WHERE space = ? AND key = ?"


MOST_KEYS = 100
"""Most keys in one statement, below the limit of old versions of SQLite on parameters."""


class SqliteDocuments(StorePart):
    """A `modd.ports.Documents` in the file of a `SqliteStore`: ``store.documents("sales")``."""

    def __init__(self, store: Store, space: str) -> None:
        super().__init__(store)
        self.space = space

    def __repr__(self) -> str:
        return f"<SqliteDocuments {self.space} in {self._store.name}>"

    async def get(self, key: str) -> bytes | None:
        """Return the body of a key; None if there is none."""
        rows = await self._store.access("get").read(_select_one(self.space, checked_document_key(key)))
        return rows[0][0] if rows else None

    async def get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that have one."""
        asked, access = [*dict.fromkeys(map(checked_document_key, keys))], self._store.access("get_many")
        found = dict([row for query in _select_many(self.space, asked) for row in await access.read(query)])
        return {key: found[key] for key in asked if key in found}

    async def put(self, key: str, body: bytes) -> None:
        """Store a body in place of the earlier one."""
        row = self.space, checked_document_key(key), checked_bytes("body", body)
        await self._store.access("put").write(put_documents, *row)

    async def put_many(self, bodies: Mapping[str, bytes | None]) -> None:
        """Store bodies by key in place of the earlier ones, and remove those that are None, all or none."""
        checked = checked_bodies(bodies, checked_bytes)
        await self._store.access("put_many").write(put_many_documents, self.space, checked)

    async def delete(self, key: str) -> None:
        """Remove the body of a key, if there is one."""
        await self._store.access("delete").write(delete_documents, self.space, checked_document_key(key))

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return the first keys after a key, up to ``limit``, with their bodies, ordered by key."""
        parameters = self.space, checked_text("after", after), min(checked_count("limit", limit), LARGEST)
        query = Select(ITEMS, parameters, columns=ITEM, title=f"documents of {self.space}")
        return await self._store.access("items").read(query)

    async def swap(self, key: str, body: bytes | None, expected: bytes | None) -> None:
        """Store a body, or remove it with None, if the earlier one is as expected. Raises `DocumentConflict`."""
        for option, value in (("body", body), ("expected", expected)):
            if value is not None:
                checked_bytes(option, value)
        row = self.space, checked_document_key(key), body, expected
        await self._store.access("swap").write(swap_documents, *row)

    async def fold(
        self,
        pairs: Iterable[tuple[str, V]],
        fold: Callable[[S | None, V], S | None],
        decode: Callable[[bytes], S],
        encode: Callable[[S], bytes],
    ) -> None:
        """Fold values into documents, in the commit itself; see `modd.ports.Documents.fold`."""
        folding = checked_folding(pairs, fold, decode, encode)
        await self._store.access("fold").write(fold_documents, self.space, folding)


def put_documents(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Store bodies; each call has the space, the key and the body."""
    connection.executemany(PUT, calls)
    return [None] * len(calls)


def put_many_documents(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Store or remove bodies; each call has the space and the bodies by key, None for one to remove."""
    for call in calls:
        _write(connection, *call)
    return [None] * len(calls)


def delete_documents(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
    """Remove bodies; each call has the space and the key."""
    connection.executemany(DELETE, calls)
    return [None] * len(calls)


def swap_documents(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused | None]:
    """Store or remove bodies; each call has the space, the key, the new body and the expected one, or None for none."""
    return [_swap(connection, *call) for call in calls]


def fold_documents(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[Refused | None]:
    """Fold values into documents; each call has the space and the `Folding`."""
    return [_fold(connection, *call) for call in calls]


USER_OPERATIONS.add(fold_documents)
REFUSING_OPERATIONS.update((swap_documents, fold_documents))


def _swap(connection: Connection, space: str, key: str, body: bytes | None, expected: bytes | None) -> Refused | None:
    rows = _select_one(space, key)(connection)
    if (rows[0][0] if rows else None) != expected:
        return Refused(DocumentConflict(space, key))
    if body != expected:  # else it only makes sure that nobody has changed it
        _write(connection, space, {key: body})
    return None


def _fold(connection: Connection, space: str, folding: Folding) -> Refused | None:
    keys = [*dict.fromkeys(key for key, _ in folding.pairs)]
    bodies: dict[str, bytes] = dict(row for query in _select_many(space, keys) for row in query(connection))
    try:
        folded = folding.run(bodies)
        for body in folded.values():
            if body is not None:
                checked_bytes("encode", body)
    except Exception as error:  # of a function of the user; nothing is written
        return Refused(error)
    _write(connection, space, folded)
    return None


def _write(connection: Connection, space: str, bodies: Mapping[str, bytes | None]) -> None:
    connection.executemany(PUT, [(space, key, body) for key, body in bodies.items() if body is not None])
    connection.executemany(DELETE, [(space, key) for key, body in bodies.items() if body is None])


def _select_one(space: str, key: str) -> Select:
    return Select(GET, (space, key), columns=BODY, title=f"the document {key!r} of {space}")


def _select_many(space: str, keys: Sequence[str]) -> Iterator[Select]:
    """Yield statements that select these keys."""
    for first in range(0, len(keys), MOST_KEYS):
        some = keys[first : first + MOST_KEYS]
        sql = f"SELECT key, body FROM modd_documents WHERE space = ? AND key IN ({', '.join('?' * len(some))})"
        yield Select(sql, (space, *some), columns=ITEM, title=f"documents of {space}")
