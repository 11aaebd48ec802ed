"""Claims of a queue: picks of its view, each of which is good when its write is stored."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec

from modd.ports.items import Claim
from modd.ports.settlement import settle_shielded
from modd.stores.nats.access import NatsParts
from modd.stores.nats.errors import WrongSequence
from modd.stores.nats.queue_view import Pick, QueueView


class _Round:
    """Picks that are under way, and the claims that were stored of them."""

    def __init__(self, picks: list[Pick]) -> None:
        self.picks, self.done = picks, anyio.Event()
        self.claims: dict[int, Claim] = {}
        """The claims that were stored, by the place of the pick."""
        self._errors: list[Exception] = []
        self._failed = 0

    def succeed(self, place: int, claim: Claim) -> None:
        """Note that the pick at a place was stored."""
        self.claims[place] = claim
        self._check_done()

    def fail(self, error: Exception) -> None:
        """Note that a pick was not stored, because another process was faster, or for another error."""
        self._failed += 1
        if not isinstance(error, WrongSequence):
            self._errors.append(error)
        self._check_done()

    def result(self) -> list[Claim]:
        """Return the claims, in the order of their picks. Raises the error of a pick if there is none."""
        if self._errors and not self.claims:
            raise self._errors[0]
        return [self.claims[place] for place in sorted(self.claims)]

    def _check_done(self) -> None:
        if len(self.claims) + self._failed == len(self.picks):
            self.done.set()


class QueueClaims:
    """Claims items of one queue.

    store: the store. view: the items, as far as this process knows. release: releases a claim.
    """

    def __init__(self, store: NatsParts, view: QueueView, release: Callable[[Claim], Awaitable[object]]) -> None:
        self._store, self._view, self._release = store, view, release

    async def claim(self, name: str, limit: int, arguments: tuple[Any, ...]) -> list[Claim]:
        """Lease items, up to ``limit``. name, arguments: the method of `QueueState` that claims.

        What this process has made claimable is in the view then. If there is nothing to claim in it, or a suspect
        alone, it is compared with the server once.
        """
        await self._view.reach(self._view.written)
        has_asked = False
        while True:
            picks = self._view.pick(name, limit, arguments)
            if not has_asked and (not picks or picks[0].claim.suspect):
                self._view.drop(picks)
                await self._view.wait_for_doubts()
                await self._view.catch_up()
                has_asked = True
            elif picks:
                claims = await self._store_picks(picks)
                self._view.note_losses(len(picks) - len(claims), len(picks))
                if claims:
                    return claims
            elif self._view.doubts:
                await self._view.resolve_doubts()
            else:
                return []

    async def _store_picks(self, picks: list[Pick]) -> list[Claim]:
        """Store the writes of picks, and return the claims of those that were stored.

        The writes go on if the caller is cancelled, so that their claims can be released.
        """
        batch = _Round(picks)
        self._store.background.start_soon(self._store_pick, batch, 0)
        try:
            await batch.done.wait()
        except BaseException:
            self._store.background.start_soon(self._give_back, batch)
            raise
        return batch.result()

    async def _store_pick(self, batch: _Round, place: int) -> None:
        """Store the write of a pick, and have the next one stored beside it: they are sent in their order."""
        if place + 1 < len(batch.picks):
            self._store.background.start_soon(self._store_pick, batch, place + 1)
        pick = batch.picks[place]
        try:
            claim = await self._commit(pick)
        except Exception as error:
            self._view.doubt(pick)
            batch.fail(error)
        else:
            batch.succeed(place, claim)

    async def _commit(self, pick: Pick) -> Claim:
        """Store the write of a pick. Raises `WrongSequence` if another process was faster."""
        write, claim = pick.write, pick.claim
        if not pick.item.is_whole:
            record = await self._store.stream.last(write.subject)
            if record is None or record.sequence != pick.item.sequence:
                raise WrongSequence
            write, claim = (
                msgspec.structs.replace(write, body=record.body),
                msgspec.structs.replace(claim, body=record.body),
            )
        self._view.confirm(pick, await self._store.stream.commit([write], is_claim=True))
        return claim

    async def _give_back(self, batch: _Round) -> None:
        """Release the claims of a round whose caller was cancelled, when all of its writes are done."""
        await batch.done.wait()
        for claim in batch.claims.values():
            await settle_shielded(self._release, [claim], log=logging.getLogger("modd.stores"))
