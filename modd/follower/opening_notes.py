"""The reasons for which parts cannot be opened, as documents: the command line shows them."""

from __future__ import annotations

import msgspec

from modd.ports.inbox import WEEK
from modd.ports.storage import Storage

SPACE = "modd openings"
"""The space of the reasons, by name of part."""


PAGE = 1_000
"""Reasons that are read at once."""


class OpeningFailure(msgspec.Struct, frozen=True):
    """The reason for which a process could not open a part.

    reason: type and text of the error. attempts: number of attempts of this process that have failed.
    retry_at: the time of the next one, in seconds since 1970.
    """

    reason: str
    attempts: int
    retry_at: float


class OpeningNotes:
    """The reasons in a store, until a process opens the part, or for a week in which none tries. store: the store."""

    def __init__(self, store: Storage) -> None:
        self._documents = store.documents(SPACE)

    async def put(self, part: str, failure: OpeningFailure) -> None:
        """Store the reason for which a part could not be opened, in place of an earlier one."""
        await self._documents.put(part, msgspec.json.encode(failure))

    async def remove(self, part: str, now: float) -> None:
        """Remove the reason of a part, if there is one, and reasons of parts that no program has any more.

        now: the time, in seconds since 1970.
        """
        for name, failure in (await self.all()).items():
            if name == part or failure.retry_at < now - WEEK:
                await self._documents.delete(name)

    async def all(self) -> dict[str, OpeningFailure]:
        """Return the reasons by name of part."""
        found: dict[str, OpeningFailure] = {}
        after = ""
        while page := await self._documents.items(after, PAGE):
            found |= {part: _decode(body) for part, body in page}
            after = page[-1][0]
        return found


_decode = msgspec.json.Decoder(OpeningFailure).decode
