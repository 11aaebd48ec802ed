"""Documents on a NATS server."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from modd.checks import checked_count, checked_text
from modd.ports.errors import DocumentConflict
from modd.stores.checks import checked_bodies, checked_body, checked_document_key
from modd.stores.folding import Folding, checked_folding
from modd.stores.nats.access import NatsPart, NatsParts
from modd.stores.nats.document_keys import DocumentKeys
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import Write
from modd.stores.nats.subjects import Subjects

S = TypeVar("S")
V = TypeVar("V")


class NatsDocuments(NatsPart):
    """A `modd.ports.Documents` of a `NatsStore`: ``store.documents("sales")``.

    A server has no order of keys, so that `items` keeps the keys of the space in memory, and reads all of its documents
    at the first call, and again after half a minute without one.
    """

    def __init__(self, store: NatsParts, space: str) -> None:
        super().__init__(store)
        self.space = space
        self._space = Space(store.subjects, space)

    def __repr__(self) -> str:
        return f"<NatsDocuments {self.space} in {self._store!r}>"

    async def get(self, key: str) -> bytes | None:
        """Return the body of a key; None if there is none."""
        keys = [checked_document_key(key)]
        found: dict[str, bytes] = await self._store.access("get").read(
            f"the document {key!r}", get_documents, self._space, keys
        )
        return found.get(key)

    async def get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that have one."""
        asked = [*dict.fromkeys(map(checked_document_key, keys))]
        access = self._store.access("get_many")
        found: dict[str, bytes] = await access.read(f"documents of {self.space}", get_documents, self._space, asked)
        return found

    async def put(self, key: str, body: bytes) -> None:
        """Store a body in place of the earlier one."""
        bodies = {checked_document_key(key): checked_body("body", body)}
        await self._store.access("put").write(write_documents, self._space, bodies)

    async def put_many(self, bodies: Mapping[str, bytes | None]) -> None:
        """Store bodies by key in place of the earlier ones, and remove those that are None, all or none."""
        await self._store.access("put_many").write(write_documents, self._space, checked_bodies(bodies))

    async def delete(self, key: str) -> None:
        """Remove the body of a key, if there is one."""
        await self._store.access("delete").write(write_documents, self._space, {checked_document_key(key): None})

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return the first keys after a key, up to ``limit``, with their bodies, ordered by key."""
        first, most = checked_text("after", after), checked_count("limit", limit)
        access = self._store.access("items")
        found: list[tuple[str, bytes]] = await access.read(
            f"documents of {self.space}", list_documents, self._space, first, most
        )
        return found

    async def swap(self, key: str, body: bytes | None, expected: bytes | None) -> None:
        """Store a body, or remove it with None, if the earlier one is as expected. Raises `DocumentConflict`."""
        for option, value in (("body", body), ("expected", expected)):
            if value is not None:
                checked_body(option, value)
        access = self._store.access("swap")
        await access.write(swap_document, self._space, checked_document_key(key), body, expected)

    async def fold(
        self,
        pairs: Iterable[tuple[str, V]],
        fold: Callable[[S | None, V], S | None],
        decode: Callable[[bytes], S],
        encode: Callable[[S], bytes],
    ) -> None:
        """Fold values into documents, in the commit itself; see `modd.ports.Documents.fold`."""
        folding = checked_folding(pairs, fold, decode, encode)
        await self._store.access("fold").write(fold_into_documents, self._space, folding)


class Space:
    """The subjects of a space of documents.

    subjects: those of the store. name: the name of the space.
    """

    def __init__(self, subjects: Subjects, name: str) -> None:
        self.name, self.filter = name, subjects.documents(name)
        self._subjects = subjects
        self.keys = DocumentKeys(self.filter)
        """The keys in their order."""

    def subject(self, key: str) -> str:
        """Return the subject of a document."""
        return self._subjects.document(self.name, key)


async def get_documents(overlay: Overlay, space: Space, keys: Collection[str]) -> dict[str, bytes]:
    """Return the bodies of those keys that have one, in the order of the keys."""
    records = await overlay.get_many([space.subject(key) for key in keys])
    return {key: record.body for key, record in zip(keys, records, strict=True) if record is not None}


async def write_documents(overlay: Overlay, space: Space, bodies: Mapping[str, bytes | None]) -> None:
    """Store bodies by key, and remove those that are None."""
    for key, body in bodies.items():
        if body is None:
            overlay.remove(space.subject(key))
        else:
            overlay.write(Write(space.subject(key), {"key": key}, body))


async def list_documents(overlay: Overlay, space: Space, after: str, limit: int) -> list[tuple[str, bytes]]:
    """Return the first documents after a key, ordered by key."""
    written = [str(record.meta["key"]) for record in await overlay.look(space.filter) if not record.is_gone]
    stored = await space.keys.read(overlay.stream, overlay.clock())
    keys = sorted({*stored, *written}) if written else stored
    found: list[tuple[str, bytes]] = []
    place = bisect_right(keys, after)
    while len(found) < limit and place < len(keys):  # some may have been removed
        asked = keys[place : place + limit - len(found)]
        found += (await get_documents(overlay, space, asked)).items()
        place += len(asked)
    return found


async def swap_document(overlay: Overlay, space: Space, key: str, body: bytes | None, expected: bytes | None) -> None:
    """Store or remove a body if the earlier one is as expected. Raises `DocumentConflict`."""
    if (await get_documents(overlay, space, [key])).get(key) != expected:
        raise DocumentConflict(space.name, key)
    if body != expected:  # else it only makes sure that no other writer has changed it
        await write_documents(overlay, space, {key: body})


async def fold_into_documents(overlay: Overlay, space: Space, folding: Folding) -> None:
    """Fold values into documents."""
    keys = [*dict.fromkeys(key for key, _ in folding.pairs)]
    bodies = await get_documents(overlay, space, keys)
    folded = folding.run(bodies)
    await write_documents(
        overlay, space, {key: body for key, body in folded.items() if body is not None or key in bodies}
    )
