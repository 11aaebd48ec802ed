"""Reading the states of a projection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from modd.errors import InvalidOption
from modd.ports.documents import Documents
from modd.ports.storage import Storage
from modd.projection.builds import Builds
from modd.projection.states import StateContent, space_of

S = TypeVar("S")


T = TypeVar("T")


class StoredStates(Generic[S]):
    """The states of a projection in a store, as you get them from ``projection.of(store)``.

    projection: the name of the projection. content: the kind of its states. store: the store.
    """

    def __init__(self, projection: str, content: StateContent[S], store: Storage) -> None:
        self._projection, self._content, self._store = projection, content, store
        self._builds = Builds(store, projection, content)

    async def get(self, key: str | int) -> S | None:
        """Return the state of a key; None if there is none. Raises `UndecodableState`."""
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            raise InvalidOption("key", key, "give a text or a whole number")
        name = str(key)
        body = await self._read(lambda documents: documents.get(name))
        return None if body is None else self._content.decode(body, name)

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, S]]:
        """Return the first keys after a key, up to ``limit``, with their states, ordered by key.

        For the next page give the last key of this one. Raises `UndecodableState`.
        """
        found = await self._read(lambda documents: documents.items(after, limit)) or []
        return [(key, self._content.decode(body, key)) for key, body in found]

    async def _read(self, read: Callable[[Documents], Awaitable[T]]) -> T | None:
        """Return a part of the build that serves, anew if that was replaced meanwhile; None without a build."""
        registration = await self._builds.load()
        while registration is not None:
            found = await read(self._store.documents(space_of(self._projection, registration.live.number)))
            latest = await self._builds.load()
            if latest is not None and latest.live == registration.live:
                return found
            registration = latest
        return None
