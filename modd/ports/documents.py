"""The port for documents: the latest state of things, by key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeVar

S = TypeVar("S")
V = TypeVar("V")


class Documents(Protocol):
    """Stores one body for each key of a space, such as the rows of a read model: ``store.documents("sales")``.

    Calls join the open transaction. One that defers its writes applies them at the commit, reads the state before them,
    and ends with `Conflict` if a document that it has read has changed.

    key: a text that is not empty, else `InvalidOption` is raised.
    body: bytes, which are not interpreted.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the body of a key; None if there is none."""
        ...

    async def get_many(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that have one, in the order of the keys that were given."""
        ...

    async def put(self, key: str, body: bytes) -> None:
        """Store a body in place of the earlier one."""
        ...

    async def put_many(self, bodies: Mapping[str, bytes | None]) -> None:
        """Store bodies by key in place of the earlier ones, and remove those that are None, all or none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the body of a key, if there is one."""
        ...

    async def items(self, after: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return the first keys after a key, up to ``limit``, with their bodies, ordered by key.

        Keys are ordered by the code points of their characters. For the next page give the last key of this one.
        """
        ...

    async def swap(self, key: str, body: bytes | None, expected: bytes | None) -> None:
        """Store a body if the earlier one is as expected. Raises `DocumentConflict`, and changes nothing, if it is not.

        body: the new body; None to remove it.
        expected: the body that was read; None if there was none.
        """
        ...

    async def fold(
        self,
        pairs: Iterable[tuple[str, V]],
        fold: Callable[[S | None, V], S | None],
        decode: Callable[[bytes], S],
        encode: Callable[[S], bytes],
    ) -> None:
        """Fold values into documents: read, fold and write in the commit itself, so that no other comes in between.

        Two that fold into one document at once lose nothing, and neither conflicts nor reads it anew. In a transaction
        that defers its writes the functions are called at the commit; an error of theirs ends it, and nothing is
        written.

        pairs: a key and a value each, folded in this order.
        fold: a function of a state, or None without one, and a value; it returns the next state, or None to remove it.
        decode, encode: functions from body to state and back.

        All three functions must be without effects and sync: they are called in any thread, and perhaps more than once.
        """
        ...
