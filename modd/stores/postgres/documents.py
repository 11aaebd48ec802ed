"""Documents in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from modd.checks import checked_count, checked_text
from modd.ports.errors import DocumentConflict
from modd.stores.checks import checked_bodies, checked_document_key
from modd.stores.folding import Folding, checked_folding
from modd.stores.postgres.base import PostgresPart, Store
from modd.stores.postgres.limits import checked_stored_body, checked_stored_key
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import LARGEST, decode_text, encode_text, encode_texts

S = TypeVar("S")
V = TypeVar("V")


GET = "SELECT body FROM modd.documents WHERE space = %s AND key = %s"


GET_MANY = "SELECT key, body FROM modd.documents WHERE space = %s AND key = ANY(%s::bytea[])"


ITEMS = "SELECT key, body FROM modd.documents WHERE space = %s AND key > %s ORDER BY key LIMIT %s"


# in the order of keys, so that two writers do not wait for each other
PUT = """INSERT INTO modd.documents (space, key, body)
    SELECT %s, key, body FROM unnest(%s::bytea[], %s::bytea[]) AS each (key, body) ORDER BY key
    ON CONFLICT (space, key) DO UPDATE SET body = excluded.body"""


DELETE = "DELETE FROM modd.documents WHERE space = %s AND key = ANY(%s::bytea[])"


LOCK = f"{GET_MANY} ORDER BY key FOR UPDATE"


LOCK_ABSENT = """INSERT INTO modd.documents (space, key, body)
    SELECT %s, key, '' FROM unnest(%s::bytea[]) AS each (key) ORDER BY key
    ON CONFLICT (space, key) DO NOTHING RETURNING key"""


class PostgresDocuments(PostgresPart):
    """A `modd.ports.Documents` in the database of a `PostgresStore`: ``store.documents("sales")``."""

    def __init__(self, store: Store, space: str) -> None:
        super().__init__(store)
        self.space = space

    def __repr__(self) -> str:
        return f"<PostgresDocuments {self.space} in {self._store.name}>"

    async def get(self, key: str) -> bytes | None:
        """Return the body of a key; None if there is none."""
        parameters = encode_text(self.space), encode_text(checked_document_key(key))
        query = Select(GET, parameters, title=f"the document {key!r} of {self.space}")
        rows = await self._store.access("get").read(query)
        return rows[0][0] if rows else None

    async def get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that have one."""
        asked = [*dict.fromkeys(map(checked_document_key, keys))]
        parameters = encode_text(self.space), encode_texts(asked)
        # in an order, for the digest of the rows
        query = Select(f"{GET_MANY} ORDER BY key", parameters, title=f"documents of {self.space}")
        found = {decode_text(key): body for key, body in await self._store.access("get_many").read(query)}
        return {key: found[key] for key in asked if key in found}

    async def put(self, key: str, body: bytes) -> None:
        """Store a body in place of the earlier one."""
        bodies = {checked_stored_key(key): checked_stored_body("body", body)}
        await self._store.access("put").write(change_documents, self.space, bodies)

    async def put_many(self, bodies: Mapping[str, bytes | None]) -> None:
        """Store bodies by key in place of the earlier ones, and remove those that are None, all or none."""
        checked = checked_bodies(bodies, checked_stored_body)
        for key in checked:
            checked_stored_key(key)
        await self._store.access("put_many").write(change_documents, self.space, checked)

    async def delete(self, key: str) -> None:
        """Remove the body of a key, if there is one."""
        await self._store.access("delete").write(change_documents, self.space, {checked_document_key(key): None})

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return the first keys after a key, up to ``limit``, with their bodies, ordered by key."""
        first, most = encode_text(checked_text("after", after)), min(checked_count("limit", limit), LARGEST)
        query = Select(ITEMS, (encode_text(self.space), first, most), title=f"documents of {self.space}")
        return [(decode_text(key), body) for key, body in await self._store.access("items").read(query)]

    async def swap(self, key: str, body: bytes | None, expected: bytes | None) -> None:
        """Store a body, or remove it with None, if the earlier one is as expected. Raises `DocumentConflict`."""
        for option, value in (("body", body), ("expected", expected)):
            if value is not None:
                checked_stored_body(option, value)
        row = self.space, checked_stored_key(key), body, expected
        await self._store.access("swap").write(swap_if_equal, *row)

    async def fold(
        self,
        pairs: Iterable[tuple[str, V]],
        fold: Callable[[S | None, V], S | None],
        decode: Callable[[bytes], S],
        encode: Callable[[S], bytes],
    ) -> None:
        """Fold values into documents, in the commit itself; see `modd.ports.Documents.fold`."""
        folding = checked_folding(pairs, fold, decode, encode)
        for key, _ in folding.pairs:
            checked_stored_key(key)
        await self._store.access("fold").write(fold_locked, self.space, folding)


async def change_documents(session: Session, space: str, bodies: Mapping[str, bytes | None]) -> None:
    """Store bodies by key, and remove those that are None."""
    stored = {encode_text(key): body for key, body in bodies.items() if body is not None}
    removed = encode_texts(key for key, body in bodies.items() if body is None)
    if stored:
        await session.count(PUT, (encode_text(space), [*stored], [*stored.values()]))
    if removed:
        await session.count(DELETE, (encode_text(space), removed))


async def swap_if_equal(session: Session, space: str, key: str, body: bytes | None, expected: bytes | None) -> None:
    """Store or remove a body if the earlier one is as expected. Raises `DocumentConflict`."""
    present = await _lock_documents(session, space, [key])
    if present.get(key) != expected:
        raise DocumentConflict(space, key)
    if body != expected or body is None:
        await change_documents(session, space, {key: body})


async def fold_locked(session: Session, space: str, folding: Folding) -> None:
    """Fold values into documents, which no other transaction can change before the commit."""
    present = await _lock_documents(session, space, {key for key, _ in folding.pairs})
    folded = folding.run(present)
    for body in folded.values():
        if body is not None:
            checked_stored_body("encode", body)
    await change_documents(session, space, folded)


async def _lock_documents(session: Session, space: str, keys: Iterable[str]) -> dict[str, bytes]:
    """Return the bodies of those keys that have one, when no other transaction can change or add them any more.

    A row with an empty body takes the place of an absent one, so that other transactions wait that would insert it. The
    caller stores a body there, or removes the row.
    """
    name, missing = encode_text(space), set(encode_texts(keys))
    present: dict[str, bytes] = {}
    while missing:
        for key, body in await session.rows(LOCK, (name, sorted(missing))):
            present[decode_text(key)] = body
            missing.discard(key)
        if missing:  # of those that are there by now, the next round has the bodies
            missing -= {key for [key] in await session.rows(LOCK_ABSENT, (name, sorted(missing)))}
    return present
