"""Documents in the memory of this process."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from modd.checks import checked_count, checked_text
from modd.ports.errors import DocumentConflict
from modd.stores.checks import checked_bodies, checked_body, checked_document_key
from modd.stores.folding import Folding, checked_folding
from modd.stores.memory.access import Alone, MemoryOwner

S = TypeVar("S")
V = TypeVar("V")


class MemoryDocuments:
    """A `modd.ports.Documents` of this process, for tests and for documents that may be lost with the process.

    space: the name of the space, in errors; empty by default.
    owner: the `MemoryStore` that it is a part of; None, the default, for documents alone.
    """

    def __init__(self, space: str = "", owner: MemoryOwner | None = None) -> None:
        self.space = space
        self._owner = owner or Alone()
        self._bodies: dict[str, bytes] = {}
        self._keys: list[str] | None = None
        """The keys in their order; None since a key was added or removed."""

    async def get(self, key: str) -> bytes | None:
        """Return the body of a key; None if there is none."""
        access = self._owner.access("get")
        return await access.read(f"the document {key!r}", self._bodies.get, checked_document_key(key))

    async def get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that have one."""
        asked = tuple(dict.fromkeys(map(checked_document_key, keys)))
        return await self._owner.access("get_many").read(f"documents of {self.space}", self._get_many, asked)

    async def put(self, key: str, body: bytes) -> None:
        """Store a body in place of the earlier one."""
        await self._owner.access("put").write(self._set, checked_document_key(key), checked_body("body", body))

    async def put_many(self, bodies: Mapping[str, bytes | None]) -> None:
        """Store bodies by key in place of the earlier ones, and remove those that are None, all or none."""
        await self._owner.access("put_many").write(self._set_all, checked_bodies(bodies))

    async def delete(self, key: str) -> None:
        """Remove the body of a key, if there is one."""
        await self._owner.access("delete").write(self._set, checked_document_key(key), None)

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return the first keys after a key, up to ``limit``, with their bodies, ordered by key."""
        first, most = checked_text("after", after), checked_count("limit", limit)
        return await self._owner.access("items").read(f"documents of {self.space}", self._items, first, most)

    async def swap(self, key: str, body: bytes | None, expected: bytes | None) -> None:
        """Store a body, or remove it with None, if the earlier one is as expected. Raises `DocumentConflict`."""
        for option, value in (("body", body), ("expected", expected)):
            if value is not None:
                checked_body(option, value)
        await self._owner.access("swap").write(self._swap, checked_document_key(key), body, expected)

    async def fold(
        self,
        pairs: Iterable[tuple[str, V]],
        fold: Callable[[S | None, V], S | None],
        decode: Callable[[bytes], S],
        encode: Callable[[S], bytes],
    ) -> None:
        """Fold values into documents, in the commit itself; see `modd.ports.Documents.fold`."""
        await self._owner.access("fold").write(self._fold, checked_folding(pairs, fold, decode, encode))

    def _get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        return {key: self._bodies[key] for key in keys if key in self._bodies}

    def _items(self, after: str, limit: int) -> list[tuple[str, bytes]]:
        if self._keys is None:
            self._keys = sorted(self._bodies)
        first = bisect_right(self._keys, after)
        return [(key, self._bodies[key]) for key in self._keys[first : first + limit]]

    def _swap(self, key: str, body: bytes | None, expected: bytes | None) -> None:
        if self._bodies.get(key) != expected:
            raise DocumentConflict(self.space, key)
        self._set(key, body)

    def _fold(self, folding: Folding) -> None:
        self._set_all(folding.run(self._bodies))

    def _set_all(self, bodies: Mapping[str, bytes | None]) -> None:
        for key, body in bodies.items():
            self._set(key, body)

    def _set(self, key: str, body: bytes | None) -> None:
        self._owner.undo_log.keep(self._bodies.get, self._set, key)
        if body is None:
            self._keys = None if self._bodies.pop(key, None) is not None else self._keys
        else:
            self._keys = self._keys if key in self._bodies else None
            self._bodies[key] = body
